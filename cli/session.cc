// SPDX-License-Identifier: Apache-2.0
#include "session.h"

#include <unistd.h>

#include <filesystem>

#include "point_in_time.h"
#include "process.h"

namespace varve::cli {
namespace {

OpenOptions OptionsFor(OpenMode mode) {
  return {.create_if_missing = mode == OpenMode::kCreate, .read_only = mode == OpenMode::kRead};
}

bool IsForbidden(const Error& error) { return error.reason() == ErrorReason::kPermission; }

}  // namespace

Outcome<bool> Session::UseColor() const {
  ColorMode mode = environment.color;
  if (!color_flag.empty()) {
    CLI_ASSIGN(mode, ParseColorMode("--color", color_flag));
  }
  return mode == ColorMode::kAlways || (mode == ColorMode::kAuto && IsTerminal(STDOUT_FILENO));
}

Outcome<KeyProvider*> Session::Keys() const {
  if (keys_ == nullptr && !key_file.empty()) {
    CLI_ASSIGN(keys_, KeyFile::Read(key_file));
  }
  return keys_.get();
}

void AddKeyFile(VerbLine verb, std::string* key_file) {
  verb.Add("--key-file", key_file,
           "File with the keys of an encrypted database or log: 32 random bytes, 64 hex digits, or "
           "lines of a name and 64 hex digits, newest first")
      .NotEmpty();
}

void AddNoLease(VerbLine verb, Session* session) {
  verb.AddFlag("--no-lease", &session->no_lease,
               "Write nothing at all, not even the lease that makes a writer keep the files read "
               "here: for a folder that this user may only read");
}

void AddWait(VerbLine verb, Session* session) {
  verb.Add("--wait", &session->wait,
           "When another process writes to the database, wait so long until it closes it: 5s, 30s, "
           "5m; without it, not at all")
      .Type("SPAN")
      .NotEmpty();
}

Failure MissingKey(const Session& session, const Error& error) {
  const char* const next = session.key_file.empty() ? "; give it with --key-file"
                                                    : "; add its line to the file of --key-file";
  return Error(error.kind(), error.message() + next, error.reason());
}

Done RefuseRemote(const std::string& path) {
  if (!path.starts_with("s3://")) return {};
  return std::unexpected(Failure(Error(ErrorKind::kInvalid,
                                       path + ": databases on S3 are not supported in this "
                                              "version; give a folder",
                                       ErrorReason::kUnsupportedFormat)));
}

namespace {

// Flags win over the environment.
Done SetMemory(const Session& session, const OpenSettings& settings, OpenOptions* options) {
  options->memory_bytes = session.environment.memory_bytes;
  options->memtable_bytes_max = session.environment.memtable_bytes;
  if (!settings.memory.empty()) {
    CLI_ASSIGN(options->memory_bytes, ParseCount("--memory", settings.memory, 16 << 20));
  }
  if (!settings.memtable_bytes.empty()) {
    CLI_ASSIGN(options->memtable_bytes_max,
               ParseCount("--memtable-bytes", settings.memtable_bytes, 1 << 20));
  }
  return {};
}

}  // namespace

Outcome<std::unique_ptr<Database>> OpenDatabase(const Session& session, const std::string& path,
                                                OpenMode mode, const OpenSettings& settings) {
  CLI_TRY(RefuseRemote(path));
  OpenOptions options = OptionsFor(mode);
  CLI_TRY(SetMemory(session, settings, &options));
  CLI_ASSIGN(options.keys, session.Keys());
  options.lease = !session.no_lease;
  if (!session.wait.empty()) {
    CLI_ASSIGN(options.lock_wait_micros, ParseSpan(session.wait, "--wait"));
  }
  if (mode != OpenMode::kRead && !session.environment.archive.empty()) {
    const std::filesystem::path folder = session.environment.archive;
    std::error_code unknown;
    if (std::filesystem::exists(folder, unknown) &&
        !std::filesystem::is_directory(folder, unknown)) {
      return WrongUsage(fmt::format("VARVE_ARCHIVE: '{}' is no folder; nothing was done",
                                    session.environment.archive));
    }
    session.archive = NewFolderArchive(session.environment.archive);
    options.log_archive = session.archive.get();
  }
  options.metrics_interval_ms = session.environment.metrics_ms.value_or(settings.metrics_ms);
  options.history_micros = settings.history_micros;
  options.compaction_threads = session.environment.compaction_threads;
  options.background_bytes_per_second = session.environment.background_bytes_per_second;
  auto database = Database::Open(path, options);
  // Who may only read leaves no lease: should the writer let go of a file, an error says so.
  if (!database && mode == OpenMode::kRead && IsForbidden(database.error())) {
    options.lease = false;
    database = Database::Open(path, options);
  }
  if (database) return *std::move(database);
  const Error& error = database.error();
  if (error.reason() == ErrorReason::kMissingKey) {
    return std::unexpected(MissingKey(session, error));
  }
  if (error.kind() == ErrorKind::kNotFound) {
    return NotFound(error.message() + "; " + settings.hint);
  }
  const bool foreign =
      error.kind() == ErrorKind::kInvalid && error.reason() == ErrorReason::kNone;
  if (foreign && mode != OpenMode::kCreate) {
    return std::unexpected(Failure(error, kExitNotFound));
  }
  return std::unexpected(Failure(error));
}

Done PrintJson(const Json& document) {
  return Print(document.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
}

Done PrintResult(const Session& session, const Json& document, std::string_view text) {
  return session.json ? PrintJson(document) : Print(text);
}

}  // namespace varve::cli
