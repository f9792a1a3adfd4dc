// SPDX-License-Identifier: Apache-2.0
#include "view/own_rows.h"

#include <algorithm>

#include "base/result.h"

namespace varve {
namespace {

// The versions up to a commit.
class CutCursor final : public VersionCursor {
 public:
  CutCursor(std::unique_ptr<VersionCursor> of, std::uint64_t as_of)
      : of_(std::move(of)), as_of_(as_of) {}

  Status Next() override {
    VARVE_TRY(of_->Next());
    return SkipLater();
  }
  Status Seek(std::string_view key) override {
    VARVE_TRY(of_->Seek(key));
    return SkipLater();
  }
  bool valid() const override { return of_->valid(); }
  std::string_view key() const override { return of_->key(); }
  std::uint64_t commit() const override { return of_->commit(); }
  RowKind kind() const override { return of_->kind(); }
  const std::shared_ptr<arrow::RecordBatch>& batch() const override { return of_->batch(); }
  std::int64_t row() const override { return of_->row(); }
  std::int64_t PlainRows(std::optional<std::string_view> limit, std::uint64_t as_of) override {
    return of_->PlainRows(limit, std::min(as_of, as_of_));
  }
  Status Skip(std::int64_t count) override {
    VARVE_TRY(of_->Skip(count));
    return SkipLater();
  }

 private:
  Status SkipLater() {
    while (of_->valid() && of_->commit() > as_of_) VARVE_TRY(of_->Next());
    return {};
  }

  const std::unique_ptr<VersionCursor> of_;
  const std::uint64_t as_of_;
};

// Own rows, numbered after everything that CutCursor lets through.
class OwnCursor final : public VersionCursor {
 public:
  OwnCursor(std::unique_ptr<VersionCursor> of, std::uint64_t above)
      : of_(std::move(of)), above_(above) {}

  Status Next() override { return of_->Next(); }
  Status Seek(std::string_view key) override { return of_->Seek(key); }
  bool valid() const override { return of_->valid(); }
  std::string_view key() const override { return of_->key(); }
  std::uint64_t commit() const override { return above_ + of_->commit(); }
  RowKind kind() const override { return of_->kind(); }
  const std::shared_ptr<arrow::RecordBatch>& batch() const override { return of_->batch(); }
  std::int64_t row() const override { return of_->row(); }
  std::int64_t PlainRows(std::optional<std::string_view> limit, std::uint64_t as_of) override {
    return as_of == kNewest ? of_->PlainRows(limit, kNewest) : 0;
  }
  Status Skip(std::int64_t count) override { return of_->Skip(count); }

 private:
  const std::unique_ptr<VersionCursor> of_;
  const std::uint64_t above_;
};

}  // namespace

void PutOnTop(const Memtable& own, std::uint64_t statements, const std::vector<int>& columns,
              const KeyBounds& bounds, std::uint64_t as_of,
              std::vector<std::unique_ptr<VersionCursor>>* cursors) {
  for (auto& cursor : *cursors) {
    cursor = std::make_unique<CutCursor>(std::move(cursor), as_of);
  }
  auto written = std::make_unique<CutCursor>(own.NewCursor(columns, bounds), statements);
  cursors->push_back(std::make_unique<OwnCursor>(std::move(written), as_of));
}

}  // namespace varve
