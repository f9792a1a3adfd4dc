// SPDX-License-Identifier: Apache-2.0
// varve tag and varve untag: names for commits.
#include <fmt/format.h>

#include "commands.h"
#include "format_cell.h"
#include "point_in_time.h"
#include "process.h"

namespace varve::cli {
namespace {

struct TagVerb {
  std::string database;
  std::string name;
  std::string at;
  bool yes = false;
};

struct UntagVerb {
  std::string database;
  std::string name;
};

Json Describe(const TagInfo& tag) {
  return {{"tag", tag.name},
          {"commit", tag.commit.value},
          {"time", FormatTime(tag.time)},
          {"made", FormatTime(tag.made)}};
}

Outcome<ExitCode> List(const Session& session, const TagVerb& options) {
  CLI_ASSIGN(auto database, OpenDatabase(session, options.database, OpenMode::kRead));
  Json tags = Json::array();
  std::string text = fmt::format("{:>10}  {:<27}  {:<27}  {}\n", "commit", "time", "tagged", "tag");
  for (const TagInfo& tag : database->Tags()) {
    tags.push_back(Describe(tag));
    text += fmt::format("{:>10}  {:<27}  {:<27}  {}\n", tag.commit.value, FormatTime(tag.time),
                        FormatTime(tag.made), tag.name);
  }
  CLI_TRY(PrintResult(session, {{"tags", std::move(tags)}}, text));
  return kExitDone;
}

Outcome<TagInfo> Make(Database* database, const TagVerb& options, const AsOf& as_of) {
  CLI_TRY(SnapshotAt(*database, as_of));  // whose message says more
  auto tag = database->Tag(options.name, as_of, {.replace = options.yes});
  if (tag) return *std::move(tag);
  const Error& error = tag.error();
  if (error.reason() != ErrorReason::kAlreadyExists) return std::unexpected(Failure(error));
  return std::unexpected(
      Failure(Error(error.kind(), error.message() + ": --yes moves it", error.reason())));
}

Outcome<ExitCode> RunTag(const Session& session, const TagVerb& options) {
  if (options.name.empty() && !options.at.empty()) return WrongUsage("--at needs a NAME to give");
  if (options.name.empty()) return List(session, options);
  CLI_ASSIGN(const AsOf as_of, ParsePointInTime(options.at, WallNow()));
  CLI_ASSIGN(auto database, OpenDatabase(session, options.database, OpenMode::kWrite));
  CLI_ASSIGN(const TagInfo tag, Make(database.get(), options, as_of));
  CLI_TRY(database->Close());
  CLI_TRY(PrintResult(
      session, Describe(tag),
      fmt::format("{} is commit {} of {}\n", tag.name, tag.commit.value, FormatTime(tag.time))));
  return kExitDone;
}

Outcome<ExitCode> RunUntag(const Session& session, const UntagVerb& options) {
  CLI_ASSIGN(auto database, OpenDatabase(session, options.database, OpenMode::kWrite));
  CLI_ASSIGN(const TagInfo tag, database->Untag(options.name));
  CLI_TRY(database->Close());
  CLI_TRY(PrintResult(
      session, Describe(tag),
      fmt::format("{} was commit {} of {}\n", tag.name, tag.commit.value, FormatTime(tag.time))));
  return kExitDone;
}

}  // namespace

void AddTag(CLI::App* app, Session* session) {
  auto [verb, options] = AddVerb<TagVerb>(
      app, session, "tag", "Give a commit a name, for --at; without NAME list them",
      "varve tag flights.varve before-import\n"
      "  varve scan flights.varve flights --at before-import --count\n"
      "\n"
      "A NAME has letters, digits, \"_\", \"-\" and \".\", and begins with a letter or \"_\".",
      RunTag);
  verb.Add("DB", &options->database, "Folder of the database").Required();
  AddWait(verb, session);
  verb.Add("NAME", &options->name, "The tag").NotEmpty();
  verb.Add("--at", &options->at, kPointInTimeHelp).Type("V").NotEmpty();
  verb.AddFlag("--yes", &options->yes, "Move the tag when there is one of this name");
}

void AddUntag(CLI::App* app, Session* session) {
  auto [verb, options] = AddVerb<UntagVerb>(app, session, "untag",
                                            "Take a tag away; what it names stays, and is printed",
                                            "varve untag flights.varve before-import", RunUntag);
  verb.Add("DB", &options->database, "Folder of the database").Required();
  AddWait(verb, session);
  verb.Add("NAME", &options->name, "The tag").Required().NotEmpty();
}

}  // namespace varve::cli
