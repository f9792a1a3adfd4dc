// SPDX-License-Identifier: Apache-2.0
// varve log: the verbs about a write-ahead log alone, without a database.
#include <CLI/App.hpp>

#include "commands.h"

namespace varve::cli {

void AddLog(CLI::App* app, Session* session) {
  CLI::App* log = app->add_subcommand("log", "Work with a write-ahead log alone: append, cat, ...");
  log->require_subcommand(1);
  log->footer("\n`varve log VERB --help` says more about a verb, with an example.");
  AddLogAppend(log, session);
  AddLogCat(log, session);
  AddLogTail(log, session);
  AddLogVerify(log, session);
  AddLogStat(log, session);
  AddLogTruncate(log, session);
  AddLogRotate(log, session);
}

}  // namespace varve::cli
