// SPDX-License-Identifier: Apache-2.0
#include "log_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "format_cell.h"
#include "process.h"

namespace varve::cli {
namespace {

namespace fs = std::filesystem;

constexpr int kVerifyTriesMax = 5;

bool IsFolder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

bool HoldsSegments(const fs::path& folder) {
  std::error_code failed;
  for (fs::directory_iterator file(folder, failed), end; !failed && file != end;
       file.increment(failed)) {
    if (file->path().extension() == ".log") return true;
  }
  return false;
}

Error NoLog(const std::string& path) {
  return Error(ErrorKind::kNotFound,
               "there is no log in " + path + "; make one with: varve log append DIR");
}

// The findings of `now` that were there `before`.
std::vector<LogDamage> FoundAgain(std::vector<LogDamage> now,
                                  const std::vector<LogDamage>& before) {
  std::erase_if(now, [&](const LogDamage& damage) {
    return std::ranges::none_of(before, [&](const LogDamage& other) {
      return other.file == damage.file && other.offset == damage.offset;
    });
  });
  return now;
}

}  // namespace

void AddLogFolder(VerbLine verb, LogFolder* folder, bool takes_keys) {
  verb.Add("DIR", &folder->path, "Folder of the log").Required().NotEmpty();
  if (!takes_keys) return;
  AddKeyFile(verb, &folder->key_file);
}

Done CheckLogFolder(const std::string& path) {
  if (path.starts_with("s3://")) {
    return std::unexpected(Failure(Error(ErrorKind::kInvalid,
                                         path + ": a log cannot be on S3; give a folder",
                                         ErrorReason::kUnsupportedFormat)));
  }
  if (std::error_code ignored; fs::exists(path, ignored) && !IsFolder(path)) {
    return NotFound("'" + path + "' is a file; a log is a folder");
  }
  return {};
}

Done RefuseLogOfDatabase(const std::string& path) {
  std::error_code ignored;
  fs::path folder = fs::weakly_canonical(path, ignored);
  if (folder.filename().empty()) folder = folder.parent_path();
  if (IsFolder(folder / "manifest")) {
    return WrongUsage(path + " is a database, not a log; rows are written with: varve load");
  }
  if (folder.filename() == "log" && IsFolder(folder.parent_path() / "manifest")) {
    return WrongUsage(path + " is the log of a database, which alone may change it");
  }
  return {};
}

Outcome<OpenedLog> OpenLog(const LogFolder& folder, LogOptions options, const LogReplay& replay,
                           const RecoveryOptions& recovery) {
  CLI_TRY(CheckLogFolder(folder.path));
  OpenedLog opened;
  CLI_ASSIGN(opened.keys, ReadKeys(folder));
  options.keys = opened.keys.get();
  auto log = Log::Open(folder.path, options, replay, recovery);
  if (!log) return std::unexpected(LogFailure(folder, log.error()));
  opened.log = *std::move(log);
  return opened;
}

Failure LogFailure(const LogFolder& folder, const Error& error) {
  const bool not_found =
      error.kind() == ErrorKind::kNotFound && error.reason() == ErrorReason::kNone;
  if (not_found && !HoldsSegments(folder.path)) return NoLog(folder.path);
  if (error.reason() != ErrorReason::kMissingKey) return error;
  const char* const next =
      folder.key_file.empty()
          ? "; give it with --key-file"
          : "; add it to that file, or read what has other keys with: varve log cat --from LSN "
            "(varve log stat --json tells where each file begins: first_lsn)";
  return Error(error.kind(), error.message() + next, error.reason());
}

Outcome<std::unique_ptr<KeyFile>> ReadKeys(const LogFolder& folder) {
  if (folder.key_file.empty()) return nullptr;
  return KeyFile::Read(folder.key_file);
}

Outcome<OpenedLog> OpenLogToWrite(const LogFolder& folder, LogOptions options, bool create) {
  CLI_TRY(CheckLogFolder(folder.path));
  CLI_TRY(RefuseLogOfDatabase(folder.path));
  options.create_if_missing = create;
  return OpenLog(folder, options);
}

void NoteTornTail(const Session& session, std::uint64_t torn_bytes) {
  if (torn_bytes == 0 || session.json) return;
  PrintError(fmt::format("varve: the log ended in {} that were never acknowledged as durable; "
                         "they were cut (no damage)\n",
                         FormatBytes(torn_bytes)));
}

Outcome<LogVerification> VerifyLogFolder(const LogFolder& folder) {
  const std::string& path = folder.path;
  CLI_TRY(CheckLogFolder(path));
  CLI_ASSIGN(const auto keys, ReadKeys(folder));
  auto found = VerifyLog(path, {}, keys.get());
  for (int tries = 1; found && !found->damages.empty(); ++tries) {
    auto again = VerifyLog(path, {}, keys.get());
    if (!again) return std::unexpected(LogFailure(folder, again.error()));
    auto confirmed = FoundAgain(again->damages, found->damages);
    found = std::move(again);
    if (confirmed.empty() && tries < kVerifyTriesMax) continue;
    found->damages = std::move(confirmed);
    break;
  }
  if (!found) return std::unexpected(LogFailure(folder, found.error()));
  if (found->segments.empty() && found->damages.empty()) {
    return std::unexpected(Failure(NoLog(path)));
  }
  return *std::move(found);
}

std::string DescribeDamages(const std::string& path, const std::vector<LogDamage>& damages) {
  std::string text;
  for (const LogDamage& damage : damages) {
    text += fmt::format("{}: offset {}: {}\n", (fs::path(path) / damage.file).string(),
                        damage.offset, damage.message);
  }
  return text;
}

}  // namespace varve::cli
