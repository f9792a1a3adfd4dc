// SPDX-License-Identifier: Apache-2.0
#include "former_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace varve::cli {
namespace {

constexpr std::uint64_t kVersionsMax = 1000;

bool Contains(const std::vector<std::string>& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

// The snapshot of a commit when it shows the table; null when it does not, or cannot be read: then
// there is no hint to give.
std::shared_ptr<Snapshot> Showing(const Database& database, const std::string& name,
                                  CommitNumber commit) {
  auto snapshot = database.GetSnapshot(commit);
  return snapshot && Contains((*snapshot)->Tables(), name) ? *std::move(snapshot) : nullptr;
}

}  // namespace

std::optional<FormerTable> FindFormerTable(const Database& database, const std::string& name,
                                           CommitNumber before) {
  std::vector<CommitNumber> commits;
  for (const Version& version : database.Versions(kVersionsMax)) commits.push_back(version.commit);
  commits.push_back(CommitNumber{0});
  FormerTable found;
  CommitNumber without = before;
  for (const CommitNumber commit : commits) {
    if (commit >= without) continue;
    found.last = Showing(database, name, commit);
    if (found.last != nullptr) break;
    without = commit;
  }
  if (found.last == nullptr) return std::nullopt;
  while (found.last->commit().value + 1 < without.value) {
    const CommitNumber middle{(found.last->commit().value + without.value) / 2};
    auto snapshot = Showing(database, name, middle);
    if (snapshot != nullptr) {
      found.last = std::move(snapshot);
    } else {
      without = middle;
    }
  }
  const auto after = database.GetSnapshot(without);
  const auto names = found.last->Tables();
  for (const std::string& table : after ? (*after)->Tables() : names) {
    if (!Contains(names, table)) found.renamed_to = table;
  }
  return found;
}

std::string DescribeFormerTable(const Database& database, const std::string& name,
                                CommitNumber before) {
  const auto former = FindFormerTable(database, name, before);
  if (!former) return "";
  const CommitNumber last = former->last->commit();
  const auto how = former->renamed_to.empty() ? "dropped" : "renamed to " + former->renamed_to;
  return fmt::format("; {} was {} in commit {}, and scan --at {} still shows it", name, how,
                     last.value + 1, last.value);
}

}  // namespace varve::cli
