// SPDX-License-Identifier: Apache-2.0
#include "upkeep/run_chain.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <queue>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "run/open_run.h"

namespace varve {
namespace {

class ChainCursor final : public VersionCursor {
 public:
  ChainCursor(RunsApart runs, std::vector<int> columns, KeyBounds bounds)
      : runs_(std::move(runs)), columns_(std::move(columns)), bounds_(std::move(bounds)) {}

  Status Next() override {
    if (open_ == nullptr) return OpenNext(std::nullopt);
    return Moved(open_->Next());
  }
  Status Skip(std::int64_t count) override { return Moved(open_->Skip(count)); }

  Status Seek(std::string_view target) override {
    if (open_ != nullptr) {
      if (auto status = open_->Seek(target); !status) return Ended(std::move(status));
      if (open_->valid()) return {};
    }
    return OpenNext(target);
  }

  std::optional<std::string_view> LowerBound() const override {
    if (next_ > 0 || runs_.empty()) return std::nullopt;
    return runs_.front()->meta().min_key;
  }
  bool valid() const override { return open_ != nullptr && open_->valid(); }
  std::string_view key() const override { return open_->key(); }
  std::uint64_t commit() const override { return open_->commit(); }
  RowKind kind() const override { return open_->kind(); }
  const std::shared_ptr<arrow::RecordBatch>& batch() const override { return open_->batch(); }
  std::int64_t row() const override { return open_->row(); }
  std::int64_t PlainRows(std::optional<std::string_view> limit, std::uint64_t as_of) override {
    return open_->PlainRows(limit, as_of);
  }

 private:
  Status Moved(Status status) {
    if (!status) return Ended(std::move(status));
    return open_->valid() ? Status() : OpenNext(std::nullopt);
  }

  // The next run that has a version, from `target` on if it is given.
  Status OpenNext(std::optional<std::string_view> target) {
    open_.reset();
    while (next_ < runs_.size()) {
      const auto run = std::exchange(runs_[next_++], nullptr);
      if (target && run->meta().max_key < *target) continue;
      const auto opened = run->Open();
      if (!opened) return Ended(std::unexpected(opened.error()));
      open_ = opened->NewCursor(columns_, bounds_, nullptr, nullptr, MemoryHolder::kCompaction);
      if (auto status = target ? open_->Seek(*target) : open_->Next(); !status) {
        return Ended(std::move(status));
      }
      if (open_->valid()) return {};
      open_.reset();
    }
    return {};
  }

  Status Ended(Status status) {
    open_.reset();
    next_ = runs_.size();
    return status;
  }

  RunsApart runs_;
  const std::vector<int> columns_;
  const KeyBounds bounds_;
  std::size_t next_ = 0;                 // the first that was not opened
  std::unique_ptr<VersionCursor> open_;  // null before the first and after the last
};

}  // namespace

// Each run goes behind the chain that ends first, if that lies before it.
std::vector<RunsApart> ChainsOf(const std::vector<std::shared_ptr<const Run>>& runs,
                                const KeyBounds& bounds) {
  RunsApart within;
  std::ranges::copy_if(runs, std::back_inserter(within), [&](const auto& run) {
    const RunMeta& meta = run->meta();
    return meta.max_key >= bounds.lower && (!bounds.upper || meta.min_key < *bounds.upper);
  });
  std::ranges::stable_sort(within, {}, [](const auto& run) -> std::string_view {
    return run->meta().min_key;
  });
  using End = std::pair<std::string_view, std::size_t>;  // the last key of a chain, and which it is
  std::priority_queue<End, std::vector<End>, std::greater<>> ends;
  std::vector<RunsApart> chains;
  for (const auto& run : within) {
    std::size_t chain = chains.size();
    if (!ends.empty() && ends.top().first < run->meta().min_key) {
      chain = ends.top().second;
      ends.pop();
    } else {
      chains.emplace_back();
    }
    chains[chain].push_back(run);
    ends.emplace(run->meta().max_key, chain);
  }
  return chains;
}

std::uint64_t BytesOf(const RunsApart& runs) {
  std::uint64_t sum = 0;
  for (const auto& run : runs) sum += run->meta().data.bytes + run->meta().deletes.bytes;
  return sum;
}

std::unique_ptr<VersionCursor> NewChainCursor(RunsApart runs, std::vector<int> columns,
                                              KeyBounds bounds) {
  return std::make_unique<ChainCursor>(std::move(runs), std::move(columns), std::move(bounds));
}

}  // namespace varve
