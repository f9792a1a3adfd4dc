// SPDX-License-Identifier: Apache-2.0
// varve backup, clone, restore-backup: copies of a database.
#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "commands.h"
#include "format_cell.h"
#include "point_in_time.h"
#include "process.h"
#include "progress.h"
#include "varve/backup.h"
#include "varve/log_archive.h"

namespace varve::cli {
namespace {

struct BackupArguments {
  std::string database;
  std::string destination;
  bool keep_old = false;
  bool verify = false;
};

struct CloneArguments {
  std::string database;
  std::string destination;
  bool copy = false;
};

struct RestoreBackupArguments {
  std::string backup;
  std::string destination;
  std::string archive;
  std::string to;
};

Done Report(const Session& session, const char* did, const std::string& destination,
            const CopyInfo& info) {
  std::string text = fmt::format(
      "{} {} as of commit {}: {}, {} copied", did, destination, info.commit.value,
      Counted(info.files, "file"), FormatBytes(info.bytes_copied));
  if (info.files_reused > 0) {
    text += fmt::format(", {} of {} used as they are", FormatBytes(info.bytes_reused),
                        Counted(info.files_reused, "file"));
  }
  if (info.commits_from_log > 0) {
    text += fmt::format("; {} out of the log", Counted(info.commits_from_log, "commit"));
  }
  return PrintResult(session,
                     {{"commit", info.commit.value},
                      {"files", info.files},
                      {"files_reused", info.files_reused},
                      {"bytes_copied", info.bytes_copied},
                      {"bytes_reused", info.bytes_reused},
                      {"commits_from_log", info.commits_from_log},
                      {"files_removed", info.files_removed}},
                     text + "\n");
}

CopyProgress Watch(const std::shared_ptr<Progress>& progress) {
  return [progress](std::uint64_t done, std::uint64_t total) { progress->Update(done, total); };
}

Outcome<ExitCode> RunBackup(const Session& session, const BackupArguments& options) {
  CLI_TRY(RefuseRemote(options.destination));
  CLI_ASSIGN(auto database, OpenDatabase(session, options.database, OpenMode::kRead));
  const auto progress = std::make_shared<Progress>("backup");
  auto made = database->Backup(options.destination, {.keep_old = options.keep_old,
                                                     .verify = options.verify,
                                                     .progress = Watch(progress)});
  progress->Clear();
  CLI_ASSIGN(const CopyInfo info, std::move(made));
  CLI_TRY(Report(session, "backed up to", options.destination, info));
  return kExitDone;
}

Outcome<ExitCode> RunClone(const Session& session, const CloneArguments& options) {
  CLI_TRY(RefuseRemote(options.destination));
  CLI_ASSIGN(auto database, OpenDatabase(session, options.database, OpenMode::kRead));
  const auto progress = std::make_shared<Progress>("clone");
  auto made = database->Clone(options.destination,
                              {.copy = options.copy, .progress = Watch(progress)});
  progress->Clear();
  if (!made && made.error().message().ends_with("copy them instead")) {
    return std::unexpected(Failure(
        Error(made.error().kind(), made.error().message() + ", with --copy")));
  }
  CLI_ASSIGN(const CopyInfo info, std::move(made));
  CLI_TRY(Report(session, "cloned to", options.destination, info));
  return kExitDone;
}

Outcome<ExitCode> RunRestoreBackup(const Session& session, const RestoreBackupArguments& options) {
  CLI_TRY(RefuseRemote(options.backup));
  CLI_TRY(RefuseRemote(options.destination));
  RestoreBackupOptions restore;
  CLI_ASSIGN(restore.keys, session.Keys());
  if (!options.to.empty()) {
    CLI_ASSIGN(restore.to, ParsePointInTime(options.to, WallNow(), "--to"));
  }
  std::unique_ptr<LogArchive> archive;
  if (!options.archive.empty()) {
    if (std::error_code ignored; !std::filesystem::is_directory(options.archive, ignored)) {
      return NotFound("'" + options.archive + "' is no folder; give that of the archived log");
    }
    archive = NewFolderArchive(options.archive);
    restore.archive = archive.get();
  }
  const auto progress = std::make_shared<Progress>("restore");
  restore.progress = Watch(progress);
  auto made = Database::RestoreBackup(options.backup, options.destination, restore);
  progress->Clear();
  if (!made && made.error().reason() == ErrorReason::kMissingKey) {
    return std::unexpected(MissingKey(session, made.error()));
  }
  CLI_ASSIGN(const CopyInfo info, std::move(made));
  CLI_TRY(Report(session, "restored to", options.destination, info));
  return kExitDone;
}

}  // namespace

void AddBackup(CLI::App* app, Session* session) {
  auto [verb, options] = AddVerb<BackupArguments>(
      app, session, "backup",
      "Copy a database into a new folder, or bring an earlier backup up to date: only what changed "
      "is copied. A backup is a database too: read it where it lies",
      "varve backup flights.varve /backup/flights --verify", RunBackup);
  verb.Add("DB", &options->database, "Folder of the database").Required();
  verb.Add("DEST", &options->destination, "New or empty folder, or an earlier backup").Required();
  verb.AddFlag("--keep-old", &options->keep_old,
               "Leave files there that only the earlier backup needs");
  verb.AddFlag("--verify", &options->verify, "Read everything back in the end");
}

void AddClone(CLI::App* app, Session* session) {
  auto [verb, options] = AddVerb<CloneArguments>(
      app, session, "clone",
      "Make a second database of one, at once and without copying data: files get a second name "
      "(hard link), and neither database ever changes one",
      "varve clone flights.varve try.varve", RunClone);
  verb.Add("DB", &options->database, "Folder of the database").Required();
  verb.Add("DEST", &options->destination, "New or empty folder, on the same file system")
      .Required();
  verb.AddFlag("--copy", &options->copy, "Copy the files, to any file system");
}

void AddRestoreBackup(CLI::App* app, Session* session) {
  auto [verb, options] = AddVerb<RestoreBackupArguments>(
      app, session, "restore-backup",
      "Make a database of a backup, as of its newest commit or, with the archived log, of a later "
      "one; `varve restore` is for a table of a database",
      "varve restore-backup /backup/flights flights.varve --archive /archive/flights "
      "--to 2026-11-20T12:00:00Z",
      RunRestoreBackup);
  verb.Add("BACKUP", &options->backup, "Folder of the backup").Required();
  verb.Add("DEST", &options->destination, "New or empty folder").Required();
  verb.Add("--archive", &options->archive,
           "Folder where the log was archived (VARVE_ARCHIVE)")
      .Type("DIR")
      .NotEmpty();
  verb.Add("--to", &options->to, "The last commit to restore, by number or time").Type("V")
      .NotEmpty();
}

}  // namespace varve::cli
