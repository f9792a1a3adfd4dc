// SPDX-License-Identifier: Apache-2.0
#include "run/group_ahead.h"

#include <arrow/record_batch.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "base/executor.h"
#include "base/out_of_memory.h"
#include "base/result.h"

namespace varve {

struct GroupAhead::State {
  enum class Phase : std::uint8_t { kIdle, kAsked, kWorking };
  struct Slot {
    int group = -1;  // none
    bool begun = false;
    std::optional<Result<Batch>> read = {};
  };

  Slot* Find(int group) {
    const auto at = std::ranges::find(slots, group, &Slot::group);
    return at == slots.end() ? nullptr : &*at;
  }
  // The first that nobody has begun; -1: none.
  int Wanted() const {
    for (const Slot& slot : slots) {
      if (slot.group >= 0 && !slot.begun) return slot.group;
    }
    return -1;
  }

  void Run() {
    std::unique_lock lock(mutex);
    if (phase != Phase::kAsked) return;
    phase = Phase::kWorking;
    for (int group = Wanted(); group >= 0; group = Wanted()) {
      Find(group)->begun = true;
      lock.unlock();
      auto result = OrOutOfMemory([&] { return Read(group); });
      lock.lock();
      if (Slot* const slot = Find(group)) {  // else it was forgotten
        *slot = {.group = group, .begun = true, .read = std::move(result)};
      }
      changed.notify_all();
    }
    phase = Phase::kIdle;
    changed.notify_all();
  }

  Result<Batch> Read(int group) {
    if (reader == nullptr) {
      VARVE_ASSIGN(reader, file->NewReader(holder));
    }
    file->life()->CountRowGroupRead();
    return reader->Read(group, fields, schema);
  }

  std::mutex mutex;
  std::condition_variable changed;
  Phase phase = Phase::kIdle;            // guarded by mutex
  std::array<Slot, kGroupsMax> slots;    // as they will be taken; guarded by mutex
  // Of the task that works; else of nobody.
  std::shared_ptr<const RunFile> file;
  std::vector<int> fields;
  std::shared_ptr<arrow::Schema> schema;
  MemoryHolder holder = MemoryHolder::kReads;
  std::unique_ptr<RowGroupReader> reader;  // null before the first
};

GroupAhead::GroupAhead(std::shared_ptr<const RunFile> file, std::vector<int> fields,
                       std::shared_ptr<arrow::Schema> schema, Executor* executor,
                       MemoryHolder holder)
    : state_(std::make_shared<State>()), executor_(executor) {
  state_->file = std::move(file);
  state_->fields = std::move(fields);
  state_->schema = std::move(schema);
  state_->holder = holder;
}

// A task that comes late finds nothing to do, and nothing that it keeps alive.
GroupAhead::~GroupAhead() {
  std::unique_lock lock(state_->mutex);
  state_->slots = {};
  state_->changed.wait(lock, [this] { return state_->phase != State::Phase::kWorking; });
  state_->phase = State::Phase::kIdle;
  state_->reader.reset();
  state_->file.reset();
}

void GroupAhead::Ask(std::span<const int> groups) {
  {
    const std::lock_guard lock(state_->mutex);
    std::array<State::Slot, kGroupsMax> asked;
    for (std::size_t i = 0; i < groups.size(); ++i) {
      State::Slot* const before = state_->Find(groups[i]);
      asked[i] = before ? std::move(*before) : State::Slot{.group = groups[i]};
    }
    state_->slots = std::move(asked);
    if (state_->phase != State::Phase::kIdle || state_->Wanted() < 0) return;
    state_->phase = State::Phase::kAsked;
  }
  if (HadMemory([this] { executor_->Submit([state = state_] { state->Run(); }); })) return;
  const std::lock_guard lock(state_->mutex);
  state_->slots = {};
  state_->phase = State::Phase::kIdle;
}

std::optional<Result<GroupAhead::Batch>> GroupAhead::Take(int group) {
  std::unique_lock lock(state_->mutex);
  State::Slot* const slot = state_->Find(group);
  if (slot == nullptr) return {};
  state_->changed.wait(lock, [&] { return !slot->begun || slot->read; });
  return std::exchange(*slot, {}).read;
}

}  // namespace varve
