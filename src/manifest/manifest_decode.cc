// SPDX-License-Identifier: Apache-2.0
// Bytes to ManifestObject. Lines come checked (manifest_lines.h) and flat (json_line.h); here their
// order, their kinds and what they say are.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/cipher.h"
#include "base/result.h"
#include "manifest/json_line.h"
#include "manifest/manifest_codec.h"
#include "manifest/manifest_lines.h"
#include "manifest/state_editor.h"

namespace varve {
namespace {

constexpr std::size_t kDatabaseIdDigits = 32;

Result<std::shared_ptr<const TableSchema>> ReadSchema(const std::string& bytes) {
  auto schema = TableSchema::Parse(bytes);
  if (!schema) return std::unexpected(schema.error().Within("member \"schema\""));
  return schema;
}

// The members that say which columns there are.
struct SchemaMembers {
  std::uint32_t id = 0;
  std::string columns, key, time_to_live, bytes;

  void Take(JsonLine* line) {
    line->Take("schema_id", &id);
    line->Take("columns", &columns);
    line->Take("key", &key);
    // An older varve, which cannot know how rows expire, takes the member for a newer one's.
    if (line->Has("time_to_live")) line->Take("time_to_live", &time_to_live);
    line->TakeHex("schema", &bytes);
  }
};

// With `dropped`, also the commit that dropped it.
Result<CreateTableEdit> ReadTable(JsonLine* line, CommitNumber* dropped = nullptr) {
  CreateTableEdit edit;
  if (dropped != nullptr) line->Take("commit", &dropped->value);
  SchemaMembers schema;
  line->Take("table", &edit.id);
  line->Take("name", &edit.name);
  schema.Take(line);
  VARVE_TRY(line->Finish());
  edit.schema_id = schema.id;
  VARVE_ASSIGN(edit.schema, ReadSchema(schema.bytes));
  return edit;
}

// Of an encrypted file; others have none.
void TakeFileKey(const char* name, JsonLine* line, std::string* key) {
  if (line->Has(name)) line->TakeHex(name, kCipherKeyBytes, key);
}

void TakeRunObject(const std::string& what, JsonLine* line, RunObject* object) {
  line->Take(what.c_str(), &object->name);
  line->Take((what + "_file_bytes").c_str(), &object->bytes);
  line->Take((what + "_rows").c_str(), &object->rows);
  line->Take((what + "_data_bytes").c_str(), &object->data_bytes);
  line->TakeCrc((what + "_tail_crc32c").c_str(), &object->tail_crc32c);
  TakeFileKey((what + "_file_key").c_str(), line, &object->file_key);
}

Result<AddRunEdit> ReadRun(JsonLine* line) {
  RunMeta run;
  line->Take("run", &run.id);
  line->Take("table", &run.table_id);
  line->Take("schema_id", &run.schema_id);
  line->Take("level", &run.level);
  TakeRunObject("data", line, &run.data);
  TakeRunObject("deletes", line, &run.deletes);
  line->TakeHex("min_key", &run.min_key);
  line->TakeHex("max_key", &run.max_key);
  line->Take("min_commit", &run.min_commit);
  line->Take("max_commit", &run.max_commit);
  line->Take("distinct_keys", &run.distinct_keys);
  if (line->Has("shown_from")) line->Take("shown_from", &run.shown_from);
  if (line->Has("hidden_from")) line->Take("hidden_from", &run.hidden_from);
  VARVE_TRY(line->Finish());
  return AddRunEdit{std::make_shared<const RunMeta>(std::move(run))};
}

Result<VersionPoint> ReadVersion(JsonLine* line) {
  VersionPoint version;
  line->Take("number", &version.number);
  line->Take("commit", &version.commit.value);
  line->Take("time", &version.time.micros);
  line->Take("runs", &version.runs);
  line->Take("rows", &version.rows);
  line->Take("bytes", &version.bytes);
  VARVE_TRY(line->Finish());
  return version;
}

Result<NoteProducerEdit> ReadProducer(JsonLine* line) {
  NoteProducerEdit edit;
  line->Take("id", &edit.id);
  line->Take("sequence", &edit.mark.sequence);
  line->Take("commit", &edit.mark.commit.value);
  VARVE_TRY(line->Finish());
  return edit;
}

Result<FormerShape> ReadFormer(JsonLine* line, std::uint32_t* table) {
  FormerShape shape;
  line->Take("table", table);
  line->Take("until", &shape.until.value);
  line->Take("name", &shape.name);
  line->Take("schema_id", &shape.schema_id);
  VARVE_TRY(line->Finish());
  return shape;
}

// Also a former schema, which has no commit.
Result<AlterTableEdit> ReadAlter(JsonLine* line, bool has_commit) {
  AlterTableEdit edit;
  SchemaMembers schema;
  line->Take("table", &edit.table_id);
  if (has_commit) line->Take("commit", &edit.commit.value);
  schema.Take(line);
  VARVE_TRY(line->Finish());
  edit.schema_id = schema.id;
  VARVE_ASSIGN(edit.schema, ReadSchema(schema.bytes));
  return edit;
}

Result<AddTimesEdit> ReadTimes(JsonLine* line) {
  AddTimesEdit edit;
  line->Take("commit", &edit.commit.value);
  line->Take("first", &edit.times.first.value);
  line->Take("min_time", &edit.times.min_time.micros);
  line->Take("bytes", &edit.times.bytes);
  line->TakeCrc("crc32c", &edit.times.crc32c);
  TakeFileKey("file_key", line, &edit.times.file_key);
  VARVE_TRY(line->Finish());
  return edit;
}

Result<TagEdit> ReadTag(JsonLine* line) {
  TagEdit edit;
  line->Take("name", &edit.name);
  line->Take("commit", &edit.tag.commit.value);
  line->Take("commit_time", &edit.tag.commit_time.micros);
  line->Take("made", &edit.tag.made.micros);
  VARVE_TRY(line->Finish());
  return edit;
}

Result<UntagEdit> ReadUntag(JsonLine* line) {
  UntagEdit edit;
  line->Take("name", &edit.name);
  VARVE_TRY(line->Finish());
  return edit;
}

Result<Edit> ReadEdit(JsonLine* line) {
  const auto& kind = line->kind();
  if (kind == "create_table") return ReadTable(line);
  if (kind == "add_run") return ReadRun(line);
  if (kind == "note_producer") return ReadProducer(line);
  if (kind == "alter_table") return ReadAlter(line, true);
  if (kind == "add_times") return ReadTimes(line);
  if (kind == "tag") return ReadTag(line);
  if (kind == "untag") return ReadUntag(line);
  if (kind == "retire") {
    RetireEdit edit;
    line->Take("commit", &edit.oldest.value);
    VARVE_TRY(line->Finish());
    return edit;
  }
  if (kind == "set_history") {
    SetHistoryEdit edit;
    line->Take("micros", &edit.micros);
    VARVE_TRY(line->Finish());
    return edit;
  }
  if (kind == "move_run") {
    MoveRunEdit edit;
    line->Take("table", &edit.table_id);
    line->Take("run", &edit.run_id);
    line->Take("level", &edit.level);
    VARVE_TRY(line->Finish());
    return edit;
  }
  if (kind == "hide_run") {
    HideRunEdit edit;
    line->Take("table", &edit.table_id);
    line->Take("run", &edit.run_id);
    line->Take("from", &edit.from.value);
    VARVE_TRY(line->Finish());
    return edit;
  }
  if (kind == "remove_run") {
    RemoveRunEdit edit;
    line->Take("table", &edit.table_id);
    line->Take("run", &edit.run_id);
    VARVE_TRY(line->Finish());
    return edit;
  }
  if (kind == "drop_table") {
    DropTableEdit edit;
    line->Take("table", &edit.table_id);
    line->Take("commit", &edit.commit.value);
    VARVE_TRY(line->Finish());
    return edit;
  }
  if (kind == "rename_table") {
    RenameTableEdit edit;
    line->Take("table", &edit.table_id);
    line->Take("commit", &edit.commit.value);
    line->Take("name", &edit.name);
    VARVE_TRY(line->Finish());
    return edit;
  }
  AdvanceEdit edit;
  line->Take("commit", &edit.commit.value);
  line->Take("commit_time", &edit.commit_time.micros);
  line->Take("floor", &edit.floor.value);
  line->Take("durable", &edit.durable.value);
  VARVE_TRY(line->Finish());
  return edit;
}

constexpr std::string_view kEditKinds[] = {
    "create_table", "add_run", "hide_run", "move_run", "retire", "set_history", "remove_run",
    "advance", "note_producer",
    "drop_table",   "rename_table", "alter_table", "add_times",  "tag",     "untag"};

// Reads one object, line by line.
class Decoder {
 public:
  Decoder(std::string_view bytes, std::uint64_t number) : lines_(bytes, number), number_(number) {}

  Result<ManifestObject> Decode() {
    auto status = DecodeLines();
    if (!status) {
      return std::unexpected(
          status.error().Within(fmt::format("line {}, offset {}", line(), offset())));
    }
    return std::move(object_);
  }
  std::uint64_t line() const { return lines_.line(); }
  std::uint64_t offset() const { return lines_.offset(); }

 private:
  Status DecodeLines() {
    while (!ended_) {
      if (lines_.done()) {
        return Fail(ErrorKind::kCorruption,
                    fmt::format("expected a line \"end\" after this one, found the end of the "
                                "object after {} lines",
                                lines_.line()));
      }
      VARVE_ASSIGN(const auto text, lines_.Next());
      VARVE_ASSIGN(auto line, JsonLine::Parse(text));
      VARVE_TRY(lines_.line() == 1 ? Header(&line) : Line(&line));
    }
    if (!lines_.done()) {
      return Fail(ErrorKind::kCorruption, "expected nothing after the line \"end\", found more");
    }
    return {};
  }

  Status Header(JsonLine* line) {
    if (line->kind() != "header") {
      return Fail(ErrorKind::kCorruption, "expected the line \"header\", found \"" + line->kind() +
                                              "\"");
    }
    std::uint64_t format = 0;
    line->Take("format", &format);
    if (format > kSparseManifestFormat) {
      return Fail(ErrorKind::kInvalid,
                  fmt::format("format {}: this varve reads up to format {}; open the database with "
                              "a newer varve",
                              format, kSparseManifestFormat),
                  ErrorReason::kUnsupportedFormat);
    }
    auto& header = object_.header;
    std::uint64_t previous = 0;
    line->Take("database", &header.database_id);
    line->Take("number", &header.number);
    line->Take("previous", &previous);
    line->TakeCrc("previous_crc32c", &header.previous_crc32c);
    line->Take("commit", &header.commit.value);
    line->Take("commit_time", &header.commit_time.micros);
    line->Take("time", &header.time.micros);
    line->Take("checkpoint", &header.checkpoint);
    const bool sparse = format == kSparseManifestFormat;
    if (sparse) line->Take("checkpoint_before", &header.checkpoint_before);
    VARVE_TRY(line->Finish());
    if (header.number != number_ || previous != number_ - 1 ||
        (format != kManifestFormat && !sparse)) {
      return Fail(ErrorKind::kCorruption,
                  fmt::format("expected format 1 or 3, number {}, previous {}, found format {}, "
                              "number {}, previous {}",
                              number_, number_ - 1, format, header.number, previous));
    }
    if (number_ == 1 && (!header.checkpoint || header.previous_crc32c != 0)) {
      return Fail(ErrorKind::kCorruption,
                  "expected object 1 to be a checkpoint with nothing before it, found another");
    }
    if (sparse && (header.checkpoint_before == 0 || header.checkpoint_before >= number_)) {
      return Fail(ErrorKind::kCorruption,
                  fmt::format("expected a checkpoint from 1 to {} before this object, found {}",
                              number_ - 1, header.checkpoint_before));
    }
    return AsCorruption(CheckDatabaseId(header.database_id));
  }

  Status Line(JsonLine* line) {
    const auto& kind = line->kind();
    if (kind == "end") return End(line);
    if (state_seen_) {
      if (kind == "table" || kind == "altered_table") return TableLine(line);
      if (kind == "former_schema") return FormerSchemaLine(line);
      if (kind == "dropped_table") return DroppedLine(line);
      if (kind == "former") return FormerLine(line);
      if (kind == "run") return RunLine(line);
      if (kind == "version") return Version(line);
      if (kind == "times") return TimesLine(line);
      if (kind == "producer") return ProducerLine(line);
      if (kind == "tagged") return TaggedLine(line);
    } else {
      if (kind == "state" && object_.header.checkpoint) return State(line);
      if (std::ranges::find(kEditKinds, kind) != std::end(kEditKinds)) {
        VARVE_ASSIGN(auto edit, ReadEdit(line));
        object_.edits.push_back(std::move(edit));
        return {};
      }
    }
    return Fail(ErrorKind::kInvalid,
                fmt::format("this varve does not know a line \"{}\" at this place: a newer varve "
                            "wrote it; open the database with that one",
                            kind),
                ErrorReason::kUnsupportedFormat);
  }

  Status State(JsonLine* line) {
    line->Take("commit", &head_.commit.value);
    line->Take("commit_time", &head_.commit_time.micros);
    line->Take("floor", &head_.log_floor.value);
    line->Take("durable", &head_.log_durable.value);
    line->Take("next_table_id", &head_.next_table_id);
    line->Take("next_run_id", &head_.next_run_id);
    if (line->Has("oldest")) line->Take("oldest", &head_.oldest.value);
    if (line->Has("history")) line->Take("history", &head_.history_micros);
    if (head_.oldest > head_.commit || head_.history_micros < 0) {
      return Fail(ErrorKind::kCorruption,
                  fmt::format("oldest commit {}, history {}: expected none after commit {}, and "
                              "not less than 0",
                              head_.oldest.value, head_.history_micros, head_.commit.value));
    }
    state_seen_ = true;
    return line->Finish();
  }

  // Only the order that the writer gives is taken: with any other, loading could cost n^2.
  Status TableLine(JsonLine* line) {
    VARVE_ASSIGN(const auto table, ReadTable(line));
    if (dropped_ != CommitNumber{} || (table_ && table.name <= table_->name)) {
      return OutOfOrder("tables by name");
    }
    return Begin(table);
  }

  Status DroppedLine(JsonLine* line) {
    CommitNumber dropped;
    VARVE_ASSIGN(const auto table, ReadTable(line, &dropped));
    const bool first = dropped_ == CommitNumber{};
    if (dropped == CommitNumber{} || dropped > head_.commit || (!first && table.id <= table_->id)) {
      return OutOfOrder("dropped tables by id, by commits up to the state's");
    }
    dropped_ = dropped;
    return Begin(table);
  }

  Status Begin(const CreateTableEdit& table) {
      table_ = table;
    former_ = {};
      run_ = nullptr;
    return AsCorruption(editor_.Restore(table, dropped_));
    }

  Status FormerSchemaLine(JsonLine* line) {
    VARVE_ASSIGN(auto former, ReadAlter(line, false));
    if (!table_ || former.table_id != table_->id || run_ != nullptr || former_ != CommitNumber{}) {
      return OutOfOrder("a table's former schemas after it, before its former shapes");
    }
    return AsCorruption(
        editor_.Restore(former.table_id, former.schema_id, std::move(former.schema)));
  }

  Status FormerLine(JsonLine* line) {
    std::uint32_t table = 0;
    VARVE_ASSIGN(const auto shape, ReadFormer(line, &table));
    const CommitNumber end = dropped_ == CommitNumber{} ? head_.commit : dropped_;
    if (!table_ || table != table_->id || run_ != nullptr || shape.until <= former_ ||
        shape.until > end) {
      return OutOfOrder("a table's former shapes after it, by commits up to the state's");
    }
    former_ = shape.until;
    return AsCorruption(editor_.Restore(table, shape));
  }

  Status RunLine(JsonLine* line) {
    VARVE_ASSIGN(auto run, ReadRun(line));
    const auto place = [](const RunMeta& meta) { return std::pair(meta.level, meta.id); };
    if (!table_ || run.run->table_id != table_->id ||
        (run_ != nullptr && place(*run.run) <= place(*run_))) {
      return OutOfOrder("a table's runs after it, by level and id");
    }
    run_ = run.run;
    return AsCorruption(editor_.Apply(std::move(run)));
  }

  Status Version(JsonLine* line) {
    VARVE_ASSIGN(const auto version, ReadVersion(line));
    const auto& last = head_.versions.empty() ? VersionPoint{} : head_.versions.back();
    if (version.commit <= last.commit || version.number < last.number ||
        version.number > number_ || version.commit > head_.commit) {
      return OutOfOrder("versions by commit, none after the state's");
    }
    head_.versions.push_back(version);
    return {};
  }

  Status TimesLine(JsonLine* line) {
    VARVE_ASSIGN(const auto edit, ReadTimes(line));
    return AsCorruption(SetTimes(edit, &head_.versions));
  }

  Status TaggedLine(JsonLine* line) {
    VARVE_ASSIGN(auto edit, ReadTag(line));
    VARVE_TRY(AsCorruption(CheckTagName(edit.name)));
    const bool last = head_.tags.empty() || head_.tags.rbegin()->first < edit.name;
    if (!last || head_.tags.size() == kTagsMax) return OutOfOrder("tags by name, each once");
    head_.tags.emplace_hint(head_.tags.end(), std::move(edit.name), edit.tag);
    return {};
  }

  Status ProducerLine(JsonLine* line) {
    VARVE_ASSIGN(const auto note, ReadProducer(line));
    auto& producers = head_.producers;
    VARVE_TRY(AsCorruption(CheckProducerId(note.id)));
    if (note.mark.commit <= producers.newest() || note.mark.commit > head_.commit ||
        producers.Find(note.id) || producers.by_id().size() == kProducersMax) {
      return OutOfOrder("producers by commit, each once, none after the state's commit");
    }
    producers.Note(note.id, note.mark);
    return {};
  }

  Status End(JsonLine* line) {
    std::uint64_t count = 0;
    line->Take("lines", &count);
    VARVE_TRY(line->Finish());
    if (count != lines_.line() || object_.header.checkpoint != state_seen_) {
      return Fail(ErrorKind::kCorruption,
                  fmt::format("expected {} lines and {} state, found {} lines and {}", count,
                              object_.header.checkpoint ? "a" : "no", lines_.line(),
                              state_seen_ ? "one" : "none"));
    }
    ended_ = true;
    return state_seen_ ? FinishState() : Status();
  }

  Status FinishState() {
    ManifestState state = editor_.Finish(number_);
    if (head_.next_table_id < state.next_table_id || head_.next_run_id < state.next_run_id ||
        head_.next_table_id > kTableIdMax + 1 || head_.next_run_id > kRunIdMax + 1) {
      return Fail(ErrorKind::kCorruption,
                  fmt::format("expected next ids from {} (table) and {} (run), found {} and {}",
                              state.next_table_id, state.next_run_id, head_.next_table_id,
                              head_.next_run_id));
    }
    const auto newest = head_.versions.empty() ? CommitNumber{} : head_.versions.back().commit;
    if (newest != head_.commit) {
      return Fail(ErrorKind::kCorruption,
                  fmt::format("expected the newest version to be commit {}, found {}",
                              head_.commit.value, newest.value));
    }
    state.database_id = object_.header.database_id;
    state.commit = head_.commit;
    state.commit_time = head_.commit_time;
    state.log_floor = head_.log_floor;
    state.log_durable = head_.log_durable;
    state.next_table_id = head_.next_table_id;
    state.next_run_id = head_.next_run_id;
    state.versions = std::move(head_.versions);
    state.producers = std::move(head_.producers);
    state.tags = std::move(head_.tags);
    state.oldest = head_.oldest;
    state.history_micros = head_.history_micros;
    object_.checkpoint = std::make_shared<const ManifestState>(std::move(state));
    return {};
  }

  static Status OutOfOrder(std::string_view expected) {
    return Fail(ErrorKind::kCorruption, fmt::format("expected {}, found another order", expected));
  }

  LineReader lines_;
  const std::uint64_t number_;
  ManifestObject object_;
  bool state_seen_ = false;
  bool ended_ = false;
  ManifestState head_;                     // of the checkpoint: all but the tables
  StateEditor editor_{ManifestState{}};    // of the checkpoint: the tables
  std::optional<CreateTableEdit> table_;  // last "table" or "dropped_table"
  CommitNumber dropped_;                  // of the last "dropped_table"
  CommitNumber former_;                   // of the last "former" of it
  std::shared_ptr<const RunMeta> run_;     // last "run" of it
};

}  // namespace

Status CheckDatabaseId(std::string_view id) {
  const bool sound = id.size() == kDatabaseIdDigits &&
                     id.find_first_not_of("0123456789abcdef") == std::string_view::npos;
  if (sound) return {};
  return Fail(ErrorKind::kInvalid,
              "expected a database id of 32 lower-case hexadecimal digits, found another");
}

Status AsCorruption(Status status) {
  if (status || status.error().reason() == ErrorReason::kUnsupportedFormat) return status;
  return Fail(ErrorKind::kCorruption, status.error().message());
}

Result<ManifestObject> DecodeManifest(std::string_view bytes, std::uint64_t number,
                                      std::uint64_t* offset) {
  if (number == 0 || number > kManifestNumberMax) {
    if (offset != nullptr) *offset = 0;
    return Fail(ErrorKind::kCorruption,
                fmt::format("expected a manifest number from 1 to {}, found {}",
                            kManifestNumberMax, number));
  }
  Decoder decoder(bytes, number);
  auto object = decoder.Decode();
  if (!object && offset != nullptr) *offset = decoder.offset();
  return object;
}

std::string DescribeLine(std::string_view text) {
  auto line = JsonLine::Parse(text);
  return line ? line->Describe() : std::string(text);
}

std::optional<std::uint64_t> HeaderNumber(std::string_view text) {
  auto line = JsonLine::Parse(text);
  if (!line || line->kind() != "header") return std::nullopt;
  std::uint64_t number = 0;
  line->Take("number", &number);
  if (number == 0) return std::nullopt;
  return number;
}

}  // namespace varve
