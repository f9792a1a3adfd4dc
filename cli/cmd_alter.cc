// SPDX-License-Identifier: Apache-2.0
// varve alter: changes the columns of a table, in one commit and without rewriting a file.
#include <arrow/scalar.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <optional>

#include "commands.h"
#include "json_value.h"
#include "names.h"
#include "parse_cell.h"
#include "table.h"
#include "time_to_live.h"

namespace varve::cli {
namespace {

struct AlterArguments {
  std::string database;
  std::string table;
  std::vector<std::string> drop;
  std::vector<std::string> rename;
  std::vector<std::string> widen;
  std::vector<std::string> add;
  TimeToLiveFlags ttl;
  bool no_ttl = false;
};

Outcome<std::shared_ptr<arrow::Field>> ParseColumn(const std::string& flag,
                                                   const std::string& text) {
  CLI_ASSIGN(const auto schema, ParseSchemaFlag(text));
  if (schema->num_fields() == 1) return schema->field(0);
  return WrongUsage(fmt::format("{} \"{}\": expected one column; repeat the flag for more", flag,
                                text));
}

// The text between single quotes, in which '' is one of them. Nothing when it does not end so.
std::optional<std::string> Unquoted(std::string_view text) {
  std::string inside;
  for (std::size_t at = 1; at < text.size(); ++at) {
    if (text[at] == '\'') {
      if (++at == text.size()) return inside;
      if (text[at] != '\'') return std::nullopt;
    }
    inside.push_back(text[at]);
  }
  return std::nullopt;
}

// Text in single quotes, or a JSON value; for a column of text, anything else is the text itself.
Outcome<JsonValue> JsonOf(const arrow::DataType& type, const std::string& text) {
  if (text.starts_with('\'')) {
    auto inside = Unquoted(text);
    if (inside) return JsonValue{JsonKind::kString, *std::move(inside), {}, {}};
    return WrongUsage("default " + text + ": expected one ' at the end of the text, and '' for "
                                          "each inside it");
  }
  auto value = ParseJson(text);
  const bool fits = value && (!IsString(type) || value->kind == JsonKind::kString ||
                              value->kind == JsonKind::kNull);
  return fits ? *std::move(value) : JsonValue{JsonKind::kString, text, {}, {}};
}

Outcome<std::shared_ptr<arrow::Scalar>> ParseValue(const arrow::Field& field,
                                                   const std::string& text) {
  const auto type = PlainType(field.type());
  CLI_ARROW(auto builder, arrow::MakeBuilder(type));
  CLI_ASSIGN(const JsonValue value, JsonOf(*type, text));
  if (const auto why = AppendParsedJson(*type, value, builder.get())) {
    return WrongUsage(fmt::format("--add {}: default {}: {}", field.name(), text, *why));
  }
  std::shared_ptr<arrow::Array> plain;
  CLI_ARROW_TRY(builder->Finish(&plain));
  CLI_ARROW(const auto array, RestoreColumn(plain, field.type()));
  CLI_ARROW(auto scalar, array->GetScalar(0));
  return scalar;
}

// "name type [not null] [default VALUE]".
Outcome<ColumnChange> ParseAdd(const std::string& text) {
  constexpr std::string_view kDefault = " default ";
  const auto at = FindUnquoted(text, kDefault);
  CLI_ASSIGN(const auto field, ParseColumn("--add", text.substr(0, at)));
  AddColumn add{.field = field};
  if (at != std::string::npos) {
    std::string_view value = std::string_view(text).substr(at + kDefault.size());
    while (value.starts_with(' ')) value.remove_prefix(1);
    while (value.starts_with('\'') && value.ends_with(' ')) value.remove_suffix(1);
    CLI_ASSIGN(add.value, ParseValue(*field, std::string(value)));
  }
  return ColumnChange(std::move(add));
}

// A column and its new type, which "null" or "not null" may follow.
struct Widening {
  std::shared_ptr<arrow::Field> field;
  bool nullable_said = false;
};

Outcome<Widening> ParseWidening(const std::string& text) {
  std::string_view head = text;
  while (head.ends_with(' ')) head.remove_suffix(1);
  constexpr std::string_view kNull = " null";
  const auto same = [](unsigned char a, unsigned char b) { return std::tolower(a) == b; };
  if (head.size() > kNull.size() &&
      std::ranges::equal(head.substr(head.size() - kNull.size()), kNull, same)) {
    head.remove_suffix(kNull.size());
    // Not so when the word is the type, or "not" stands before it.
    if (const auto schema = ParseSchema(head); schema && (*schema)->num_fields() == 1) {
      return Widening{(*schema)->field(0), true};
    }
  }
  CLI_ASSIGN(auto field, ParseColumn("--widen", text));
  const bool said = !field->nullable();
  return Widening{std::move(field), said};
}

struct Changes {
  std::vector<ColumnChange> all;
  std::vector<std::size_t> silent;  // places of widenings that do not say whether null is allowed
};

Outcome<Changes> ParseChanges(const AlterArguments& options) {
  Changes changes;
  CLI_ASSIGN(const auto live, ParseTimeToLive(options.ttl));
  if (live && options.no_ttl) return WrongUsage("--ttl and --no-ttl exclude each other");
  if (options.no_ttl) changes.all.emplace_back(DropTimeToLive{});  // its column may go then
  for (const std::string& text : options.drop) {
    CLI_ASSIGN(auto name, ParseName("--drop", text));
    changes.all.emplace_back(DropColumn{std::move(name)});
  }
  for (const std::string& text : options.rename) {
    CLI_ASSIGN(auto names, ParseRenaming("--rename", text));
    changes.all.emplace_back(RenameColumn{std::move(names.first), std::move(names.second)});
  }
  for (const std::string& text : options.widen) {
    CLI_ASSIGN(auto widening, ParseWidening(text));
    if (!widening.nullable_said) changes.silent.push_back(changes.all.size());
    changes.all.emplace_back(WidenColumn{std::move(widening.field)});
  }
  for (const std::string& text : options.add) {
    CLI_ASSIGN(auto change, ParseAdd(text));
    changes.all.push_back(std::move(change));
  }
  if (live) changes.all.emplace_back(SetTimeToLive{*live});
  if (!changes.all.empty()) return changes;
  return WrongUsage(
      "alter needs at least one of --drop, --rename, --widen, --add, --ttl and --no-ttl");
}

// The name that the column of this name, amid the changes, had before the first of them.
std::string FormerName(const std::vector<ColumnChange>& changes, std::string name) {
  for (auto change = changes.rbegin(); change != changes.rend(); ++change) {
    const auto* const rename = std::get_if<RenameColumn>(&*change);
    if (rename != nullptr && rename->to == name) name = rename->from;
  }
  return name;
}

// A type alone changes the type alone: what must not be null stays so.
Done KeepNotNull(const Database& database, const std::string& name, Changes* changes) {
  if (changes->silent.empty()) return {};
  CLI_ASSIGN(const Table table, FindTable(database, name));
  for (const std::size_t place : changes->silent) {
    auto& field = std::get<WidenColumn>(changes->all[place]).field;
    const auto before = table.schema->GetFieldByName(FormerName(changes->all, field->name()));
    if (before != nullptr) field = field->WithNullable(before->nullable());
  }
  return {};
}

// Of the column as it will be.
Done CheckUnit(const Database& database, const AlterArguments& options,
               const std::vector<ColumnChange>& changes) {
  if (options.ttl.column.empty()) return {};
  CLI_ASSIGN(const Table table, FindTable(database, options.table));
  auto column = table.schema->GetFieldByName(FormerName(changes, options.ttl.column));
  for (const ColumnChange& change : changes) {
    const auto* const widen = std::get_if<WidenColumn>(&change);
    const auto* const add = std::get_if<AddColumn>(&change);
    if (widen != nullptr && widen->field->name() == options.ttl.column) column = widen->field;
    if (add != nullptr && add->field->name() == options.ttl.column) column = add->field;
  }
  return CheckUnitIsSaid(options.ttl, column);
}

Outcome<ExitCode> Run(const Session& session, const AlterArguments& options) {
  CLI_ASSIGN(auto changes, ParseChanges(options));
  CLI_ASSIGN(auto database, OpenDatabase(session, options.database, OpenMode::kWrite));
  CLI_TRY(KeepNotNull(*database, options.table, &changes));
  CLI_TRY(CheckUnit(*database, options, changes.all));
  CLI_ASSIGN(const auto commit, database->AlterTable(options.table, changes.all));
  CLI_ASSIGN(const Table table, FindTable(*database, options.table));
  std::optional<TimeToLive> live;
  for (const TableInfo& info : database->Tables()) {
    if (info.name == options.table) live = info.time_to_live;
  }
  CLI_TRY(database->Close());
  const Json document = {{"table", options.table},
                         {"commit", commit.value},
                         {"key", table.key},
                         {"time_to_live", DescribeTimeToLive(live)},
                         {"columns", DescribeColumns(*table.schema)}};
  CLI_TRY(PrintResult(session, document,
                      fmt::format("altered table {} in commit {}; it has {}{}\n", options.table,
                                  commit.value, Columns(*table.schema),
                                  live ? "; rows expire " + TimeToLiveText(*live) : "")));
  return kExitDone;
}

}  // namespace

void AddAlter(CLI::App* app, Session* session) {
  auto [verb, options] = AddVerb<AlterArguments>(
      app, session, "alter", "Add, drop, rename and widen columns",
      "varve alter shop.varve orders --add \"status utf8 not null default 'open'\" \\\n"
      "    --rename at=ordered_at --widen \"quantity int64\" --drop note\n"
      "\n"
      "All of it is one commit, and no file is rewritten: first --drop, then --rename, --widen "
      "and\n"
      "--add. Rows that are there show the default of an added column, or null. A default is text\n"
      "in single quotes ('' is one quote inside), a JSON value, or plain text. It is for the rows\n"
      "that are there: rows written later must bring the column themselves. A widened column\n"
      "stays \"not null\" unless \"null\" follows its type. Names with blanks, commas or = go in\n"
      "double quotes: --rename '\"a=b\"=c'.\n"
      "\n"
      "--ttl 30d --ttl-column at: from now on rows are seen no more 30 days after the time in\n"
      "that column (by its new name), also those that are there. With --no-ttl rows that were\n"
      "not yet let go of are seen again.",
      Run);
  verb.Add("DB", &options->database, "Folder of the database").Required();
  AddWait(verb, session);
  verb.Add("TABLE", &options->table, "Name of the table").Required();
  verb.Add("--drop", &options->drop, "Column to drop; repeatable").OneEachTime();
  verb.Add("--rename", &options->rename, "OLD=NEW name of a column; repeatable").OneEachTime();
  verb.Add("--widen", &options->widen, "\"name type [null | not null]\"; repeatable").OneEachTime();
  verb.Add("--add", &options->add, "\"name type [not null] [default VALUE]\"; repeatable")
      .OneEachTime();
  verb.Add("--ttl", &options->ttl.span, "Time to live of rows: 30d, 12h, 0s");
  verb.Add("--ttl-column", &options->ttl.column,
           "The time they live from: a timestamp, a date or an int64");
  verb.Add("--ttl-unit", &options->ttl.unit,
           "What such an int64 counts since 1970: s, ms, us or ns; not given for the others");
  verb.AddFlag("--no-ttl", &options->no_ttl, "Rows do not expire any more");
}

}  // namespace varve::cli
