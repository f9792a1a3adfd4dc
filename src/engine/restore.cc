// SPDX-License-Identifier: Apache-2.0
// Database::RestoreTable: a write that looks first, at a whole table and at how it was. Its commit
// is refused, and it looks again, when any other commit wrote to the table meanwhile: so what it
// leaves is the version, with nothing of another commit in it and nothing of one half replaced.
#include <fmt/format.h>

#include <utility>

#include "base/out_of_memory.h"
#include "base/result.h"
#include "engine/engine.h"
#include "engine/past_view.h"
#include "engine/write_request.h"
#include "view/difference.h"
#include "view/expiring.h"

namespace varve {
namespace {

// Rows and keys of one restore: they are one commit, which is one unit of the log.
constexpr std::uint64_t kRestoreBytesMax = 1ull << 30;

Status AddBatch(Result<WriteBatch> batch, PreparedWrite* write) {
  if (!batch) return std::unexpected(std::move(batch).error());
  if (batch->rows->num_rows() > 0) write->batches.push_back(*std::move(batch));
  return {};
}

// A table that was made anew under the name of another one has nothing to go back to.
Status CheckWasThis(const TableView& table, CommitNumber as_of, const Moment& now) {
  if (as_of >= now.flushed->changed) return {};
  const auto then = PastView(now.view, *now.flushed, as_of);  // holds what Find gives
  const TableView* const was = then->Find(table.name);
  if (was == nullptr || was->id == table.id) return {};
  return Fail(ErrorKind::kInvalid,
              fmt::format("table '{}' cannot be restored to commit {}: another table had that name "
                          "then; it was dropped or renamed since",
                          table.name, as_of.value));
}

void Count(const Difference& difference, RestoreInfo* info) {
  info->rows_written = static_cast<std::uint64_t>(difference.upserts->num_rows());
  info->rows_deleted = static_cast<std::uint64_t>(difference.deletes->num_rows());
}

}  // namespace

Result<RestoreInfo> Database::Impl::RestoreTable(std::string_view table, const AsOf& as_of,
                                                 const RestoreOptions& options,
                                                 const CommitOptions& commit) {
  return OrNothingKept([&] { return RestoreOnce(table, as_of, options, commit); });
}

Result<RestoreInfo> Database::Impl::RestoreOnce(std::string_view table, const AsOf& as_of,
                                                const RestoreOptions& options,
                                                const CommitOptions& commit) {
  VARVE_TRY(options.dry_run ? CheckOpen() : CheckWritable());
  RestoreInfo info;
  WriteWatch watch(environment_.clock(), commit.profile);
  if (!options.dry_run) {
    VARVE_ASSIGN(const auto repeat, Repeat(commit, watch));  // whatever it is called by now
    if (repeat) {
      VARVE_ASSIGN(info.commit, Await(*repeat));
      return info;
    }
  }
  const Moment now = Now(as_of);
  VARVE_ASSIGN(info.as_of, Resolve(as_of, now));
  if (options.dry_run) {
    VARVE_ASSIGN(const auto view, FindTableIn(*WithoutExpired(now.view), table));
    VARVE_TRY(CheckWasThis(*view, info.as_of, now));
    VARVE_ASSIGN(const auto difference,
                 FindDifference(*view, info.as_of, now.visible, kRestoreBytesMax));
    Count(difference, &info);
    return info;
  }
  const Look look = [&](const TableViewPtr& view,
                        const BegunTransaction& begun) -> Result<PreparedWrite> {
    const Moment later = Now(AsOf());
    VARVE_TRY(Resolve(AsOf(info.as_of), later));           // it may have been let go since,
    VARVE_TRY(CheckWasThis(*view, info.as_of, later));     // or another table got the name
    PreparedWrite write;
    write.looked_at.AddRange(KeyBounds{});  // whoever adds a row is in its way, too
    VARVE_ASSIGN(const auto difference,
                 FindDifference(*view, info.as_of, begun.commit, kRestoreBytesMax));
    VARVE_TRY(AddBatch(PrepareUpsert(*view->schema, difference.upserts), &write));
    VARVE_TRY(AddBatch(PrepareDelete(*view->schema, difference.deletes), &write));
    Count(difference, &info);
    return write;
  };
  VARVE_ASSIGN(const auto submitted, WriteLooking(table, look, commit, &watch));
  if (submitted.info.repeat) info.rows_written = info.rows_deleted = 0;
  VARVE_ASSIGN(info.commit, Await(submitted));
  return info;
}

}  // namespace varve
