// SPDX-License-Identifier: Apache-2.0
// varve verify: reads everything the database must trust; exit 6 when something is damaged.
#include <fmt/format.h>

#include <filesystem>
#include <optional>

#include "commands.h"
#include "format_cell.h"
#include "progress.h"
#include "varve/inspect.h"

namespace varve::cli {
namespace {

struct VerifyArguments {
  std::string database;
  bool deep = false;
};

// The newest commit, unless what would say so is damaged: the manifest or the log.
std::optional<CommitNumber> Newest(const Verification& found, const std::string& database) {
  for (const Damage& damage : found.damages) {
    const auto inside = std::filesystem::path(damage.file).lexically_relative(database);
    const std::string place = inside.empty() ? "" : inside.begin()->string();
    if (place == "manifest" || place == "log") return std::nullopt;
  }
  return found.commit;
}

Json Document(const Verification& found, const std::optional<CommitNumber>& newest) {
  Json damages = Json::array();
  for (const Damage& damage : found.damages) {
    damages.push_back(
        {{"file", damage.file}, {"offset", damage.offset}, {"message", damage.message}});
  }
  return {{"sound", found.damages.empty()},
          {"commit", newest ? Json(newest->value) : Json()},
          {"manifests", found.manifests},
          {"manifests_without_key", found.manifests_without_key},
          {"runs", found.runs},
          {"log_segments", found.log_segments},
          {"log_units", found.log_units},
          {"rows", found.rows},
          {"bytes", found.bytes},
          {"torn_bytes", found.torn_bytes},
          {"damages", std::move(damages)}};
}

// Other verbs say to run this one.
std::string WithoutVerify(std::string message) {
  for (const std::string_view advice :
       {", and run verify to see all damage", "run verify, then ", ": verify"}) {
    const auto at = message.find(advice);
    if (at != std::string::npos) message.erase(at, advice.size());
  }
  return message;
}

std::string Text(const Verification& found, const std::optional<CommitNumber>& newest, bool deep) {
  std::string text;
  for (const Damage& damage : found.damages) {
    text += fmt::format("{}: offset {}: {}\n", damage.file, damage.offset, damage.message);
  }
  text += fmt::format("{}: {}, {}, {} with {}, {} read{}; newest commit {}\n",
                      found.damages.empty() ? "sound" : "DAMAGED",
                      Counted(found.manifests, "manifest"), Counted(found.runs, "run"),
                      Counted(found.log_segments, "log segment"), Counted(found.log_units, "unit"),
                      FormatBytes(found.bytes),
                      deep ? fmt::format(", {} decoded", Counted(found.rows, "row")) : "",
                      newest ? std::to_string(newest->value) : "unknown");
  if (found.manifests_without_key > 0) {
    text += fmt::format("{} before it, which nothing needs, could not be decrypted (no damage)\n",
                        Counted(found.manifests_without_key, "manifest"));
  }
  if (found.torn_bytes > 0) {
    text += fmt::format("the log ends in {} that were never acknowledged (no damage)\n",
                        FormatBytes(found.torn_bytes));
  }
  return text;
}

Outcome<ExitCode> Run(const Session& session, const VerifyArguments& options) {
  CLI_TRY(RefuseRemote(options.database));
  if (std::error_code ignored; std::filesystem::is_regular_file(options.database, ignored)) {
    return NotFound("'" + options.database + "' is a file; a database is a folder");
  }
  Progress progress("verify");
  VerifyOptions verify{.deep = options.deep, .progress = nullptr};
  verify.progress = [&progress](std::uint64_t done, std::uint64_t total) {
    progress.Update(done, total);
  };
  CLI_ASSIGN(verify.keys, session.Keys());
  auto found = VerifyDatabase(options.database, verify);
  progress.Clear();
  if (!found && found.error().reason() == ErrorReason::kMissingKey) {
    return std::unexpected(MissingKey(session, found.error()));
  }
  if (!found && found.error().kind() == ErrorKind::kNotFound) {
    return NotFound(found.error().message() + "; check the path");
  }
  if (!found) return std::unexpected(Failure(std::move(found).error()));
  for (Damage& damage : found->damages) damage.message = WithoutVerify(std::move(damage.message));
  const auto newest = Newest(*found, options.database);
  CLI_TRY(PrintResult(session, Document(*found, newest), Text(*found, newest, options.deep)));
  return found->damages.empty() ? kExitDone : kExitDamage;
}

}  // namespace

void AddVerify(CLI::App* app, Session* session) {
  auto [verb, options] = AddVerb<VerifyArguments>(
      app, session, "verify",
      "Check everything the database must trust: exit 0 when sound, 6 with a line per damage",
      "varve verify flights.varve --deep", Run);
  verb.Add("DB", &options->database, "Folder of the database").Required();
  verb.AddFlag("--deep", &options->deep, "Also decode every row and check order and bounds");
}

}  // namespace varve::cli
