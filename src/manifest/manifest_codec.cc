// SPDX-License-Identifier: Apache-2.0
#include "manifest/manifest_codec.h"

#include <charconv>
#include <utility>

#include <arrow/type.h>
#include <fmt/format.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/result.h"
#include "columns/expiry.h"
#include "manifest/json_line.h"
#include "manifest/manifest_lines.h"
#include "manifest/state_editor.h"

namespace varve {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr std::size_t kNumberDigits = 20;

std::string CrcText(std::uint32_t crc) { return fmt::format("{:08x}", crc); }

std::string ColumnsText(const TableSchema& schema) {
  std::string out;
  for (const auto& field : schema.schema()->fields()) {
    if (!out.empty()) out += ", ";
    out += field->name() + ' ' + field->type()->ToString();
    if (!field->nullable()) out += " not null";
  }
  return out;
}

std::string KeyText(const TableSchema& schema) {
  return fmt::format("{}", fmt::join(schema.key_names(), ", "));
}

void AddSchema(std::uint32_t schema_id, const TableSchema& schema, OrderedJson* line) {
  (*line)["schema_id"] = schema_id;
  (*line)["columns"] = ColumnsText(schema);
  (*line)["key"] = KeyText(schema);
  if (schema.lifetime()) (*line)["time_to_live"] = DescribeTimeToLive(schema);
  (*line)["schema"] = ToHex(schema.Serialize());
}

OrderedJson TableLine(const char* kind, std::uint32_t id, const std::string& name,
                      std::uint32_t schema_id, const TableSchema& schema) {
  OrderedJson line = {{"kind", kind}, {"table", id}, {"name", name}};
  AddSchema(schema_id, schema, &line);
  return line;
}

void AddRunObject(const std::string& what, const RunObject& object, OrderedJson* line) {
  (*line)[what] = object.name;
  (*line)[what + "_file_bytes"] = object.bytes;
  (*line)[what + "_rows"] = object.rows;
  (*line)[what + "_data_bytes"] = object.data_bytes;
  (*line)[what + "_tail_crc32c"] = CrcText(object.tail_crc32c);
  if (!object.file_key.empty()) (*line)[what + "_file_key"] = ToHex(object.file_key);
}

OrderedJson RunLine(const char* kind, const RunMeta& run) {
  OrderedJson line = {{"kind", kind},
                      {"run", run.id},
                      {"table", run.table_id},
                      {"schema_id", run.schema_id},
                      {"level", run.level}};
  AddRunObject("data", run.data, &line);
  AddRunObject("deletes", run.deletes, &line);
  line["min_key"] = ToHex(run.min_key);
  line["max_key"] = ToHex(run.max_key);
  line["min_commit"] = run.min_commit;
  line["max_commit"] = run.max_commit;
  line["distinct_keys"] = run.distinct_keys;
  if (run.shown_from != 0) line["shown_from"] = run.shown_from;
  if (run.hidden_from != 0) line["hidden_from"] = run.hidden_from;
  return line;
}

OrderedJson LineOf(const CreateTableEdit& edit) {
  return TableLine("create_table", edit.id, edit.name, edit.schema_id, *edit.schema);
}
OrderedJson LineOf(const AddRunEdit& edit) { return RunLine("add_run", *edit.run); }
OrderedJson LineOf(const MoveRunEdit& edit) {
  return {{"kind", "move_run"},
          {"table", edit.table_id},
          {"run", edit.run_id},
          {"level", edit.level}};
}

OrderedJson LineOf(const HideRunEdit& edit) {
  return {{"kind", "hide_run"},
          {"table", edit.table_id},
          {"run", edit.run_id},
          {"from", edit.from.value}};
}
OrderedJson LineOf(const RemoveRunEdit& edit) {
  return {{"kind", "remove_run"}, {"table", edit.table_id}, {"run", edit.run_id}};
}
OrderedJson LineOf(const AdvanceEdit& edit) {
  return {{"kind", "advance"},
          {"commit", edit.commit.value},
          {"commit_time", edit.commit_time.micros},
          {"floor", edit.floor.value},
          {"durable", edit.durable.value}};
}
OrderedJson ProducerLine(const char* kind, const std::string& id, const ProducerMark& mark) {
  return {{"kind", kind}, {"id", id}, {"sequence", mark.sequence}, {"commit", mark.commit.value}};
}
OrderedJson LineOf(const NoteProducerEdit& edit) {
  return ProducerLine("note_producer", edit.id, edit.mark);
}

OrderedJson LineOf(const DropTableEdit& edit) {
  return {{"kind", "drop_table"}, {"table", edit.table_id}, {"commit", edit.commit.value}};
}
OrderedJson LineOf(const RenameTableEdit& edit) {
  return {{"kind", "rename_table"},
          {"table", edit.table_id},
          {"commit", edit.commit.value},
          {"name", edit.name}};
}

OrderedJson LineOf(const AlterTableEdit& edit) {
  OrderedJson line = {
      {"kind", "alter_table"}, {"table", edit.table_id}, {"commit", edit.commit.value}};
  AddSchema(edit.schema_id, *edit.schema, &line);
  return line;
}

// An older varve does not know a schema with ids: the line's kind tells it.
const char* KindOf(const TableState& table) {
  if (table.dropped != CommitNumber{}) return "dropped_table";
  return table.schema->plain() ? "table" : "altered_table";
}

void WriteTable(const TableState& table, LineWriter* out) {
  auto line = TableLine(KindOf(table), table.id, table.name, table.schema_id, *table.schema);
  if (table.dropped != CommitNumber{}) line["commit"] = table.dropped.value;
  out->Add(JsonText(line));
  for (const auto& [id, schema] : table.former_schemas) {
    OrderedJson former = {{"kind", "former_schema"}, {"table", table.id}};
    AddSchema(id, *schema, &former);
    out->Add(JsonText(former));
  }
  for (const FormerShape& shape : table.former) {
    out->Add(JsonText({{"kind", "former"},
                       {"table", table.id},
                       {"until", shape.until.value},
                       {"name", shape.name},
                       {"schema_id", shape.schema_id}}));
  }
  for (const auto& run : table.runs) out->Add(JsonText(RunLine("run", *run)));
}

OrderedJson TimesLine(const char* kind, CommitNumber commit, const TimesObject& times) {
  OrderedJson line = {{"kind", kind},
                      {"commit", commit.value},
                      {"first", times.first.value},
                      {"min_time", times.min_time.micros},
                      {"bytes", times.bytes},
                      {"crc32c", CrcText(times.crc32c)}};
  if (!times.file_key.empty()) line["file_key"] = ToHex(times.file_key);
  return line;
}
OrderedJson LineOf(const AddTimesEdit& edit) {
  return TimesLine("add_times", edit.commit, edit.times);
}
OrderedJson TagLine(const char* kind, const std::string& name, const TagState& tag) {
  return {{"kind", kind},
          {"name", name},
          {"commit", tag.commit.value},
          {"commit_time", tag.commit_time.micros},
          {"made", tag.made.micros}};
}
OrderedJson LineOf(const TagEdit& edit) { return TagLine("tag", edit.name, edit.tag); }
OrderedJson LineOf(const UntagEdit& edit) { return {{"kind", "untag"}, {"name", edit.name}}; }

OrderedJson LineOf(const RetireEdit& edit) {
  return {{"kind", "retire"}, {"commit", edit.oldest.value}};
}

OrderedJson LineOf(const SetHistoryEdit& edit) {
  return {{"kind", "set_history"}, {"micros", edit.micros}};
}

void WriteState(const ManifestState& state, LineWriter* out) {
  OrderedJson head = {{"kind", "state"},
                      {"commit", state.commit.value},
                      {"commit_time", state.commit_time.micros},
                      {"floor", state.log_floor.value},
                      {"durable", state.log_durable.value},
                      {"next_table_id", state.next_table_id},
                      {"next_run_id", state.next_run_id}};
  if (state.oldest != CommitNumber{}) head["oldest"] = state.oldest.value;
  if (state.history_micros != kHistoryMicros) head["history"] = state.history_micros;
  out->Add(JsonText(head));
  for (const auto& [name, table] : state.tables) WriteTable(*table, out);
  for (const auto& [id, table] : state.dropped) WriteTable(*table, out);
  for (const auto& version : state.versions) {
    out->Add(JsonText({{"kind", "version"},
                       {"number", version.number},
                       {"commit", version.commit.value},
                       {"time", version.time.micros},
                       {"runs", version.runs},
                       {"rows", version.rows},
                       {"bytes", version.bytes}}));
    if (version.times) out->Add(JsonText(TimesLine("times", version.commit, *version.times)));
  }
  for (const auto& [commit, id] : state.producers.by_commit()) {
    out->Add(JsonText(ProducerLine("producer", id, state.producers.by_id().at(id))));
  }
  for (const auto& [name, tag] : state.tags) out->Add(JsonText(TagLine("tagged", name, tag)));
}

// Equal states have equal lines.
std::string StateText(const ManifestState& state) {
  LineWriter out(state.number);
  WriteState(state, &out);
  return out.Take();
}

Status Agree(const ManifestState& state, const ManifestHeader& header) {
  if (state.commit == header.commit && state.commit_time == header.commit_time) return {};
  return Fail(ErrorKind::kCorruption,
              fmt::format("expected the header to say commit {} of time {}, found {} of {}",
                          state.commit.value, state.commit_time.micros, header.commit.value,
                          header.commit_time.micros));
}

}  // namespace

std::uint64_t LinesOf(const ManifestState& state) {
  std::uint64_t lines = 1 + state.producers.by_id().size() + state.tags.size();
  const auto add = [&](const TableState& table) {
    lines += 1 + table.former_schemas.size() + table.former.size() + table.runs.size();
  };
  for (const auto& [name, table] : state.tables) add(*table);
  for (const auto& [id, table] : state.dropped) add(*table);
  return lines + 2 * state.versions.size();  // nearly all have times
}

std::string EncodeManifest(const ManifestState& state, const std::vector<Edit>& edits,
                           std::uint32_t previous_crc32c, WallTime time,
                           const CheckpointPlace& place) {
  VARVE_CHECK(state.number > 0);
  const auto number = state.number;
  // More checkpoints than the number tells are no harm to whoever expects fewer.
  const bool told = place.before >= CheckpointBefore(number) &&
                    (place.here || !IsCheckpointNumber(number));
  LineWriter out(number);
  OrderedJson header = {{"kind", "header"},
                        {"format", told ? kManifestFormat : kSparseManifestFormat},
                        {"database", state.database_id},
                        {"number", number},
                        {"previous", number - 1},
                        {"previous_crc32c", CrcText(previous_crc32c)},
                        {"commit", state.commit.value},
                        {"commit_time", state.commit_time.micros},
                        {"time", time.micros},
                        {"checkpoint", place.here}};
  if (!told) header["checkpoint_before"] = place.before;
  out.Add(JsonText(header));
  for (const auto& edit : edits) {
    out.Add(JsonText(std::visit([](const auto& one) { return LineOf(one); }, edit)));
  }
  if (place.here) WriteState(state, &out);
  out.Add(JsonText({{"kind", "end"}, {"lines", out.lines() + 1}}));
  return out.Take();
}

Result<std::shared_ptr<const ManifestState>> Replay(const ManifestState* before,
                                                    const ManifestObject& object) {
  const auto& header = object.header;
  std::shared_ptr<const ManifestState> after = object.checkpoint;
  if (before != nullptr) {
    if (header.number != before->number + 1) {
      return Fail(ErrorKind::kCorruption, fmt::format("expected number {}, found {}",
                                                      before->number + 1, header.number));
    }
    if (header.database_id != before->database_id) {
      return Fail(ErrorKind::kCorruption,
                  fmt::format("expected database {}, found {}: it belongs to another database",
                              before->database_id, header.database_id));
    }
    StateEditor editor(*before);
    for (const auto& edit : object.edits) VARVE_TRY(AsCorruption(editor.Apply(edit)));
    auto edited = editor.Finish(header.number);
    if (after != nullptr && StateText(*after) != StateText(edited)) {
      return Fail(ErrorKind::kCorruption, "expected the checkpoint to be the state of the object "
                                          "before it with the edits applied, found another");
    }
    after = std::make_shared<const ManifestState>(std::move(edited));
  }
  if (after == nullptr) {
    return Fail(ErrorKind::kCorruption, "expected a checkpoint, found edits only");
  }
  VARVE_TRY(Agree(*after, header));
  return after;
}

std::optional<std::uint64_t> ManifestNumber(std::string_view name) {
  if (!name.starts_with(kManifestPrefix)) return std::nullopt;
  const auto digits = name.substr(kManifestPrefix.size());
  if (digits.size() != kNumberDigits ||
      digits.find_first_not_of("0123456789") != std::string_view::npos) {
    return std::nullopt;
  }
  std::uint64_t number = 0;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  // Too large for 64 bits: a number too, but one that no manifest has.
  return parsed.ec == std::errc() ? number : UINT64_MAX;
}

std::string ManifestName(std::uint64_t number) {
  return fmt::format("{}{:020}", kManifestPrefix, number);
}

}  // namespace varve
