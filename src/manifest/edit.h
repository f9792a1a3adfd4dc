// SPDX-License-Identifier: Apache-2.0
// Edit: one change of what is official. A manifest object is a list of them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>

#include "manifest/manifest_state.h"

namespace varve {

struct CreateTableEdit {
  std::uint32_t id = 0;
  std::string name;
  std::uint32_t schema_id = 0;
  std::shared_ptr<const TableSchema> schema;
};
struct AddRunEdit {
  std::shared_ptr<const RunMeta> run;
};
// Readers from commit `from` on take other runs instead, which are added with it (RunMeta).
struct HideRunEdit {
  std::uint32_t table_id = 0;
  std::uint64_t run_id = 0;
  CommitNumber from;
};
// To another level: its rows, and which readers take it, stay as they are.
struct MoveRunEdit {
  std::uint32_t table_id = 0;
  std::uint64_t run_id = 0;
  std::uint32_t level = 0;
};
struct RemoveRunEdit {
  std::uint32_t table_id = 0;
  std::uint64_t run_id = 0;
};
// The runs now contain all commits up to `commit`, and the log before `floor` is not needed. None
// of the three positions may go back. When `commit` grows it makes a VersionPoint at
// `commit_time`; when it stays, `commit_time` is not used.
struct AdvanceEdit {
  CommitNumber commit;
  WallTime commit_time;
  Lsn floor;
  Lsn durable;
};
// A commit of its own that drops or changes a table; comes after the AdvanceEdit to that commit.
// The runs hold every commit before it, and the log none of them after the new floor: so all that
// the log is needed for was written to the tables as they are from here on.
struct DropTableEdit {
  std::uint32_t table_id = 0;
  CommitNumber commit;
};
struct RenameTableEdit {
  std::uint32_t table_id = 0;
  CommitNumber commit;
  std::string name;
};
struct AlterTableEdit {
  std::uint32_t table_id = 0;
  CommitNumber commit;
  std::uint32_t schema_id = 0;  // larger than that of the schema before, which it follows
  std::shared_ptr<const TableSchema> schema;
};
// A producer's newest sequence; comes after the AdvanceEdit that covers its commit, and by commit.
struct NoteProducerEdit {
  std::string id;
  ProducerMark mark;
};
// The times of the version that the AdvanceEdit before made.
struct AddTimesEdit {
  CommitNumber commit;  // that version's
  TimesObject times;
};
struct TagEdit {
  std::string name;
  TagState tag;
};
struct UntagEdit {
  std::string name;
};
// Readers as of commits before this one are refused from now on, but for those of tags. What only
// they needed of the metadata goes; runs have been removed by edits before this one.
struct RetireEdit {
  CommitNumber oldest;
};
// For how long versions are to stay readable after newer ones are there.
struct SetHistoryEdit {
  std::int64_t micros = 0;
};
using Edit = std::variant<CreateTableEdit, AddRunEdit, HideRunEdit, MoveRunEdit, RemoveRunEdit,
                          AdvanceEdit, NoteProducerEdit, DropTableEdit, RenameTableEdit,
                          AlterTableEdit, AddTimesEdit, TagEdit, UntagEdit, RetireEdit,
                          SetHistoryEdit>;

}  // namespace varve
