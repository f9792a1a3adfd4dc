// SPDX-License-Identifier: Apache-2.0
#include "run/late_cursor.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/result.h"
#include "run/open_run.h"

namespace varve {
namespace {

class LateCursor final : public VersionCursor {
 public:
  LateCursor(std::shared_ptr<const Run> run, const std::vector<int>& columns,
             const KeyBounds& bounds, const std::vector<bool>* left_out, Executor* executor,
             MemoryHolder holder)
      : run_(std::move(run)),
        columns_(columns),
        bounds_(bounds),
        executor_(executor),
        holder_(holder) {
    if (left_out != nullptr) left_out_ = *left_out;
  }

  Status Next() override {
    VARVE_TRY(Open());
    return of_ == nullptr ? Status() : Moved(of_->Next());
  }
  Status Seek(std::string_view key) override {
    VARVE_TRY(Open());
    return of_ == nullptr ? Status() : Moved(of_->Seek(key));
  }
  bool valid() const override { return of_ != nullptr && of_->valid(); }
  // What opening fails of is told by the first move, which tries again.
  void StartAhead(std::optional<std::string_view> target) override {
    if (executor_ != nullptr && Open() && of_ != nullptr) of_->StartAhead(target);
  }
  std::optional<std::string_view> LowerBound() const override {
    if (moved_) return std::nullopt;
    return std::max<std::string_view>(bounds_.lower, run_->meta().min_key);
  }
  std::string_view key() const override { return of_->key(); }
  std::uint64_t commit() const override { return of_->commit(); }
  RowKind kind() const override { return of_->kind(); }
  const std::shared_ptr<arrow::RecordBatch>& batch() const override { return of_->batch(); }
  std::int64_t row() const override { return of_->row(); }
  std::int64_t PlainRows(std::optional<std::string_view> limit, std::uint64_t as_of) override {
    return of_ == nullptr ? 0 : of_->PlainRows(limit, as_of);
  }
  Status Skip(std::int64_t count) override {
    VARVE_CHECK(of_ != nullptr);
    return Moved(of_->Skip(count));
  }

 private:
  Status Open() {
    if (of_ != nullptr || ended_) return {};
    VARVE_ASSIGN(const OpenRun open, run_->Open());
    of_ = open.NewCursor(columns_, bounds_, left_out_ ? &*left_out_ : nullptr, executor_, holder_);
    return {};
  }
  // An error is final in the cursor itself.
  Status Moved(Status moved) {
    moved_ = true;
    if (moved && !of_->valid()) {
      ended_ = true;
      of_.reset();
    }
    return moved;
  }

  const std::shared_ptr<const Run> run_;
  const std::vector<int> columns_;
  const KeyBounds bounds_;
  std::optional<std::vector<bool>> left_out_;
  Executor* const executor_;
  const MemoryHolder holder_;
  std::unique_ptr<VersionCursor> of_;  // null: not opened, or at its end
  bool moved_ = false;
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<VersionCursor> NewLateCursor(std::shared_ptr<const Run> run,
                                             const std::vector<int>& columns,
                                             const KeyBounds& bounds,
                                             const std::vector<bool>* left_out, Executor* executor,
                                             MemoryHolder holder) {
  return std::make_unique<LateCursor>(std::move(run), columns, bounds, left_out, executor, holder);
}

}  // namespace varve
