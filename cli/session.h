// SPDX-License-Identifier: Apache-2.0
// What every verb shares: the options that all have, opening a database, printing a document.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "environment.h"
#include "failure.h"
#include "key_file.h"
#include "varve/database.h"
#include "varve/log_archive.h"
#include "verb.h"

namespace varve::cli {

// Keeps the order in which fields are written.
using Json = nlohmann::ordered_json;

struct Session {
  bool json = false;
  std::string color_flag;
  std::string key_file;  // of the flag, or VARVE_KEY_FILE
  bool no_lease = false;
  std::string wait;  // for whoever writes
  Environment environment;
  // Of the database that is open for writing, if its log is archived; it outlives that.
  mutable std::unique_ptr<LogArchive> archive;
  // The chosen verb, set by the command line's parser; gives the exit code.
  std::function<Outcome<ExitCode>()> run;

  Outcome<bool> UseColor() const;
  // The keys of the key file, read once; null without one. They live as long as the session.
  Outcome<KeyProvider*> Keys() const;

 private:
  mutable std::unique_ptr<KeyFile> keys_;
};

// Adds a verb that takes keys itself, or none; `run` will be called with its options as parsed.
template <typename Options>
Verb<Options> AddKeylessVerb(CLI::App* parent, Session* session, const std::string& name,
                             const std::string& description, const std::string& example,
                             Outcome<ExitCode> (*run)(const Session&, const Options&)) {
  Verb<Options> verb{VerbLine(parent, session, name, description, example),
                     std::make_shared<Options>()};
  verb.line.OnChosen([session, run, options = verb.options] {
    session->run = [session, run, options] { return run(*session, *options); };
  });
  return verb;
}

void AddKeyFile(VerbLine verb, std::string* key_file);
// Of verbs that only read a database, and of those that write to it.
void AddNoLease(VerbLine verb, Session* session);
void AddWait(VerbLine verb, Session* session);
// A verb that works on a database, which may be encrypted.
template <typename Options>
Verb<Options> AddVerb(CLI::App* parent, Session* session, const std::string& name,
                      const std::string& description, const std::string& example,
                      Outcome<ExitCode> (*run)(const Session&, const Options&)) {
  auto verb = AddKeylessVerb<Options>(parent, session, name, description, example, run);
  AddKeyFile(verb.line, &session->key_file);
  return verb;
}

enum class OpenMode { kRead, kWrite, kCreate };

struct OpenSettings {
  std::string memory = {};                // of the flag, as the next one
  std::string memtable_bytes = {};        // of the flag; empty: as the environment says, or not
  std::string hint = "check the path";    // what to do where there is no database
  std::uint64_t metrics_ms = 0;           // where the environment says nothing
  std::optional<std::int64_t> history_micros = {};
};

// Errors as Database::Open; a folder that holds something else is "not found". S3 paths are not
// supported in this version.
Outcome<std::unique_ptr<Database>> OpenDatabase(const Session& session, const std::string& path,
                                                OpenMode mode, const OpenSettings& settings = {});
// The error of a key that is not there, with what to do about it.
Failure MissingKey(const Session& session, const Error& error);
Done RefuseRemote(const std::string& path);

// One line of JSON.
Done PrintJson(const Json& document);
// The result of a verb: `document` with --json, otherwise `text`.
Done PrintResult(const Session& session, const Json& document, std::string_view text);

}  // namespace varve::cli
