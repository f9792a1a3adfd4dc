// SPDX-License-Identifier: Apache-2.0
// A commit on its way: its parts, what it must not find changed, and what its ack is waited for by.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "engine/commit_record.h"
#include "engine/footprint.h"
#include "engine/generation.h"
#include "engine/write_watch.h"
#include "manifest/manifest.h"
#include "varve/log.h"
#include "varve/types.h"
#include "view/superversion.h"

namespace varve {

struct PreparedWrite;  // write_request.h

// The error with the commit before its message, if there is memory for that.
Error InCommit(CommitNumber commit, const Error& error);

// One table's part of a commit, in both forms: for the memtable and for the log.
struct TablePart {
  WriteBatch batch;
  CommitPart record;
  std::shared_ptr<const TableSchema> schema;  // that of the table when this was made
};
// From here on the rows are ours: what the caller does to its arrays changes nothing, and the
// memtable holds what the log holds and a recovery would find.
Result<TablePart> MakePart(const TableView& table, WriteBatch batch);
Result<std::vector<TablePart>> MakeParts(const TableView& table, std::vector<WriteBatch> batches);
Status OwnTheRows(WriteBatch* batch);

// The error of what was not begun because something before it failed: it certainly was not done,
// whatever became of that.
std::unexpected<Error> NotBegun(std::string_view what, const Error& before);

// What a commit must not find changed since a snapshot; without a footprint it checks nothing.
struct CommitGuard {
  Footprint* footprint = nullptr;  // lent; is made ready when it is looked at first
  CommitNumber snapshot{};
  bool with_written = false;       // the parts' keys, which ascend, are of the footprint too
  CommitNumber checked{};          // commits up to here were looked at
  CommitNumber* winner = nullptr;  // when given: set to the commit that is in conflict
  bool alone = false;              // whoever commits holds Alone
};

// What a transaction begins with.
struct BegunTransaction {
  CommitNumber commit;
  std::shared_ptr<const Superversion> view;
};

// Memory for what a producer's commit is noted by.
struct ReadyMarks {
  ProducerMarks::Ready of_all;
  ProducerMarks::Ready of_active;
};

// A commit that has its number and its place in the log.
struct Placed {
  CommitNumber commit;
  LogTicket ticket;
  bool repeat = false;  // of the commit with this number; no more is set
  std::shared_ptr<Generation> generation;
  std::vector<std::shared_ptr<Memtable>> memtables;  // of the parts
};

// What a flush wrote, before it is official.
struct NewRuns {
  std::vector<Edit> edits;
  std::vector<std::shared_ptr<const Run>> opened;
};

// The last commit that changed or dropped a table.
struct LastChangeOfTable {
  const TableState* table;
  CommitNumber commit;  // zero: none
};

// A commit whose ack is still to be waited for; or none, when its ticket is that of nothing.
struct Submitted {
  CommitInfo info;  // all that is known before the ack
  LogTicket ticket;
  AckLevel ack = AckLevel::kDurable;
  WriteWatch watch;
};

}  // namespace varve
