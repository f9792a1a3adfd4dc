// SPDX-License-Identifier: Apache-2.0
// Rekey: everything that keys of the provider wrap comes under its current key, and no data is
// written anew (docs/design/0019). Runs and commit times have their data keys in the manifest, so a
// manifest that is a checkpoint under the current key does for them. A log segment has its own: the
// log goes on in a new one, and those before are let go of, since the runs hold what they hold.
#include <fmt/format.h>

#include <algorithm>

#include "base/key_wrap.h"
#include "base/result.h"
#include "engine/alone.h"
#include "engine/commit_record.h"
#include "engine/engine.h"
#include "log/log_keys.h"

namespace varve {
namespace {

// Segments stand ready that were made under the key before: each rotation takes one.
constexpr int kRotationsMax = 8;

// Requires the turn. The log goes on in a segment under the current key, which holds a unit, so
// that the segments before may go. The unit is the last commit again, without rows: the runs hold
// that commit, so whoever reads the log passes over it, and over the producer that stands for rows.
Status RenewLog(Log* log, const Environment& environment, const std::string& folder,
                CommitNumber last) {
  const Producer nobody{.id = "rekey", .sequence = 0};
  const auto header = EncodeCommitHeader(
      {.commit = last, .time = environment.clock()->Now(), .parts = 0, .producer = true});
  const std::string producer = EncodeProducer(nobody);
  const LogRecord records[] = {{std::string_view(header.data(), header.size())}, {producer}};
  for (int rotation = 0; rotation < kRotationsMax; ++rotation) {
    VARVE_TRY(log->Rotate());
    VARVE_ASSIGN(const LogAck ack, log->Append(records, AckLevel::kDurable));
    VARVE_ASSIGN(const std::string current, CurrentKeyIdOf(environment.keys()));
    VARVE_ASSIGN(const std::string used, KeyIdAt(environment.files(), folder, ack.lsn));
    if (used == current) return {};
  }
  return Fail(ErrorKind::kUnavailable,
              "the log did not come to a segment under the current key: the key provider changed "
              "it meanwhile; try again");
}

}  // namespace

Result<std::vector<std::string>> Database::Impl::Rekey() {
  VARVE_TRY(CheckWritable());
  KeyProvider* const keys = environment_.keys();
  if (keys == nullptr) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("'{}' is not encrypted, so it has no key to change; load its rows into "
                            "a database that was made with keys",
                            path_));
  }
  VARVE_TRY(CheckCurrentKey(keys));
  VARVE_TRY(manifest_->CheckCommits());
  VARVE_TRY(Flush());  // nearly everything, while others go on
  const Alone alone(this);
  {
    std::lock_guard lock(commit_mutex_);
    VARVE_TRY(CheckOpen());
    Seal();
  }
  VARVE_TRY(FlushSealed());
  VARVE_TRY(RenewLog(log_.get(), environment_, LogFolder(path_), last_commit_));
  Lsn floor;
  {  // the runs hold every commit: nothing is needed of the log so far
    std::lock_guard flush_lock(flush_mutex_);
    {
      std::lock_guard lock(commit_mutex_);
      VARVE_TRY(CheckOpen());
      VARVE_CHECK(active_->commits == 0 && sealed_.empty());
      floor = active_->log_start = log_->positions().appended;
    }
    VARVE_ASSIGN(auto committed,
                 manifest_->Commit({AdvanceEdit{.commit = manifest_->state()->commit,
                                                .commit_time = {},
                                                .floor = floor,
                                                .durable = log_->positions().durable}},
                                   environment_.clock()->Now()));
    std::lock_guard lock(commit_mutex_);
    official_ = std::move(committed);
    InstallView();
  }
  VARVE_TRY(log_->TruncateBefore(floor));
  VARVE_ASSIGN(const std::string current, CurrentKeyIdOf(keys));
  VARVE_ASSIGN(const auto of_log, KeyIdsOfLog(environment_.files(), LogFolder(path_)));
  std::vector<std::string> needed = {current};
  std::ranges::copy_if(of_log, std::back_inserter(needed),
                       [&](const std::string& id) { return id != current; });
  Trace(environment_.trace(), "database.rekeyed", current, {{"older_keys", needed.size() - 1}});
  return needed;
}

}  // namespace varve
