// SPDX-License-Identifier: Apache-2.0
// Following changes: a cursor reads what became visible since its position, then waits to be woken
// by whoever moves the visible number. While a call is on its way it is a background task of the
// database, so Close waits for it; between calls it only knows how to find the database.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <stop_token>
#include <utility>

#include "base/check.h"
#include "base/futex.h"
#include "base/out_of_memory.h"
#include "base/result.h"
#include "engine/engine.h"
#include "engine/link.h"
#include "engine/reader.h"
#include "varve/changes.h"
#include "view/changes.h"
#include "view/expiring.h"

namespace varve {
namespace {

// It was there once, so it is among those that are or among those dropped, or let go since: null.
const TableView* TableById(const Superversion& view, std::uint32_t id) {
  for (const auto& [name, table] : view.tables) {
    if (table->id == id) return table.get();
  }
  const auto dropped = view.dropped.find(id);
  return dropped == view.dropped.end() ? nullptr : dropped->second.get();
}

// Whether it ever had another name.
bool WasRenamed(const TableState& table) {
  return std::ranges::any_of(table.former,
                             [&](const FormerShape& shape) { return shape.name != table.name; });
}

// The dropped table that this name means to whoever follows it from a commit on: of those that were
// dropped after it, the first. Null: it means the table that has the name now.
const TableState* FindDropped(const ManifestState& state, std::string_view name,
                              CommitNumber from) {
  // One that always had the name was made when all dropped ones had left it.
  const auto now = state.tables.find(name);
  if (now != state.tables.end() && WasRenamed(*now->second)) return nullptr;
  const TableState* first = nullptr;
  for (const auto& [id, table] : state.dropped) {
    if (table->name != name || table->dropped <= from) continue;
    if (first == nullptr || table->dropped < first->dropped) first = table.get();
  }
  return first;
}

// Where to go on, when a table that was dropped has left its name to another one.
std::string_view Successor(const ManifestState& state, std::string_view name) {
  const auto now = state.tables.find(name);
  if (now == state.tables.end()) return "";
  if (!WasRenamed(*now->second)) {
    return "; another table was made under that name since: follow it from that commit";
  }
  return "; another table was renamed to that name: to follow it, begin anew";
}

std::unexpected<Error> Dropped(const ManifestState& state, const TableState& table) {
  return Fail(ErrorKind::kNotFound,
              fmt::format("table '{}' was dropped by commit {}, and all changes before it were "
                          "given{}",
                          table.name, table.dropped.value, Successor(state, table.name)));
}

// `dropped` is null while the table is there.
std::unexpected<Error> ColumnsChanged(const ManifestState& state, const TableView& table,
                                      const TableState* dropped, CommitNumber position) {
  if (dropped == nullptr || FindDropped(state, dropped->name, position) == dropped) {
    return Fail(ErrorKind::kConflict,
                fmt::format("the columns of table '{}' were changed; follow it again, from "
                            "commit {}",
                            table.name, position.value));
  }
  return Fail(
      ErrorKind::kNotFound,
      fmt::format("the columns of table '{}' were changed, it was dropped by commit {}, "
                  "and its name is another table's; a snapshot of commit {} has its "
                  "changes after commit {}",
                  table.name, dropped->dropped.value, dropped->dropped.value - 1, position.value));
}

}  // namespace

void FollowSignal::Wake() {
  woken.fetch_add(1);
  FutexWakeAll(woken);
}

void Database::Impl::BeginTask() {
  std::lock_guard lock(tasks_.mutex);
  ++tasks_.count;
}

void Database::Impl::EndTask() {
  std::lock_guard lock(tasks_.mutex);
  --tasks_.count;
  tasks_.done.notify_all();
}

Result<std::shared_ptr<const TableView>> Database::Impl::FindFollowed(std::string_view name,
                                                                      CommitNumber from) const {
  std::shared_ptr<const Superversion> view;
  std::shared_ptr<const ManifestState> state;
  {
    std::lock_guard lock(view_mutex_);
    view = view_;
    state = flushed_;
  }
  const TableState* const dropped = FindDropped(*state, name, from);
  if (dropped != nullptr) return view->dropped.at(dropped->id);
  return FindTableIn(*view, name);
}

Result<Visible> Database::Impl::AwaitAfter(
    CommitNumber commit, const std::shared_ptr<FollowSignal>& signal,
    std::int64_t deadline_micros) {
  if (reader_ != nullptr) return reader_->AwaitAfter(commit, signal, deadline_micros);
  while (true) {
    const std::uint32_t seen = signal->woken.load();
    AdvanceVisible();
    const std::int64_t left = deadline_micros - environment_.clock()->SteadyMicros();
    {
      std::lock_guard lock(view_mutex_);
      followers_.erase(signal);
      if (following_ended_) {
        return Fail(ErrorKind::kInvalid, "the database is closed", ErrorReason::kClosed);
      }
      const Visible now{order_.visible(), view_, flushed_};
      if (now.commit > commit || signal->cancelled || left <= 0) return now;
      followers_.insert(signal);  // after `seen`, so no move of the number is missed
    }
    // What became durable meanwhile found no follower to wake.
    AdvanceVisible();
    environment_.clock()->WaitWord(signal->woken, seen, left);
  }
}

// Commits that nobody waits for become durable with nobody here to see it.
void Database::Impl::WakeFollowers() {
  std::set<std::shared_ptr<FollowSignal>> followers;
  {
    std::lock_guard lock(view_mutex_);
    followers = std::exchange(followers_, {});
  }
  for (const auto& follower : followers) follower->Wake();
}

void Database::Impl::EndFollowing() {
  std::set<std::shared_ptr<FollowSignal>> followers;
  {
    std::lock_guard lock(view_mutex_);
    following_ended_ = true;
    followers = std::exchange(followers_, {});
  }
  for (const auto& follower : followers) follower->Wake();
}

class ChangeCursor::Impl {
 public:
  using Owner = Database::Impl;
  Impl(std::shared_ptr<Owner::Link> link, Clock* clock, const TableView& table, ChangeRecipe recipe,
       CommitNumber from)
      : link_(std::move(link)),
        clock_(clock),
        table_id_(table.id),
        schema_id_(table.schema_id),
        table_name_(table.name),
        recipe_(std::move(recipe)),
        position_(from),
        on_stop_(recipe_.stop, [this] { Cancel(); }) {
    recipe_.stop = stop_.get_token();
  }

  const std::shared_ptr<arrow::Schema>& schema() const { return recipe_.output; }
  CommitNumber position() const { return position_; }
  void Cancel() {
    signal_->cancelled = true;
    stop_.request_stop();
    signal_->Wake();
  }

  Result<std::shared_ptr<arrow::RecordBatch>> Next(std::uint64_t timeout_ms) {
    if (ended_) return std::unexpected(CopyOf(*ended_));
    Owner* database = nullptr;
    {
      std::lock_guard lock(link_->mutex);
      database = link_->database;
      if (database != nullptr) database->BeginTask();
    }
    auto batch = OrOutOfMemory([&] {
      Batch taken = database == nullptr ? Closed() : Take(database, timeout_ms);
      // A batch that was read is given all the same: the position counts it.
      if (signal_->cancelled && !(taken && *taken != nullptr)) taken = Cancelled();
      return taken;
    });
    if (!batch) {
      stream_.reset();
      ended_ = CopyOf(batch.error());
    }
    if (database != nullptr) database->EndTask();
    return batch;
  }

 private:
  using Batch = Result<std::shared_ptr<arrow::RecordBatch>>;

  Batch Closed() const {
    return Fail(ErrorKind::kInvalid,
                fmt::format("the database of this change cursor was closed; open it again and "
                            "follow '{}' from commit {}",
                            table_name_, position_.value),
                ErrorReason::kClosed);
  }
  Batch Cancelled() const {
    return Fail(
        ErrorKind::kInvalid,
        fmt::format("this change cursor was cancelled; to go on, follow '{}' from commit {}",
                    table_name_, position_.value),
        ErrorReason::kClosed);
  }

  Batch Take(Owner* database, std::uint64_t timeout_ms) {
    std::optional<std::int64_t> deadline;
    while (true) {
      if (stream_ != nullptr) {
        VARVE_ASSIGN(auto batch, stream_->Next());
        position_ = stream_->position();
        if (batch != nullptr) return batch;
        stream_.reset();  // and the files and memory that it held
      }
      if (!deadline) deadline = clock_->SteadyMicros() + MicrosOf(timeout_ms);
      const auto now = database->AwaitAfter(position_, signal_, *deadline);
      if (!now && now.error().reason() == ErrorReason::kClosed) return Closed();
      if (!now) return std::unexpected(now.error());
      if (signal_->cancelled) return Cancelled();
      if (now->commit <= position_) return nullptr;
      VARVE_TRY(Read(*now));
    }
  }

  Status Read(const Visible& now) {
    const auto view = WithoutExpired(now.view);
    const TableView* const found = TableById(*view, table_id_);
    if (found == nullptr) {
      return Fail(ErrorKind::kNotFound,
                  fmt::format("table '{}' was dropped, and its versions were let go; the changes "
                              "up to commit {} were given",
                              table_name_, position_.value));
    }
    const TableView& table = *found;
    const auto gone = now.state->dropped.find(table_id_);
    const TableState* const dropped =
        gone == now.state->dropped.end() ? nullptr : gone->second.get();
    const CommitNumber last =
        dropped == nullptr ? now.commit : CommitNumber{dropped->dropped.value - 1};
    if (position_ >= last) return Dropped(*now.state, *dropped);  // for something is new
    if (table.schema_id != schema_id_) {
      return ColumnsChanged(*now.state, table, dropped, position_);
    }
    VARVE_TRY(CheckChangesAfter(table, position_));
    stream_ = std::make_unique<ChangeStream>(view, table, recipe_,
                                             CommitWindow{position_.value, last.value});
    return {};
  }

  const std::shared_ptr<Owner::Link> link_;
  Clock* const clock_;  // the database's; used while it is there
  const std::uint32_t table_id_;
  const std::uint32_t schema_id_;
  const std::string table_name_;
  ChangeRecipe recipe_;
  const std::shared_ptr<FollowSignal> signal_ = std::make_shared<FollowSignal>();
  std::stop_source stop_;
  CommitNumber position_;
  std::optional<Error> ended_;
  std::unique_ptr<ChangeStream> stream_;  // null when everything visible at the last look was given
  std::stop_callback<std::function<void()>> on_stop_;  // last: it calls Cancel
};

ChangeCursor::ChangeCursor(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ChangeCursor::~ChangeCursor() = default;
const std::shared_ptr<arrow::Schema>& ChangeCursor::schema() const { return impl_->schema(); }
Result<std::shared_ptr<arrow::RecordBatch>> ChangeCursor::Next(std::uint64_t timeout_ms) {
  return impl_->Next(timeout_ms);
}
CommitNumber ChangeCursor::position() const { return impl_->position(); }
void ChangeCursor::Cancel() { impl_->Cancel(); }

Result<std::unique_ptr<ChangeCursor>> Database::FollowChanges(std::string_view table,
                                                              const AsOf& from,
                                                              const ChangesOptions& options) const {
  VARVE_ASSIGN(const auto first, impl_->GetSnapshot(from));
  VARVE_ASSIGN(const auto view, impl_->FindFollowed(table, first->commit()));
  auto recipe = PrepareChanges(*view->schema, options);
  if (!recipe) {
    return std::unexpected(recipe.error().Within(fmt::format("table '{}'", view->name)));
  }
  return std::unique_ptr<ChangeCursor>(new ChangeCursor(std::make_unique<ChangeCursor::Impl>(
      impl_->link(), impl_->clock(), *view, *std::move(recipe), first->commit())));
}

}  // namespace varve
