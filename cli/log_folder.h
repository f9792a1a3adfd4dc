// SPDX-License-Identifier: Apache-2.0
// What the verbs of `varve log` share: their folder, their keys, opening the log.
#pragma once

#include <memory>
#include <string>

#include "key_file.h"
#include "session.h"
#include "varve/log.h"
#include "varve/log_reader.h"

namespace varve::cli {

// The arguments that every verb of `varve log` may have.
struct LogFolder {
  std::string path;
  std::string key_file;
};

// Adds DIR; and --key-file to verbs that read or write units.
void AddLogFolder(VerbLine verb, LogFolder* folder, bool takes_keys);
// AddVerb for a verb of `varve log`, whose Options have a member `folder`.
template <typename Options>
Verb<Options> AddLogVerb(CLI::App* parent, Session* session, bool takes_keys,
                         const std::string& name, const std::string& description,
                         const std::string& example,
                         Outcome<ExitCode> (*run)(const Session&, const Options&)) {
  auto verb = AddKeylessVerb<Options>(parent, session, name, description, example, run);
  verb.options->folder.key_file = session->environment.key_file;
  AddLogFolder(verb.line, &verb.options->folder, takes_keys);
  return verb;
}

// The keys of the key file; null without one.
Outcome<std::unique_ptr<KeyFile>> ReadKeys(const LogFolder& folder);

// That the path may be a log. Errors: not supported (S3), not found (a file).
Done CheckLogFolder(const std::string& path);
// That nobody but the database itself may write there. Errors: wrong usage when the folder is a
// database, or the log of one.
Done RefuseLogOfDatabase(const std::string& path);

// The error of a log that cannot be opened, with what to do about it.
Failure LogFailure(const LogFolder& folder, const Error& error);

// A log and what must live as long.
struct OpenedLog {
  std::unique_ptr<KeyFile> keys;  // null without --key-file
  std::unique_ptr<Log> log;
};
// Opens the log with `options` and the keys of the folder's key file. Errors as Log::Open.
Outcome<OpenedLog> OpenLog(const LogFolder& folder, LogOptions options,
                           const LogReplay& replay = {}, const RecoveryOptions& recovery = {});
// The same, to change the log, or (read_only) to say how it would be changed: not that of a
// database. `create`: make it when it is not there.
Outcome<OpenedLog> OpenLogToWrite(const LogFolder& folder, LogOptions options, bool create);

// Says on stderr what the end of the log lost, when it did.
void NoteTornTail(const Session& session, std::uint64_t torn_bytes);

// VerifyLog, where a log that is written to meanwhile is no damage: what is found must be found
// again. Errors: not found when there is no log; those of keys when there is a key file.
Outcome<LogVerification> VerifyLogFolder(const LogFolder& folder);
// "DIR/00000001.log: offset 4096: ..." and a line end, for each.
std::string DescribeDamages(const std::string& path, const std::vector<LogDamage>& damages);

}  // namespace varve::cli
