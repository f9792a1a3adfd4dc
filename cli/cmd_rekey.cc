// SPDX-License-Identifier: Apache-2.0
// varve rekey: puts an encrypted database under the newest key, so that older ones can go.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "commands.h"

namespace varve::cli {
namespace {

struct RekeyArguments {
  std::string database;
};

Outcome<ExitCode> Run(const Session& session, const RekeyArguments& options) {
  if (session.key_file.empty()) {
    return WrongUsage("rekey needs --key-file: lines of a name and 64 hex digits, the new key "
                      "first, behind it those before");
  }
  CLI_ASSIGN(auto database, OpenDatabase(session, options.database, OpenMode::kWrite));
  CLI_ASSIGN(const auto needed, database->Rekey());
  CLI_TRY(database->Close());
  const std::string& current = needed.front();
  const std::vector<std::string> older(needed.begin() + 1, needed.end());
  std::string text = fmt::format("{} needs the key '{}'", options.database, current);
  if (older.empty()) text += " alone; older ones may be let go of\n";
  if (!older.empty()) {
    text += fmt::format(", and the log, which is kept for somebody, still '{}'; rekey again "
                        "later\n",
                        fmt::join(older, "', '"));
  }
  CLI_TRY(PrintResult(session, {{"key", current}, {"older_keys_needed", older}}, text));
  return kExitDone;
}

}  // namespace

void AddRekey(CLI::App* app, Session* session) {
  auto [verb, options] = AddVerb<RekeyArguments>(
      app, session, "rekey",
      "Put an encrypted database under the newest key of its key file, without writing data anew; "
      "older keys may then be let go of",
      "varve rekey shop.varve --key-file keys.txt", Run);
  verb.Add("DB", &options->database, "Folder of the database").Required();
  AddWait(verb, session);
}

}  // namespace varve::cli
