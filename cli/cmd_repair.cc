// SPDX-License-Identifier: Apache-2.0
// varve repair: sets aside what cannot be trusted, and says what that costs.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string>
#include <string_view>

#include "commands.h"
#include "format_cell.h"
#include "varve/backup.h"

namespace varve::cli {
namespace {

struct RepairArguments {
  std::string database;
  bool yes = false;
};

Json DocumentOf(const LostRun& run) {
  return {{"table", run.table},       {"run", run.id},
          {"files", run.files},       {"why", run.why},
          {"rows", run.rows},         {"deletes", run.deletes},
          {"first", run.first.value}, {"last", run.last.value},
          {"min_key", run.min_key},   {"max_key", run.max_key},
          {"replaced", run.replaced}, {"only_history", run.only_history},
          {"shows_older", run.shows_older}};
}

Json Document(const RepairReport& report) {
  Json damages = Json::array();
  for (const Damage& damage : report.damages) {
    damages.push_back(
        {{"file", damage.file}, {"offset", damage.offset}, {"message", damage.message}});
  }
  Json runs = Json::array();
  for (const LostRun& run : report.runs) runs.push_back(DocumentOf(run));
  return {{"applied", report.applied},
          {"sound", report.damages.empty()},
          {"damages", std::move(damages)},
          {"set_aside", report.applied ? Json(report.set_aside) : Json()},
          {"files", report.files},
          {"commit_before", report.commit_before.value},
          {"commit", report.commit.value},
          {"manifests", report.manifests},
          {"older_manifest", report.older_manifest},
          {"runs", std::move(runs)},
          {"not_needed", report.not_needed},
          {"oldest_before", report.oldest_before.value},
          {"oldest", report.oldest.value},
          {"tags", report.tags},
          {"times", report.times},
          {"log_damaged", report.log_damaged},
          {"log_commits_kept", report.log_commits_kept},
          {"log_commits_lost", report.log_commits_lost},
          {"log_lost_first", report.log_lost_first.value},
          {"log_lost_last", report.log_lost_last.value}};
}

std::string TextOf(const LostRun& run) {
  std::string text = fmt::format("table {}, run {} ({}): ", run.table, run.id,
                                 fmt::join(run.files, ", "));
  if (run.replaced) {
    return text + "nothing is lost: the runs that were merged into it are used again\n";
  }
  text += fmt::format("{} of commits {} to {}, keys {} to {}", Counted(run.rows, "version"),
                      run.first.value, run.last.value, run.min_key, run.max_key);
  if (run.deletes > 0) text += fmt::format(", {} of them deletes", WithThousands(run.deletes));
  if (run.only_history) return text + ": only readers of older versions needed them\n";
  text += " are lost\n";
  if (run.shows_older) {
    text += fmt::format("  OLDER VALUES MAY COME BACK: keys from {} to {} whose newest version was "
                        "of commits {} to {} show an older one from now on, and rows that these "
                        "deleted are there again; which keys cannot be told\n",
                        run.min_key, run.max_key, run.first.value, run.last.value);
  }
  return text;
}

std::string TextOfLog(const RepairReport& report) {
  std::string text = fmt::format("log: {} that are only in it are kept, as files",
                                 Counted(report.log_commits_kept, "commit"));
  if (report.log_commits_lost > 0) {
    text += fmt::format("; LOST are {} behind the damage, of {} to {}, which export-log can still "
                        "read",
                        Counted(report.log_commits_lost, "commit"), report.log_lost_first.value,
                        report.log_lost_last.value);
  }
  return text + fmt::format("; commits after {} that cannot be read at all are lost too\n",
                            report.commit.value);
}

std::string Text(const RepairReport& report, const std::string& database) {
  if (report.damages.empty()) {
    return fmt::format("{} is sound: nothing is to be repaired; newest commit {}\n", database,
                       report.commit.value);
  }
  std::string text;
  for (const Damage& damage : report.damages) {
    text += fmt::format("{}: offset {}: {}\n", damage.file, damage.offset, damage.message);
  }
  text += report.applied ? "\nwhat this cost:\n" : "\nwhat a repair would cost:\n";
  if (report.older_manifest) {
    text += "manifest: the newest objects cannot be trusted: an older state is used, and what was "
            "flushed, merged, tagged or changed after it is set aside\n";
  } else if (report.manifests > 0) {
    text += "manifest: nothing: its newest state can be proved\n";
  }
  for (const LostRun& run : report.runs) text += TextOf(run);
  if (report.oldest > report.oldest_before) {
    text += fmt::format("versions before commit {} cannot be read any more\n",
                        report.oldest.value);
  }
  if (!report.tags.empty()) {
    text += fmt::format("tags of versions that cannot be read any more go: {}\n",
                        fmt::join(report.tags, ", "));
  }
  if (report.times > 0) {
    text += fmt::format("of {} only the last commit's time is known from now on\n",
                        Counted(report.times, "version"));
  }
  if (report.log_damaged) text += TextOfLog(report);
  text += fmt::format("newest commit {}, before {}\n", report.commit.value,
                      report.commit_before.value);
  if (report.applied) {
    return text + fmt::format("{} set aside in {}; nothing was deleted\n",
                              Counted(report.files.size(), "file"), report.set_aside);
  }
  return text + "nothing was changed: look whether a backup loses less, else add --yes\n";
}

Outcome<ExitCode> Run(const Session& session, const RepairArguments& options) {
  CLI_TRY(RefuseRemote(options.database));
  RepairOptions repair{.apply = options.yes};
  CLI_ASSIGN(repair.keys, session.Keys());
  const auto report = RepairDatabase(options.database, repair);
  if (!report && report.error().reason() == ErrorReason::kMissingKey) {
    return std::unexpected(MissingKey(session, report.error()));
  }
  if (!report) return std::unexpected(Failure(report.error()));
  CLI_TRY(PrintResult(session, Document(*report), Text(*report, options.database)));
  return report->damages.empty() || report->applied ? kExitDone : kExitDamage;
}

}  // namespace

void AddRepair(CLI::App* app, Session* session) {
  auto [verb, options] = AddVerb<RepairArguments>(
      app, session, "repair",
      "Set aside what cannot be trusted, and say exactly which commits and rows that costs",
      "varve repair flights.varve\n"
      "\n"
      "Without --yes nothing is changed: exit 6 when there is damage, 0 when there is none.\n"
      "Nothing is ever deleted: see set-aside/ in the database's folder.",
      Run);
  verb.Add("DB", &options->database, "Folder of the database").Required();
  verb.AddFlag("--yes", &options->yes, "Repair; otherwise say what that would cost");
}

}  // namespace varve::cli
