// SPDX-License-Identifier: Apache-2.0
#include "engine/retirer.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "base/out_of_memory.h"
#include "base/result.h"
#include "upkeep/flush.h"

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

// A look that failed is one that found a reader of everything.
Database::Impl::Retirer::Leases Database::Impl::Retirer::LookAtLeases() const {
  auto leases = HeldLeases(database_.environment_.files(), database_.path_);
  if (leases) return *std::move(leases);
  Trace(database_.environment_.trace(), "retire.leases_not_read", leases.error().message());
  return {{.holder = "somebody", .number = 0, .commit = {}}};
}

// The same, but for what readers of other processes say that they show. Those who have said nothing
// yet are kept from harm by the number in their lease.
RetirePlan Database::Impl::Retirer::WithoutLeased(const RetirePlan& plan) const {
  CommitNumber oldest = plan.oldest;
  for (const HeldLease& lease : LookAtLeases()) {
    if (lease.number != 0) oldest = std::min(oldest, lease.commit);
  }
  return oldest == plan.oldest ? plan : PlanRetire(*database_.manifest_->state(), oldest);
}

Result<RetireInfo> Database::Impl::Retirer::Retire(const RetireOptions& options) {
  VARVE_TRY(options.dry_run ? database_.CheckOpen() : database_.CheckWritable());
  std::lock_guard flush_lock(database_.flush_mutex_);
  if (!options.dry_run && database_.lock_ == nullptr) {
    return std::unexpected(database_.CheckOpen().error());
  }
  const std::int64_t keep =
      options.keep_micros.value_or(database_.manifest_->state()->history_micros);
  if (keep < 0) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("a window of {} microseconds: expected at least 0", keep));
  }
  VARVE_ASSIGN(RetirePlan plan, Plan(keep));
  if (!options.keep_micros) plan = WithoutLeased(plan);
  for (const HeldLease& lease : LookAtLeases()) {
    if (!options.keep_micros || lease.number == 0 || lease.commit >= plan.oldest) continue;
    return Fail(ErrorKind::kUnavailable,
                fmt::format("'{}': versions before commit {} are to be let go of, and process {} "
                            "reads as of commit {}; close the database there or wait until it "
                            "looks for newer commits, or keep a longer window",
                            database_.path_, plan.oldest.value, lease.holder, lease.commit.value),
                ErrorReason::kLocked);
  }
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
    VARVE_ASSIGN(RetirePlan plan, Plan(database_.manifest_->state()->history_micros));
    if (!plan.runs.empty() || plan.versions >= kVersionsWorth) plan = WithoutLeased(plan);
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
  const std::uint64_t number = database.manifest_->state()->number;
  for (std::size_t i = 0; i < plan.runs.size(); ++i) {
    const RunMeta& run = *plan.runs[i];
    waiting_.push_back({held[i], ObjectsOf(run), run.data.bytes + run.deletes.bytes, number});
  }
  if (!plan.times.empty()) waiting_.push_back({held_times_, plan.times, 0, number});
  Trace(database.environment_.trace(), "retire.done", database.path_,
        {{"oldest", plan.oldest.value}, {"runs", plan.runs.size()}, {"bytes", plan.bytes}});
  return {};
}

std::shared_ptr<const void> Database::Impl::Retirer::HoldTimes() {
  auto held = held_times_.lock();
  if (held == nullptr) held_times_ = held = std::make_shared<const char>();
  return held;
}

Status Database::Impl::Retirer::RemoveOldManifests(std::uint64_t number) {
  VARVE_TRY(database_.manifest_->RemoveOld(LowestNumber(LookAtLeases())));
  manifest_cleaned_ = number;
  return {};
}

void Database::Impl::Retirer::RemoveWaiting() {
  if (waiting_.empty()) return;
  const std::uint64_t lowest = LowestNumber(LookAtLeases());
  std::erase_if(waiting_, [&](const Waiting& waiting) {
    if (!waiting.run.expired() || lowest < waiting.number) return false;
    for (const std::string& name : waiting.objects) RemoveObject(name);
    return true;
  });
}

Status Database::Impl::Retirer::RemoveOrphans() {
  const std::lock_guard flush_lock(database_.flush_mutex_);
  const std::uint64_t number = database_.manifest_->state()->number;
  VARVE_TRY(RemoveOrphanRuns(number));
  VARVE_TRY(RemoveOrphanTimes(number));
  RemoveWaiting();
  return {};
}

// No manifest ever named those with later ids, which are given out again.
Status Database::Impl::Retirer::RemoveOrphanRuns(std::uint64_t number) {
  ObjectStore* const store = database_.environment_.store();
  const std::uint64_t next = database_.manifest_->state()->next_run_id;
  VARVE_ASSIGN(const auto objects, store->List("data/"));
  for (const ObjectInfo& object : objects) {
    const auto id = RunIdOf(object.name);
    if (!id || database_.runs_.Has(*id)) continue;
    if (*id < next) {
      waiting_.push_back({{}, {object.name}, object.size, number});
      continue;
    }
    VARVE_TRY(store->Delete(object.name));
    Trace(database_.environment_.trace(), "run.orphan_removed", object.name);
  }
  return {};
}

// All commit times that are official are those of versions.
Status Database::Impl::Retirer::RemoveOrphanTimes(std::uint64_t number) {
  ObjectStore* const store = database_.environment_.store();
  const auto state = database_.manifest_->state();
  std::set<std::string> official;
  for (const VersionPoint& version : state->versions) {
    if (version.times) official.insert(TimesName(version.commit));
  }
  VARVE_ASSIGN(const auto objects, store->List(std::string(kTimesPrefix)));
  for (const ObjectInfo& object : objects) {
    if (!IsTimesName(object.name) || official.contains(object.name)) continue;
    if (object.name <= TimesName(state->commit)) {
      waiting_.push_back({{}, {object.name}, object.size, number});
      continue;
    }
    VARVE_TRY(store->Delete(object.name));
    Trace(database_.environment_.trace(), "times.orphan_removed", object.name);
  }
  return {};
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
