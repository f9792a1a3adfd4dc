// SPDX-License-Identifier: Apache-2.0
#include "run/group_ahead.h"

#include <arrow/record_batch.h>

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <utility>

#include "base/executor.h"
#include "base/out_of_memory.h"
#include "base/result.h"

namespace varve {

struct GroupAhead::State {
  enum class Phase : std::uint8_t { kIdle, kAsked, kReading, kRead };

  void RunTask();
  Result<Batch> Read();  // of who reads

  std::shared_ptr<const RunFile> file;  // constant, as the next two
  std::vector<int> fields;
  std::shared_ptr<arrow::Schema> schema;
  std::unique_ptr<RowGroupReader> reader;  // of who reads; null before the first

  std::mutex mutex;
  std::condition_variable changed;    // reading has ended
  Phase phase = Phase::kIdle;         // guarded by mutex
  int group = 0;                      // guarded by mutex, but constant while a task reads
  std::optional<Result<Batch>> read;  // guarded by mutex
};

Result<GroupAhead::Batch> GroupAhead::State::Read() {
  if (reader == nullptr) {
    VARVE_ASSIGN(reader, file->NewReader());
  }
  file->CountRowGroupRead();
  return reader->Read(group, fields, schema);
}

void GroupAhead::State::RunTask() {
  std::unique_lock lock(mutex);
  if (phase != Phase::kAsked) return;
  phase = Phase::kReading;
  lock.unlock();
  auto batch = OrOutOfMemory([this] { return Read(); });
  lock.lock();
  read = std::move(batch);
  phase = Phase::kRead;
  changed.notify_all();
}

GroupAhead::GroupAhead(std::shared_ptr<const RunFile> file, std::vector<int> fields,
                       std::shared_ptr<arrow::Schema> schema, Executor* executor)
    : executor_(executor), state_(std::make_shared<State>()) {
  state_->file = std::move(file);
  state_->fields = std::move(fields);
  state_->schema = std::move(schema);
}

GroupAhead::~GroupAhead() {
  std::unique_lock lock(state_->mutex);
  state_->changed.wait(lock, [this] { return state_->phase != State::Phase::kReading; });
  // What a late task keeps alive is nothing but an empty state.
  state_->phase = State::Phase::kIdle;
  state_->read.reset();
  state_->reader.reset();
  state_->file.reset();
}

void GroupAhead::Ask(int group) {
  std::unique_lock lock(state_->mutex);
  if (state_->phase != State::Phase::kIdle) return;
  state_->phase = State::Phase::kAsked;
  state_->group = group;
  lock.unlock();
  if (HadMemory([this] { executor_->Submit([state = state_] { state->RunTask(); }); })) return;
  lock.lock();
  state_->phase = State::Phase::kIdle;
}

std::optional<Result<GroupAhead::Batch>> GroupAhead::Take(int group) {
  std::unique_lock lock(state_->mutex);
  state_->changed.wait(lock, [this] { return state_->phase != State::Phase::kReading; });
  const bool is_it = state_->phase == State::Phase::kRead && state_->group == group;
  state_->phase = State::Phase::kIdle;
  auto read = std::exchange(state_->read, {});
  if (!is_it) return {};
  return read;
}

}  // namespace varve
