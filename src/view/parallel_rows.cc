// SPDX-License-Identifier: Apache-2.0
#include "view/parallel_rows.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "base/executor.h"
#include "base/out_of_memory.h"
#include "base/result.h"

namespace varve {
namespace {

// Parts differ in what they cost, so there are more than processors.
constexpr std::size_t kPartsMax = 4;
constexpr std::size_t kBatchesAhead = 2;

}  // namespace

struct ParallelRows::Part {
  explicit Part(ScanRecipe of_all) : recipe(std::move(of_all)) {}

  // Of whoever reads it.
  ScanRecipe recipe;
  std::unique_ptr<ForwardRows> rows;
  // Guarded by State::mutex.
  std::deque<std::shared_ptr<arrow::RecordBatch>> ready;
  bool reading = false;
  bool asked = false;  // a task for it is with the executor
  bool ended = false;

  bool WantsReading() const { return !reading && !ended && ready.size() < kBatchesAhead; }
};

// Shared with tasks, which may come after the scan's end.
struct ParallelRows::State : std::enable_shared_from_this<State> {
  State(Executor* with, std::int64_t batch_rows) : executor(with), batch_rows_max(batch_rows) {}

  // All require `lock`, and hold it on return.
  using Lock = std::unique_lock<std::mutex>;
  void Read(Lock* lock, Part* part);
  void Ask(Part* part);
  std::shared_ptr<arrow::RecordBatch> TakeReady();
  Part* OneToRead();
  bool Ended() const;

  void RunTask(std::size_t part);

  Executor* const executor;
  const std::int64_t batch_rows_max;
  std::mutex mutex;
  std::condition_variable changed;           // a part has a batch more, or is not read any more
  std::vector<std::unique_ptr<Part>> parts;  // guarded by mutex; empty once the scan has ended
  std::optional<Error> failure;              // guarded by mutex; of the first part that failed
  std::size_t readers = 0;                   // guarded by mutex
};

// One batch, or the part's end. The caller has found that the part wants it.
void ParallelRows::State::Read(Lock* lock, Part* part) {
  part->reading = true;
  ++readers;
  lock->unlock();
  auto batch = OrOutOfMemory([&] { return part->rows->Next(batch_rows_max); });
  lock->lock();
  --readers;
  part->reading = false;
  if (!batch) {
    part->ended = true;
    if (!failure) failure = std::move(batch).error();
  } else if (*batch == nullptr) {
    part->ended = true;
  } else if (!HadMemory([&] { part->ready.push_back(*batch); })) {
    part->ended = true;
    if (!failure) failure = OutOfMemory();
  }
  changed.notify_all();
}

void ParallelRows::State::Ask(Part* part) {
  if (executor == nullptr || part->asked || !part->WantsReading()) return;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].get() != part) continue;
    part->asked = HadMemory(
        [&] { executor->Submit([state = shared_from_this(), i] { state->RunTask(i); }); });
  }
}

void ParallelRows::State::RunTask(std::size_t index) {
  Lock lock(mutex);
  if (index >= parts.size()) return;  // the scan has ended
  Part* const part = parts[index].get();
  part->asked = false;
  while (!parts.empty() && !failure && part->WantsReading()) Read(&lock, part);
}

std::shared_ptr<arrow::RecordBatch> ParallelRows::State::TakeReady() {
  for (const auto& part : parts) {
    if (part->ready.empty()) continue;
    auto batch = std::move(part->ready.front());
    part->ready.pop_front();
    Ask(part.get());
    return batch;
  }
  return nullptr;
}

ParallelRows::Part* ParallelRows::State::OneToRead() {
  for (const auto& part : parts) {
    if (part->WantsReading()) return part.get();
  }
  return nullptr;
}

bool ParallelRows::State::Ended() const {
  return std::ranges::all_of(parts, [](const auto& part) { return part->ended; });
}

Result<std::unique_ptr<ParallelRows>> ParallelRows::Open(const TableView& table,
                                                         const ScanRecipe& recipe,
                                                         std::uint64_t as_of,
                                                         std::int64_t batch_rows_max,
                                                         Executor* executor) {
  const auto state = std::make_shared<State>(executor, batch_rows_max);
  VARVE_ASSIGN(const auto cuts, CutIntoParts(table, recipe.range.bounds, as_of, kPartsMax));
  for (const KeyBounds& bounds : cuts) {
    auto part = std::make_unique<Part>(recipe);
    VARVE_ASSIGN(part->rows,
                 ForwardRows::Open(table, &part->recipe, bounds, as_of, batch_rows_max));
    state->parts.push_back(std::move(part));
  }
  State::Lock lock(state->mutex);
  // The first is the caller's own.
  for (std::size_t i = 1; i < state->parts.size(); ++i) state->Ask(state->parts[i].get());
  return std::unique_ptr<ParallelRows>(new ParallelRows(state));
}

ParallelRows::~ParallelRows() {
  State::Lock lock(state_->mutex);
  const auto parts = std::exchange(state_->parts, {});
  state_->changed.wait(lock, [this] { return state_->readers == 0; });
}

Result<std::shared_ptr<arrow::RecordBatch>> ParallelRows::Next(std::int64_t) {
  State::Lock lock(state_->mutex);
  while (true) {
    if (state_->failure) return std::unexpected(CopyOf(*state_->failure));
    if (auto batch = state_->TakeReady()) return batch;
    if (state_->Ended()) return nullptr;
    if (Part* const part = state_->OneToRead()) {
      state_->Read(&lock, part);
    } else {
      state_->changed.wait(lock);  // every part that is left is being read
    }
  }
}

}  // namespace varve
