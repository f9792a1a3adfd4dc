// SPDX-License-Identifier: Apache-2.0
// VersionCursor: a stream of row versions in merge order, the common face of memtables and runs.
//
// Order: key ascending (bytes), then commit descending: the newest version of a key comes first.
// (key, commit) is unique within a table. Cursors show all versions; choosing the visible one is
// the merge's work (run/merge.h), never a cursor's.
//
// key() and commit() may have to read, and cannot fail: what could not be read looks like some key
// or commit, and the next move gives the error. Conclude nothing from the last one before it.
//
// Not thread-safe. What key() lends is valid until the next call that moves the cursor; batches
// are shared and stay.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "columns/write_batch.h"
#include "varve/error.h"

namespace varve {

// Keys in [lower, upper); an absent upper is unbounded. The full range by default.
struct KeyBounds {
  std::string lower;
  std::optional<std::string> upper;
  bool Contains(std::string_view key) const {
    return key >= lower && (!upper || key < *upper);
  }
};

class VersionCursor {
 public:
  virtual ~VersionCursor() = default;

  // A fresh cursor stands before the first version: call Next (or Seek) first. After the end
  // valid() is false. An error leaves the cursor invalid.
  virtual Status Next() = 0;
  // To the first version whose key is >= `key`; only forward.
  virtual Status Seek(std::string_view key) = 0;
  virtual bool valid() const = 0;
  // Of a fresh cursor: a task may begin to read what Next, or Seek to `target`, will need.
  virtual void StartAhead(std::optional<std::string_view> target) { (void)target; }
  // Of a fresh cursor: no key of it is below this one, which is known without reading anything. A
  // merge starts it when it comes there. Nothing: not known, or it has started.
  virtual std::optional<std::string_view> LowerBound() const { return std::nullopt; }

  // Of the current version; valid() must hold.
  virtual std::string_view key() const = 0;
  virtual std::uint64_t commit() const = 0;
  virtual RowKind kind() const = 0;
  // Where its values are: a row of a batch with the projected columns (for a delete: null, 0).
  virtual const std::shared_ptr<arrow::RecordBatch>& batch() const = 0;
  virtual std::int64_t row() const = 0;

  // The fast path: how many versions from the current one on are upserts of distinct keys, each
  // the only version of its key in this cursor, in consecutive rows of batch(), with commit <=
  // `as_of` and key < `limit` (no limit when absent). Zero when the cursor cannot tell cheaply.
  virtual std::int64_t PlainRows(std::optional<std::string_view> limit, std::uint64_t as_of) = 0;
  // Moves over `count` such versions, 0 < count <= PlainRows.
  virtual Status Skip(std::int64_t count) = 0;
};

// All as another cursor has it: for those that change a part of it.
class ForwardingCursor : public VersionCursor {
 public:
  explicit ForwardingCursor(std::unique_ptr<VersionCursor> of) : of_(std::move(of)) {}

  Status Next() override { return of_->Next(); }
  Status Seek(std::string_view key) override { return of_->Seek(key); }
  bool valid() const override { return of_->valid(); }
  void StartAhead(std::optional<std::string_view> target) override { of_->StartAhead(target); }
  std::optional<std::string_view> LowerBound() const override { return of_->LowerBound(); }
  std::string_view key() const override { return of_->key(); }
  std::uint64_t commit() const override { return of_->commit(); }
  RowKind kind() const override { return of_->kind(); }
  const std::shared_ptr<arrow::RecordBatch>& batch() const override { return of_->batch(); }
  std::int64_t row() const override { return of_->row(); }
  std::int64_t PlainRows(std::optional<std::string_view> limit, std::uint64_t as_of) override {
    return of_->PlainRows(limit, as_of);
  }
  Status Skip(std::int64_t count) override { return of_->Skip(count); }

 protected:
  VersionCursor& of() const { return *of_; }

 private:
  const std::unique_ptr<VersionCursor> of_;
};

}  // namespace varve
