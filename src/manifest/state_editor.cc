// SPDX-License-Identifier: Apache-2.0
#include "manifest/state_editor.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "base/result.h"
#include "columns/alter_schema.h"

namespace varve {
namespace {

constexpr std::size_t kTableNameBytesMax = 128;
constexpr std::size_t kTagNameBytesMax = 128;
constexpr std::size_t kObjectNameBytesMax = 1024;

bool IsNameByte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-' || c == '.';
}

// The grammar of files/object_store.h, and stricter: no part is empty or starts with '.'.
bool IsObjectName(std::string_view name) {
  if (name.size() > kObjectNameBytesMax) return false;
  bool part_starts = true;
  for (const char c : name) {
    if (part_starts ? !IsNameByte(c) || c == '.' : !IsNameByte(c) && c != '/') return false;
    part_starts = c == '/';
  }
  return !part_starts;  // neither empty nor ending with '/'
}

Status CheckRunObject(const RunObject& object, std::string_view what) {
  if (object.name.empty()) {
    if (object.bytes == 0 && object.rows == 0 && object.data_bytes == 0) return {};
    return Fail(ErrorKind::kInvalid, fmt::format("its {} object has a size but no name", what));
  }
  if (!IsObjectName(object.name)) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("\"{}\" is no name for its {} object: expected letters, digits, "
                            "\"._-\" and \"/\", no part empty or starting with \".\"",
                            object.name, what));
  }
  constexpr std::uint64_t kMax = UINT64_MAX / 4;  // so that totals of two objects cannot overflow
  if (object.rows == 0 || object.rows > kMax || object.bytes > kMax ||
      object.data_bytes > object.bytes) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("its {} object {} has {} rows, and {} bytes of row groups in a file of "
                            "{}: expected at least one row, and not more bytes than the file has",
                            what, object.name, object.rows, object.data_bytes, object.bytes));
  }
  return {};
}

Status CheckHidden(const RunMeta& run, std::uint64_t from) {
  if (from >= run.max_commit && from >= run.shown_from) return {};
  return Fail(ErrorKind::kInvalid,
              fmt::format("hidden from commit {} on: expected one not before its last, {}, nor "
                          "before that from which it is shown, {}",
                          from, run.max_commit, run.shown_from));
}

Status CheckRun(const RunMeta& run) {
  if (run.id == 0 || run.id > kRunIdMax) {
    return Fail(ErrorKind::kInvalid, fmt::format("expected an id from 1 to {}", kRunIdMax));
  }
  if (run.level > kLevelMax) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("level {}: expected at most {}", run.level, kLevelMax));
  }
  VARVE_TRY(CheckRunObject(run.data, "data"));
  VARVE_TRY(CheckRunObject(run.deletes, "deletes"));
  if (run.data.name.empty() && run.deletes.name.empty()) {
    return Fail(ErrorKind::kInvalid, "it has neither a data nor a deletes object");
  }
  if (run.min_key > run.max_key) {
    return Fail(ErrorKind::kInvalid, "its smallest key is greater than its largest");
  }
  if (run.min_commit == 0 || run.min_commit > run.max_commit) {
    return Fail(ErrorKind::kInvalid, fmt::format("commits {} to {}: expected 1 <= first <= last",
                                                 run.min_commit, run.max_commit));
  }
  if (run.shown_from != 0 && run.shown_from < run.max_commit) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("shown from commit {} on: expected one not before its last, {}",
                            run.shown_from, run.max_commit));
  }
  return run.hidden_from == 0 ? Status() : CheckHidden(run, run.hidden_from);
}

bool InOrder(const std::shared_ptr<const RunMeta>& a, const std::shared_ptr<const RunMeta>& b) {
  return std::tie(a->level, a->id) < std::tie(b->level, b->id);
}

}  // namespace

Status CheckTableName(std::string_view name) {
  const bool sound = !name.empty() && name.size() <= kTableNameBytesMax && name.front() != '.' &&
                     name.front() != '-' && name.find("..") == std::string_view::npos &&
                     std::ranges::all_of(name, IsNameByte);
  if (sound) return {};
  return Fail(ErrorKind::kInvalid,
              fmt::format("\"{}\" is no table name: expected 1 to {} letters, digits, \"_\", \"-\" "
                          "and \".\", not starting with \"-\" or \".\", without \"..\"",
                          name.substr(0, kTableNameBytesMax), kTableNameBytesMax));
}

Status CheckTagName(std::string_view name) {
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  const bool sound = !name.empty() && name.size() <= kTagNameBytesMax && is_letter(name.front()) &&
                     std::ranges::all_of(name, IsNameByte);
  if (sound) return {};
  return Fail(ErrorKind::kInvalid,
              fmt::format("\"{}\" is no tag name: expected 1 to {} letters, digits, \"_\", \"-\" "
                          "and \".\", beginning with a letter or \"_\" (anything else could be "
                          "taken for a commit number or a time)",
                          name.substr(0, kTagNameBytesMax), kTagNameBytesMax));
}

Status SetTimes(const AddTimesEdit& edit, std::vector<VersionPoint>* versions) {
  const auto newest = versions->empty() ? CommitNumber{} : versions->back().commit;
  const bool bounded = versions->size() > 1;
  const auto before = bounded ? (*versions)[versions->size() - 2].commit : CommitNumber{};
  const auto first = edit.times.first;
  if (versions->empty() || edit.commit != newest || versions->back().times || first <= before ||
      first > newest || (bounded && first.value != before.value + 1)) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("times of commits {} to {}: expected those from {} to {}, the newest "
                            "version's, once",
                            first.value, edit.commit.value, before.value + 1, newest.value));
  }
  versions->back().times = edit.times;
  return {};
}

Status StateEditor::Apply(const Edit& edit) {
  if (const auto* create = std::get_if<CreateTableEdit>(&edit)) return Create(*create);
  if (const auto* add = std::get_if<AddRunEdit>(&edit)) return Add(*add);
  if (const auto* remove = std::get_if<RemoveRunEdit>(&edit)) return Remove(*remove);
  if (const auto* hide = std::get_if<HideRunEdit>(&edit)) return Hide(*hide);
  if (const auto* move = std::get_if<MoveRunEdit>(&edit)) return Move(*move);
  if (const auto* note = std::get_if<NoteProducerEdit>(&edit)) return Note(*note);
  if (const auto* drop = std::get_if<DropTableEdit>(&edit)) return Drop(*drop);
  if (const auto* rename = std::get_if<RenameTableEdit>(&edit)) return Rename(*rename);
  if (const auto* alter = std::get_if<AlterTableEdit>(&edit)) return Alter(*alter);
  if (const auto* times = std::get_if<AddTimesEdit>(&edit)) {
    return SetTimes(*times, &state_.versions);
  }
  if (const auto* tag = std::get_if<TagEdit>(&edit)) return Tag(*tag);
  if (const auto* untag = std::get_if<UntagEdit>(&edit)) return Untag(*untag);
  if (const auto* retire = std::get_if<RetireEdit>(&edit)) return Retire(*retire);
  if (const auto* history = std::get_if<SetHistoryEdit>(&edit)) return Set(*history);
  return Advance(std::get<AdvanceEdit>(edit));
}

Status StateEditor::CheckIsFree(const std::string& name) const {
  VARVE_TRY(CheckTableName(name));
  if (!state_.tables.contains(name)) return {};
  return Fail(ErrorKind::kConflict,
              fmt::format("table {} exists already; use it, or choose another name", name),
              ErrorReason::kAlreadyExists);
}

// But for its name.
Status StateEditor::CheckIsNew(const CreateTableEdit& table) const {
  if (table.id == 0 || table.id > kTableIdMax || state_.FindTable(table.id) != nullptr ||
      state_.dropped.contains(table.id)) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("table {} cannot have id {}: expected an unused one from 1 to {}, for "
                            "example {}",
                            table.name, table.id, kTableIdMax, state_.next_table_id));
  }
  if (table.schema != nullptr) return {};
  return Fail(ErrorKind::kInvalid, fmt::format("table {} has no schema", table.name));
}

void StateEditor::Own(const CreateTableEdit& table, CommitNumber dropped) {
  auto made = std::make_shared<TableState>();
  made->id = table.id;
  made->name = table.name;
  made->schema_id = table.schema_id;
  made->schema = table.schema;
  made->dropped = dropped;
  own_[table.id] = made.get();
  if (dropped == CommitNumber{}) {
    state_.tables.emplace(table.name, std::move(made));
  } else {
    state_.dropped.emplace(table.id, std::move(made));
    state_.changed = std::max(state_.changed, dropped);
  }
  state_.next_table_id = std::max(state_.next_table_id, table.id + 1);
}

Status StateEditor::Create(const CreateTableEdit& edit) {
  VARVE_TRY(CheckIsFree(edit.name));
  VARVE_TRY(CheckIsNew(edit));
  Own(edit, {});
  return {};
}

Status StateEditor::Restore(const CreateTableEdit& table, CommitNumber dropped) {
  VARVE_TRY(dropped == CommitNumber{} ? CheckIsFree(table.name) : CheckTableName(table.name));
  VARVE_TRY(CheckIsNew(table));
  Own(table, dropped);
  return {};
}

// From the oldest to the one before the present.
Status StateEditor::Restore(std::uint32_t table_id, std::uint32_t schema_id,
                            std::shared_ptr<const TableSchema> former) {
  TableState* const table = Mutable(table_id);
  VARVE_CHECK(table != nullptr);
  auto& schemas = table->former_schemas;
  if (schema_id >= table->schema_id || (!schemas.empty() && schema_id <= schemas.rbegin()->first)) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("table {}: expected its former schemas by id, below {}, found {}",
                            table->name, table->schema_id, schema_id));
  }
  if (!schemas.empty()) VARVE_TRY(CheckFollows(*schemas.rbegin()->second, *former));
  VARVE_TRY(CheckFollows(*former, *table->schema));
  schemas.emplace_hint(schemas.end(), schema_id, std::move(former));
  return {};
}

Status StateEditor::Restore(std::uint32_t table_id, const FormerShape& shape) {
  TableState* const table = Mutable(table_id);
  VARVE_CHECK(table != nullptr);
  VARVE_TRY(CheckTableName(shape.name));
  if (table->FindSchema(shape.schema_id) == nullptr) {
    return Fail(ErrorKind::kInvalid, fmt::format("table {} never had a schema {}", table->name,
                                                 shape.schema_id));
  }
  table->former.push_back(shape);
  state_.changed = std::max(state_.changed, shape.until);
  return {};
}

Status StateEditor::Add(const AddRunEdit& edit) {
  if (edit.run == nullptr) return Fail(ErrorKind::kInvalid, "an edit adds a run that is null");
  const RunMeta& run = *edit.run;
  const auto context = [&run] { return fmt::format("run {} of table {}", run.id, run.table_id); };
  if (auto status = CheckRun(run); !status) {
    return std::unexpected(status.error().Within(context()));
  }
  TableState* table = Mutable(run.table_id);
  if (table == nullptr) {
    return Fail(ErrorKind::kInvalid, context() + ": there is no table with this id");
  }
  if (table->FindSchema(run.schema_id) == nullptr) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("{}: expected schema {}, or one that the table had, found {}",
                            context(), table->schema_id, run.schema_id));
  }
  if (HasRun(run.id)) {
    return Fail(ErrorKind::kInvalid, context() + ": a run with this id is there already");
  }
  Insert(table, edit.run);
  state_.next_run_id = std::max(state_.next_run_id, run.id + 1);
  return {};
}

Result<StateEditor::FoundRun> StateEditor::FindRun(std::uint32_t table_id, std::uint64_t run_id,
                                                   std::string_view what) {
  TableState* table = Mutable(table_id);
  if (table == nullptr) table = MutableDropped(table_id);
  if (table != nullptr) {
    const auto at = table->FindRun(run_id);
    if (at != table->runs.end()) return FoundRun{table, at};
  }
  return Fail(ErrorKind::kInvalid, fmt::format("run {} of table {} cannot be {}: it is not there",
                                               run_id, table_id, what));
}

void StateEditor::Insert(TableState* table, std::shared_ptr<const RunMeta> run) {
  table->run_rows += run->data.rows + run->deletes.rows;
  table->run_bytes += run->data.bytes + run->deletes.bytes;
  auto& runs = table->runs;
  const auto place = runs.PartitionPoint([&](const auto& other) { return InOrder(other, run); });
  runs.Insert(place, std::move(run));
}

void StateEditor::Erase(const FoundRun& found) {
  const RunMeta& run = **found.at;
  found.table->run_rows -= run.data.rows + run.deletes.rows;
  found.table->run_bytes -= run.data.bytes + run.deletes.bytes;
  found.table->runs.Erase(found.at);
}

Status StateEditor::Hide(const HideRunEdit& edit) {
  VARVE_ASSIGN(const FoundRun found, FindRun(edit.table_id, edit.run_id, "hidden"));
  auto hidden = std::make_shared<RunMeta>(**found.at);
  if (hidden->hidden_from != 0) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("run {} of table {} cannot be hidden from commit {} on: it is from {} "
                            "on",
                            edit.run_id, edit.table_id, edit.from.value, hidden->hidden_from));
  }
  if (auto status = CheckHidden(*hidden, edit.from.value); !status) {
    return std::unexpected(
        status.error().Within(fmt::format("run {} of table {}", edit.run_id, edit.table_id)));
  }
  hidden->hidden_from = edit.from.value;
  found.table->runs.Replace(found.at, std::move(hidden));
  return {};
}

Status StateEditor::Move(const MoveRunEdit& edit) {
  VARVE_ASSIGN(const FoundRun found, FindRun(edit.table_id, edit.run_id, "moved"));
  auto moved = std::make_shared<RunMeta>(**found.at);
  moved->level = edit.level;
  if (auto status = CheckRun(*moved); !status) {
    return std::unexpected(
        status.error().Within(fmt::format("run {} of table {}", edit.run_id, edit.table_id)));
  }
  Erase(found);
  Insert(found.table, std::move(moved));
  return {};
}

Status StateEditor::Remove(const RemoveRunEdit& edit) {
  VARVE_ASSIGN(const FoundRun found, FindRun(edit.table_id, edit.run_id, "removed"));
  Erase(found);
  return {};
}

Status StateEditor::Advance(const AdvanceEdit& edit) {
  const auto back = [](std::string_view what, std::uint64_t from, std::uint64_t to) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("the {} cannot go back from {} to {}", what, from, to));
  };
  if (edit.commit < state_.commit) {
    return back("commit", state_.commit.value, edit.commit.value);
  }
  if (edit.floor < state_.log_floor) {
    return back("log floor", state_.log_floor.value, edit.floor.value);
  }
  if (edit.durable < state_.log_durable) {
    return back("durable position of the log", state_.log_durable.value, edit.durable.value);
  }
  if (edit.commit > state_.commit) {
    state_.versions.push_back({.commit = edit.commit, .time = edit.commit_time});
    ++new_versions_;
    state_.commit_time = edit.commit_time;
  }
  state_.commit = edit.commit;
  state_.log_floor = edit.floor;
  state_.log_durable = edit.durable;
  return {};
}

Status StateEditor::Note(const NoteProducerEdit& edit) {
  VARVE_TRY(CheckProducerId(edit.id));
  const CommitNumber newest = state_.producers.newest();
  const auto last = state_.producers.Find(edit.id);
  if (edit.mark.commit <= newest || edit.mark.commit > state_.commit ||
      (last && edit.mark.sequence <= last->sequence)) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("producer {} cannot have sequence {} in commit {}: expected a later "
                            "one than its last, {}, in a commit from {} to {}",
                            edit.id, edit.mark.sequence, edit.mark.commit.value,
                            last ? last->sequence : 0, newest.value + 1, state_.commit.value));
  }
  state_.producers.Note(edit.id, edit.mark);
  return {};
}

Result<TableState*> StateEditor::Change(std::uint32_t table_id, CommitNumber commit) {
  TableState* const table = Mutable(table_id);
  if (table == nullptr) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("table {} cannot be changed: it is not there", table_id));
  }
  if (commit != state_.commit || new_versions_ == 0) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("table {} cannot be changed by commit {}: expected the one that an "
                            "edit before this one advances to; the runs contain {}",
                            table->name, commit.value, state_.commit.value));
  }
  state_.changed = commit;
  return table;
}

void StateEditor::KeepShape(TableState* table, CommitNumber commit) {
  if (!table->former.empty() && table->former.back().until == commit) return;
  table->former.push_back({commit, table->name, table->schema_id});
}

Status StateEditor::Drop(const DropTableEdit& edit) {
  VARVE_ASSIGN(TableState* const table, Change(edit.table_id, edit.commit));
  table->dropped = edit.commit;
  table->runs.Share();
  auto node = state_.tables.extract(table->name);
  state_.dropped.emplace(edit.table_id, std::move(node.mapped()));
  own_.erase(edit.table_id);
  return {};
}

Status StateEditor::Rename(const RenameTableEdit& edit) {
  VARVE_ASSIGN(TableState* const table, Change(edit.table_id, edit.commit));
  VARVE_TRY(CheckIsFree(edit.name));
  KeepShape(table, edit.commit);
  auto node = state_.tables.extract(table->name);
  node.key() = table->name = edit.name;
  state_.tables.insert(std::move(node));
  return {};
}

Status StateEditor::Alter(const AlterTableEdit& edit) {
  VARVE_ASSIGN(TableState* const table, Change(edit.table_id, edit.commit));
  if (edit.schema == nullptr || edit.schema_id <= table->schema_id) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("table {} cannot get schema {} after {}: expected one with a later id",
                            table->name, edit.schema_id, table->schema_id));
  }
  if (const auto follows = CheckFollows(*table->schema, *edit.schema); !follows) {
    return std::unexpected(follows.error().Within(fmt::format("table {}", table->name)));
  }
  KeepShape(table, edit.commit);
  table->former_schemas[table->schema_id] = table->schema;
  table->schema_id = edit.schema_id;
  table->schema = edit.schema;
  return {};
}

Status StateEditor::Tag(const TagEdit& edit) {
  VARVE_TRY(CheckTagName(edit.name));
  if (const auto at = state_.tags.find(edit.name); at != state_.tags.end()) {
    return Fail(ErrorKind::kConflict,
                fmt::format("tag {} exists already: it names commit {}", edit.name,
                            at->second.commit.value),
                ErrorReason::kAlreadyExists);
  }
  if (state_.tags.size() == kTagsMax) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("there are {} tags, which is the most; remove one first", kTagsMax));
  }
  state_.tags.emplace(edit.name, edit.tag);
  return {};
}

Status StateEditor::Untag(const UntagEdit& edit) {
  if (state_.tags.erase(edit.name) > 0) return {};
  return Fail(ErrorKind::kInvalid, fmt::format("tag {} is not there", edit.name));
}

bool StateEditor::HasTagBefore(CommitNumber commit) const {
  return std::ranges::any_of(state_.tags,
                             [commit](const auto& tag) { return tag.second.commit < commit; });
}

void StateEditor::ForgetShapes(TableState* table) const {
  const auto is_needed = [this](const FormerShape& shape) {
    return shape.until > state_.oldest || HasTagBefore(shape.until);
  };
  // The last one with other columns says when they changed: a write that began before has to know.
  const CommitNumber altered = table->altered();
  const auto first_needed = std::ranges::find_if(table->former, [&](const FormerShape& shape) {
    return is_needed(shape) || (altered != CommitNumber{} && shape.until >= altered);
  });
  table->former.erase(table->former.begin(), first_needed);
  std::uint32_t first = table->schema_id;
  for (const FormerShape& shape : table->former) first = std::min(first, shape.schema_id);
  for (const auto& run : table->runs) first = std::min(first, run->schema_id);
  auto& schemas = table->former_schemas;
  schemas.erase(schemas.begin(), schemas.lower_bound(first));
}

Status StateEditor::Retire(const RetireEdit& edit) {
  if (new_versions_ > 0) return Fail(ErrorKind::kInvalid, "a retire comes with no new version");
  if (edit.oldest < state_.oldest || edit.oldest > state_.commit) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("the oldest readable commit cannot be {}: expected one from {} to {}",
                            edit.oldest.value, state_.oldest.value, state_.commit.value));
  }
  state_.oldest = edit.oldest;
  std::erase_if(state_.versions,
                [&](const VersionPoint& version) { return version.commit < edit.oldest; });
  std::erase_if(state_.dropped, [&](const auto& dropped) {
    const TableState& table = *dropped.second;
    const bool gone =
        table.runs.empty() && table.dropped <= edit.oldest && !HasTagBefore(table.dropped);
    if (gone) own_dropped_.erase(table.id);
    return gone;
  });
  state_.changed = {};
  std::vector<std::uint32_t> shaped;
  for (const auto& [name, table] : state_.tables) {
    if (!table->former.empty() || !table->former_schemas.empty()) shaped.push_back(table->id);
  }
  for (const std::uint32_t id : shaped) {
    TableState* const table = Mutable(id);
    ForgetShapes(table);
    if (!table->former.empty()) {
      state_.changed = std::max(state_.changed, table->former.back().until);
    }
  }
  for (const auto& [id, table] : state_.dropped) {
    state_.changed = std::max(state_.changed, table->dropped);
  }
  return {};
}

Status StateEditor::Set(const SetHistoryEdit& edit) {
  if (edit.micros < 0) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("a history of {} microseconds: expected at least 0", edit.micros));
  }
  state_.history_micros = edit.micros;
  return {};
}

TableState* StateEditor::Mutable(std::uint32_t table_id) {
  if (const auto at = own_.find(table_id); at != own_.end()) return at->second;
  const TableState* table = state_.FindTable(table_id);
  if (table == nullptr) return nullptr;
  auto copy = std::make_shared<TableState>(*table);
  TableState* const own = own_[table_id] = copy.get();
  state_.tables[own->name] = std::move(copy);
  return own;
}

TableState* StateEditor::MutableDropped(std::uint32_t table_id) {
  if (const auto own = own_dropped_.find(table_id); own != own_dropped_.end()) return own->second;
  const auto at = state_.dropped.find(table_id);
  if (at == state_.dropped.end()) return nullptr;
  auto copy = std::make_shared<TableState>(*at->second);
  TableState* const own = own_dropped_[table_id] = copy.get();
  at->second = std::move(copy);
  return own;
}

// Ids from next_run_id on are new, which is nearly always so.
bool StateEditor::HasRun(std::uint64_t run_id) const {
  if (run_id >= state_.next_run_id) return false;
  const auto has = [&](const auto& named) {
    return named.second->FindRun(run_id) != named.second->runs.end();
  };
  return std::ranges::any_of(state_.tables, has) || std::ranges::any_of(state_.dropped, has);
}

ManifestState StateEditor::Finish(std::uint64_t number) {
  VARVE_CHECK(number > state_.number && number <= kManifestNumberMax);
  state_.number = number;
  if (new_versions_ > 0) {
    VersionPoint totals;
    for (const auto& [name, table] : state_.tables) {
      totals.runs += table->runs.size();
      totals.rows += table->run_rows;
      totals.bytes += table->run_bytes;
    }
    for (auto at = state_.versions.end() - static_cast<std::ptrdiff_t>(new_versions_);
         at != state_.versions.end(); ++at) {
      at->number = number;
      at->runs = totals.runs;
      at->rows = totals.rows;
      at->bytes = totals.bytes;
    }
  }
  for (auto* own : {&own_, &own_dropped_}) {
    for (const auto& [id, table] : *own) table->runs.Share();
    own->clear();
  }
  new_versions_ = 0;
  return std::move(state_);
}

}  // namespace varve
