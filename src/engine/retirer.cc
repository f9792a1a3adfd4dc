// SPDX-License-Identifier: Apache-2.0
#include "engine/retirer.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/out_of_memory.h"
#include "base/result.h"

namespace varve {
namespace {

// Metadata of so many versions is worth an edit of its own.
constexpr std::uint64_t kVersionsWorth = 64;

}  // namespace

// The commits that open transactions compare with are as good as asked for.
Result<RetirePlan> Database::Impl::Retirer::Plan(std::int64_t keep_micros) const {
  const auto state = database_.manifest_->state();
  const std::int64_t now = database_.environment_.clock()->Now().micros;
  const WallTime cutoff{now < INT64_MIN + keep_micros ? INT64_MIN : now - keep_micros};
  CommitNumber oldest = OldestAt(*state, cutoff);
  {
    std::lock_guard lock(database_.commit_mutex_);
    const auto& open = database_.open_transactions_;
    if (!open.empty()) oldest = std::min(oldest, *open.begin());
  }
  return PlanRetire(*state, oldest);
}

Result<RetireInfo> Database::Impl::Retirer::Retire(const RetireOptions& options) {
  VARVE_TRY(options.dry_run ? database_.CheckOpen() : database_.CheckWritable());
  std::lock_guard flush_lock(database_.flush_mutex_);
  if (database_.lock_ == nullptr) return std::unexpected(database_.CheckOpen().error());
  const std::int64_t keep =
      options.keep_micros.value_or(database_.manifest_->state()->history_micros);
  if (keep < 0) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("a window of {} microseconds: expected at least 0", keep));
  }
  VARVE_ASSIGN(const RetirePlan plan, Plan(keep));
  RetireInfo info{.oldest = plan.oldest, .runs = plan.runs.size(), .versions = plan.versions,
                  .bytes = plan.bytes};
  for (const auto& run : plan.runs) info.files += ObjectsOf(*run).size();
  info.files += plan.times.size();
  if (options.dry_run) return info;
  if (plan.oldest > database_.manifest_->state()->oldest || !plan.runs.empty()) {
    VARVE_TRY(Publish(plan));
  }
  RemoveWaiting();
  for (const Waiting& waiting : waiting_) info.bytes_held += waiting.bytes;
  return info;
}

void Database::Impl::Retirer::RetireIfDue() {
  const Status done = OrOutOfMemory([this]() -> Status {
    VARVE_ASSIGN(const RetirePlan plan, Plan(database_.manifest_->state()->history_micros));
    if (!plan.runs.empty() || plan.versions >= kVersionsWorth) VARVE_TRY(Publish(plan));
    RemoveWaiting();
    const std::uint64_t number = database_.manifest_->state()->number;
    return number - manifest_cleaned_ < kCheckpointEvery ? Status() : RemoveOldManifests(number);
  });
  if (!done) Trace(database_.environment_.trace(), "retire.failed", done.error().message());
}

Status Database::Impl::Retirer::Publish(const RetirePlan& plan) {
  Impl& database = database_;
  std::vector<std::weak_ptr<const void>> held;
  held.reserve(plan.runs.size());
  VARVE_ASSIGN(auto committed,
               database.manifest_->Commit(plan.Edits(), database.environment_.clock()->Now()));
  {
    std::lock_guard lock(database.commit_mutex_);
    database.official_ = std::move(committed);
    for (const auto& run : plan.runs) held.push_back(database.runs_.Remove(run->id));
    database.InstallView();
  }
  for (std::size_t i = 0; i < plan.runs.size(); ++i) {
    const RunMeta& run = *plan.runs[i];
    waiting_.push_back({held[i], ObjectsOf(run), run.data.bytes + run.deletes.bytes});
  }
  for (const std::string& name : plan.times) RemoveObject(name);
  Trace(database.environment_.trace(), "retire.done", database.path_,
        {{"oldest", plan.oldest.value}, {"runs", plan.runs.size()}, {"bytes", plan.bytes}});
  return {};
}

Status Database::Impl::Retirer::RemoveOldManifests(std::uint64_t number) {
  VARVE_TRY(database_.manifest_->RemoveOld());
  manifest_cleaned_ = number;
  return {};
}

void Database::Impl::Retirer::RemoveWaiting() {
  std::erase_if(waiting_, [this](const Waiting& waiting) {
    if (!waiting.run.expired()) return false;
    for (const std::string& name : waiting.objects) RemoveObject(name);
    return true;
  });
}

// One that stays is an orphan, which the next open removes.
void Database::Impl::Retirer::RemoveObject(const std::string& name) {
  if (const Status removed = database_.environment_.store()->Delete(name); !removed) {
    Trace(database_.environment_.trace(), "retire.orphan_left", removed.error().message());
  }
}

Result<RetireInfo> Database::Impl::Retire(const RetireOptions& options) {
  return retirer_->Retire(options);
}

}  // namespace varve
