// SPDX-License-Identifier: Apache-2.0
#include "session.h"

#include <unistd.h>

#include "process.h"

namespace varve::cli {
namespace {

OpenOptions OptionsFor(OpenMode mode) {
  return {.create_if_missing = mode == OpenMode::kCreate, .read_only = mode == OpenMode::kRead};
}

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

Outcome<std::unique_ptr<Database>> OpenDatabase(const Session& session, const std::string& path,
                                                OpenMode mode, const std::string& memtable_bytes,
                                                const std::string& hint,
                                                std::uint64_t metrics_ms) {
  CLI_TRY(RefuseRemote(path));
  OpenOptions options = OptionsFor(mode);
  if (!memtable_bytes.empty()) {
    CLI_ASSIGN(options.memtable_bytes_max, ParseCount("--memtable-bytes", memtable_bytes, 1 << 20));
  } else if (session.environment.memtable_bytes) {
    options.memtable_bytes_max = *session.environment.memtable_bytes;
  }
  CLI_ASSIGN(options.keys, session.Keys());
  options.metrics_interval_ms = session.environment.metrics_ms.value_or(metrics_ms);
  auto database = Database::Open(path, options);
  if (database) return *std::move(database);
  const Error& error = database.error();
  if (error.reason() == ErrorReason::kMissingKey) {
    return std::unexpected(MissingKey(session, error));
  }
  if (error.kind() == ErrorKind::kNotFound) {
    return NotFound(error.message() + "; " + hint);
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
