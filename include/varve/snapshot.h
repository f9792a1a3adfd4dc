// SPDX-License-Identifier: Apache-2.0
// Snapshot: the database as of one commit.
//
// A snapshot is a commit number and a reference to everything needed to read it. It shows exactly
// the commits up to its number, always, whatever is committed, flushed or compacted meanwhile.
// Taking one does no I/O; holding one keeps the memory and files it needs.
//
// Thread safety: a Snapshot is immutable; use it from any thread. A RecordBatchReader that Scan
// gives belongs to one thread at a time. Readers hold no lock between batches: consume them as
// slowly as you like. They keep what they need alive, also after the snapshot is released; close
// them before the Database is destroyed.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "varve/error.h"
#include "varve/options.h"
#include "varve/types.h"

namespace arrow {
class RecordBatchReader;
class Schema;
struct Scalar;
class Status;
}  // namespace arrow

namespace varve {

// One place where a scan looks for rows, and what it will read there.
struct ScanSource {
  std::string name;  // "memtable", "sealed memtable", or the run's object name
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;             // of the file; of memory for a memtable
  std::uint64_t bytes_read = 0;        // of the columns and row groups that will be read
  std::uint32_t row_groups = 0;
  std::uint32_t row_groups_read = 0;
  std::string reason;  // why it, or a part of it, is skipped; empty when all is read
};

// How many rows there are.
struct RowCount {
  std::uint64_t rows = 0;
  std::uint64_t rows_scanned = 0;  // of these; the others were counted by what files say
};

// Between which values a column lies; of dictionaries and extension types, their plain values. Both
// null when it has none but nulls, or no rows.
struct ValueRange {
  std::shared_ptr<arrow::Scalar> min;
  std::shared_ptr<arrow::Scalar> max;
  std::uint64_t rows_scanned = 0;  // the others were answered by what files say
};

struct ScanPlan {
  CommitNumber as_of;
  std::vector<ScanSource> sources;
  std::string key_range;  // as text; "all" when unbounded
  std::string filter;     // what is evaluated after the merge; empty when nothing
};

// A run: a Parquet file of rows sorted by key, and one of deleted keys when there are any.
struct RunInfo {
  std::uint64_t id = 0;
  std::uint32_t level = 0;
  std::string name;             // of the file with the rows; empty: it has none
  std::string deletes_name;     // of that with the deleted keys; empty: it has none
  std::uint64_t rows = 0;       // versions of rows
  std::uint64_t deletes = 0;    // of keys
  std::uint64_t bytes = 0;      // of both files
  CommitNumber first_commit;    // that has a version in it
  CommitNumber last_commit;
  std::string first_key;        // bytes, which compare as keys do
  std::string last_key;
  std::shared_ptr<arrow::RecordBatch> keys;  // two rows of the key columns: the first and last key
  bool hidden = false;  // nobody reads it: other runs have newer versions of all its keys
};

class Superversion;  // src/view/superversion.h

class Snapshot {
 public:
  ~Snapshot();
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;

  CommitNumber commit() const { return commit_; }

  // The table's columns, as created. NotFound when there is no such table.
  Result<std::shared_ptr<arrow::Schema>> Schema(std::string_view table) const;
  // Names of the table's key columns, in key order.
  Result<std::vector<std::string>> Key(std::string_view table) const;
  std::vector<std::string> Tables() const;

  // Streams the newest version of each row as of commit(), in key order, deleted rows left out.
  // Errors: NotFound (table, column), Invalid (a filter that does not fit the schema, bad range).
  // An error while streaming comes as an arrow::Status; ErrorFromArrow turns it back into an Error.
  Result<std::shared_ptr<arrow::RecordBatchReader>> Scan(std::string_view table,
                                                         const ScanOptions& options = {}) const;

  // What that Scan would read and skip, and why.
  Result<ScanPlan> Explain(std::string_view table, const ScanOptions& options = {}) const;

  // The table's runs that hold commits up to commit(). No I/O.
  Result<std::vector<RunInfo>> Runs(std::string_view table) const;

  // How many rows that Scan would give; `options` without columns and reverse. Exact. Reads nothing
  // of files whose rows nothing else can hide or replace, as long as there is no filter.
  Result<RowCount> Count(std::string_view table, const ScanOptions& options = {}) const;

  // The least and the greatest value of a column in the rows that Scan would give; `options`
  // without columns, reverse and limit. Nulls do not count, nor do NaN beside numbers. Exact; from
  // the statistics of files where these are. NotFound (column); Invalid for types without an
  // order, such as lists and structs.
  Result<ValueRange> MinMax(std::string_view table, std::string_view column,
                            const ScanOptions& options = {}) const;

  // Streams what the commits after `after`, up to commit(), changed in a table: in the order of
  // commits, and of keys within one. Each change comes once; a row that several commits changed
  // comes with each of them. The columns are
  //   _commit  uint64, the commit's number
  //   _kind    utf8, "upsert" or "delete"
  //   the table's columns after the change. Of a delete all but the key are null, so these fields
  //     are nullable whatever the table's are.
  // With before_images the kinds are "insert", "update" and "delete", and for each column that is
  // not of the key there is another one with the prefix "_before_", null of an insert: the newest
  // value before that commit. "update" says that the row was written, not that a value differs.
  // A delete of a key that was not there changed nothing: it is left out with before_images;
  // without them nobody looks, and it comes as every delete.
  // A batch holds whole commits; one of more than batch_rows_max changes comes in several, alone.
  // Reads no file that holds none of these commits, except to look before images up; memory is
  // bounded whatever the number of changes.
  // Errors: Invalid (`after` is later than commit(); as Scan; a column of the table that has the
  // name of one of the above: leave it out), NotFound (table, column).
  Result<std::shared_ptr<arrow::RecordBatchReader>> Changes(
      std::string_view table, CommitNumber after, const ChangesOptions& options = {}) const;

  // Looks rows up by key without a scan. `keys` has the key columns, by name. The result has all
  // columns, one row for each key found, in the order of `keys`; keys not there are left out.
  // `found`, when given, gets one flag per row of `keys`.
  Result<std::shared_ptr<arrow::RecordBatch>> Get(std::string_view table,
                                                  const std::shared_ptr<arrow::RecordBatch>& keys,
                                                  std::vector<bool>* found = nullptr) const;

  // For the engine; users get snapshots from Database::GetSnapshot.
  Snapshot(std::shared_ptr<const Superversion> superversion, CommitNumber commit);

 private:
  std::shared_ptr<const Superversion> superversion_;
  CommitNumber commit_;
};

// Parses a filter, for example: a > 3 and (b in ('x','y') or c is null) and d between 1 and 9 and
// e like 'abc%' and not f. Columns, literals, + - * /, timestamps and dates as strings. Column
// names and literal types are checked against `schema`; an error shows the text with a caret under
// the place. From any thread, as ParseSchema.
Result<std::shared_ptr<const arrow::compute::Expression>> ParseFilter(
    std::string_view text, const std::shared_ptr<arrow::Schema>& schema);

// Parses a schema, for example: id int64, name utf8, at timestamp[us, UTC], tags list<utf8>.
// "not null" after a type makes a column required. Errors show the place with a caret.
Result<std::shared_ptr<arrow::Schema>> ParseSchema(std::string_view text);

// The Error that a reader's arrow::Status carries; one that was cancelled by a stop token becomes
// Invalid/kClosed, a plain Arrow error Internal or, for I/O, Unavailable.
Error ErrorFromArrow(const arrow::Status& status);

}  // namespace varve
