// SPDX-License-Identifier: Apache-2.0
#include "run/merge.h"

#include <arrow/record_batch.h>

#include <algorithm>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/out_of_memory.h"
#include "base/result.h"
#include "columns/copy_column.h"
#include "columns/key_codec.h"
#include "memtable/merge_heap.h"

namespace varve {
namespace {

// A few: the executor has other tasks too.
constexpr std::size_t kStartedAhead = 3;
constexpr std::uint32_t kKeysPerLook = 256;  // passed before looking again whether to stop

// A cursor, with its key at hand: a comparison is mostly one of two numbers.
struct Head {
  std::unique_ptr<VersionCursor> cursor;
  std::uint64_t prefix = 0;  // KeyPrefix(key)
  std::string_view key;      // of the cursor's version

  void ReadKey() {
    key = cursor->key();
    prefix = KeyPrefix(key);
  }
  bool HasKeyOf(const Head& other) const {
    return CompareKeys(prefix, key, other.prefix, other.key) == 0;
  }
};

struct HeadBefore {
  bool operator()(const Head& a, const Head& b) const {
    const auto order = CompareKeys(a.prefix, a.key, b.prefix, b.key);
    return order != 0 ? order < 0 : a.cursor->commit() > b.cursor->commit();
  }
};

Status CheckStop(const std::stop_token& stop) {
  if (!stop.stop_requested()) return {};
  return Fail(ErrorKind::kInvalid, "the scan was cancelled");
}

class MergedCursor final : public VersionCursor {
 public:
  MergedCursor(std::vector<std::unique_ptr<VersionCursor>> cursors, std::stop_token stop)
      : waiting_(std::move(cursors)), stop_(std::move(stop)) {}

  Status Next() override {
    if (!waiting_.empty()) return Start(nullptr);
    if (heap_.empty()) return {};
    // When the next version of this key stands in another cursor, no cursor alone can see it.
    repeated_ = NextHasKey();
    return Moved(top().Next());
  }

  Status Seek(std::string_view target) override {
    if (!waiting_.empty()) return Start(&target);
    if (heap_.empty() || key() >= target) return {};
    repeated_ = false;
    for (Head& head : heap_.Take()) waiting_.push_back(std::move(head.cursor));
    for (Later& later : later_) waiting_.push_back(std::move(later.cursor));
    return Start(&target);
  }

  std::optional<std::string_view> LowerBound() const override {
    std::optional<std::string_view> least;
    for (const auto& cursor : waiting_) {
      const auto bound = cursor->LowerBound();
      if (!bound) return std::nullopt;
      least = std::min(least.value_or(*bound), *bound);
    }
    return least;
  }

  void StartAhead(std::optional<std::string_view> target) override {
    for (auto& cursor : waiting_) cursor->StartAhead(target);
  }

  bool valid() const override { return !heap_.empty(); }
  std::string_view key() const override { return top().key(); }
  std::uint64_t commit() const override { return top().commit(); }
  RowKind kind() const override { return top().kind(); }
  const std::shared_ptr<arrow::RecordBatch>& batch() const override { return top().batch(); }
  std::int64_t row() const override { return top().row(); }

  std::int64_t PlainRows(std::optional<std::string_view> limit, std::uint64_t as_of) override {
    if (repeated_ || NextHasKey()) return 0;
    if (const Head* const second = heap_.second()) limit = Smaller(limit, second->key);
    if (!later_.empty()) limit = Smaller(limit, later_.back().bound);
    return top().PlainRows(limit, as_of);
  }

  Status Skip(std::int64_t count) override {
    repeated_ = false;
    return Moved(top().Skip(count));
  }

 private:
  // One that is started when the merge comes to the first key that it may have.
  struct Later {
    std::string bound;
    std::unique_ptr<VersionCursor> cursor;
    bool asked = false;  // to start ahead
  };

  VersionCursor& top() const { return *heap_.top().cursor; }

  static std::string_view Smaller(std::optional<std::string_view> limit, std::string_view key) {
    return limit && *limit < key ? *limit : key;
  }

  bool NextHasKey() const {
    const Head* const second = heap_.second();
    return second != nullptr && second->HasKeyOf(heap_.top());
  }

  Status Start(const std::string_view* target) {
    auto cursors = std::exchange(waiting_, {});
    later_.clear();
    target_.reset();
    if (target != nullptr) target_ = *target;
    std::vector<std::unique_ptr<VersionCursor>> now;
    for (auto& cursor : cursors) {
      const auto bound = cursor->LowerBound();
      if (!bound) {
        now.push_back(std::move(cursor));
      } else {
        later_.push_back({std::string(target ? std::max(*target, *bound) : *bound),
                          std::move(cursor)});
      }
    }
    // Taken from the back; those of one bound as they came.
    std::ranges::reverse(later_);
    std::ranges::stable_sort(later_, std::ranges::greater(), &Later::bound);
    for (auto& cursor : now) {
      if (auto status = StartOne(std::move(cursor)); !status) return Ended(std::move(status));
    }
    return StartReached();
  }

  Status StartOne(std::unique_ptr<VersionCursor> cursor) {
    VARVE_TRY(CheckStop(stop_));
    VARVE_TRY(target_ ? cursor->Seek(*target_) : cursor->Next());
    if (!cursor->valid()) return {};
    Head head{std::move(cursor)};
    head.ReadKey();
    heap_.Push(std::move(head));
    return {};
  }

  // Starts those that may have the key on top. The key on top is at hand.
  Status StartReached() {
    while (!later_.empty() && (heap_.empty() || later_.back().bound <= heap_.top().key)) {
      auto cursor = std::move(later_.back().cursor);
      later_.pop_back();
      std::optional<std::string_view> target;
      if (target_) target = *target_;
      for (std::size_t i = 1; i <= std::min(later_.size(), kStartedAhead); ++i) {
        Later& next = later_[later_.size() - i];
        if (!std::exchange(next.asked, true)) next.cursor->StartAhead(target);
      }
      if (auto status = StartOne(std::move(cursor)); !status) return Ended(std::move(status));
    }
    return {};
  }

  // After the top cursor moved: gives it its new place, or drops it at its end. Alone it needs no
  // place, and a run whose keys nobody asks for does not read them.
  Status Moved(Status status) {
    if (!status) return Ended(std::move(status));
    if (!top().valid()) {
      heap_.Pop();
    } else if (heap_.size() > 1 || !later_.empty()) {
      heap_.top().ReadKey();
      heap_.TopMoved();
    }
    return later_.empty() ? Status() : StartReached();
  }

  Status Ended(Status status) {
    heap_.Take();
    later_.clear();
    return status;
  }

  std::vector<std::unique_ptr<VersionCursor>> waiting_;  // the merge has not started
  std::vector<Later> later_;           // their bounds descend, all above the key on top
  std::optional<std::string> target_;  // that it began with
  const std::stop_token stop_;
  // The keys are those at hand while there is more than one, or one to come.
  MergeHeap<Head, HeadBefore> heap_;
  bool repeated_ = false;  // a newer version of the current key was passed, in another cursor
};

// Slices with consecutive rows of one batch joined.
class SliceList {
 public:
  explicit SliceList(std::size_t expected) { chosen_.slices.reserve(expected); }

  void Add(const std::shared_ptr<arrow::RecordBatch>& batch, std::int64_t row,
           std::int64_t count) {
    rows_ += count;
    if (!chosen_.slices.empty() && Continues(batch, row)) {
      chosen_.slices.back().length += count;
    } else {
      chosen_.slices.push_back({Kept(batch), row, count});
    }
  }
  // Whether this row would lengthen the last slice, or be the first.
  bool Continues(const std::shared_ptr<arrow::RecordBatch>& batch, std::int64_t row) const {
    if (chosen_.slices.empty()) return true;
    const RowSlice& last = chosen_.slices.back();
    return last.batch == batch && last.start + last.length == row;
  }
  std::int64_t rows() const { return rows_; }
  ChosenRows Take() { return std::move(chosen_); }

 private:
  // The batch, kept by chosen_.batches and not by what is given.
  std::shared_ptr<arrow::RecordBatch> Kept(const std::shared_ptr<arrow::RecordBatch>& batch) {
    const bool is_new = sources_.NumberOf(batch.get()) == chosen_.batches.size();
    if (is_new) chosen_.batches.push_back(batch);
    return {std::shared_ptr<void>(), batch.get()};
  }

  SliceSources sources_;
  ChosenRows chosen_;
  std::int64_t rows_ = 0;
};

}  // namespace

std::unique_ptr<VersionCursor> MergeVersions(std::vector<std::unique_ptr<VersionCursor>> cursors,
                                             std::stop_token stop) {
  if (cursors.size() == 1) return std::move(cursors.front());
  return std::make_unique<MergedCursor>(std::move(cursors), std::move(stop));
}

// The cursor that the rows are chosen from, and room for the key being decided.
struct VisibleRows::Heap {
  std::unique_ptr<VersionCursor> cursor;
  bool started = false;
  std::optional<Error> failed;
  std::string key;
  std::size_t slices_before = 0;  // what Take gave the last time
  std::stop_token stop;

  Result<ChosenRows> Take(std::int64_t rows_max, std::uint64_t as_of);
  // Adds the version of the current key that `as_of` sees, if it is a row; passes all the others.
  Status TakeKey(std::uint64_t as_of, SliceList* slices);
};

Status VisibleRows::Heap::TakeKey(std::uint64_t as_of, SliceList* slices) {
  key.assign(cursor->key());
  const std::uint64_t prefix = KeyPrefix(key);
  const auto has_key = [&] {
    const std::string_view current = cursor->key();
    return CompareKeys(KeyPrefix(current), current, prefix, key) == 0;
  };
  bool decided = false;
  for (std::uint32_t passed = 1; cursor->valid() && has_key(); ++passed) {
    if (passed % kKeysPerLook == 0) VARVE_TRY(CheckStop(stop));
    if (!decided && cursor->commit() <= as_of) {
      decided = true;
      if (cursor->kind() == RowKind::kUpsert) slices->Add(cursor->batch(), cursor->row(), 1);
    }
    VARVE_TRY(cursor->Next());
  }
  return {};
}

Result<ChosenRows> VisibleRows::Heap::Take(std::int64_t rows_max, std::uint64_t as_of) {
  if (!started) {
    VARVE_TRY(CheckStop(stop));
    started = true;
    VARVE_TRY(cursor->Next());
  }
  SliceList slices(slices_before);
  for (std::uint32_t passed = 0; cursor->valid() && slices.rows() < rows_max; ++passed) {
    if (passed % kKeysPerLook == 0) VARVE_TRY(CheckStop(stop));
    std::int64_t plain = cursor->PlainRows(std::nullopt, as_of);
    if (plain == 0) {
      VARVE_TRY(TakeKey(as_of, &slices));
      continue;
    }
    // A long slice goes alone: as the only one it is passed on without a copy.
    if (plain >= rows_max / 2 && !slices.Continues(cursor->batch(), cursor->row())) break;
    plain = std::min(plain, rows_max - slices.rows());
    slices.Add(cursor->batch(), cursor->row(), plain);
    VARVE_TRY(cursor->Skip(plain));
  }
  auto chosen = slices.Take();
  slices_before = chosen.slices.size();
  return chosen;
}

VisibleRows::VisibleRows(std::vector<std::unique_ptr<VersionCursor>> cursors, std::uint64_t as_of,
                         std::stop_token stop)
    : heap_(std::make_unique<Heap>()), as_of_(as_of) {
  heap_->cursor = MergeVersions(std::move(cursors), stop);
  heap_->stop = std::move(stop);
}

VisibleRows::~VisibleRows() = default;

Result<ChosenRows> VisibleRows::Next(std::int64_t rows_max) {
  VARVE_CHECK(rows_max > 0);
  if (heap_->failed) return std::unexpected(CopyOf(*heap_->failed));
  // Where it was refused memory it may have lost a cursor: it must not go on as if at their end.
  auto chosen = OrOutOfMemory([&] { return heap_->Take(rows_max, as_of_); });
  if (!chosen) heap_->failed = CopyOf(chosen.error());
  return chosen;
}

}  // namespace varve
