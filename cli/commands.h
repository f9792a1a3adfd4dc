// SPDX-License-Identifier: Apache-2.0
// The verbs. Each Add function, in cmd_<verb>.cc, describes one verb to the parser.
#pragma once

#include "session.h"

namespace varve::cli {

void AddCreate(CLI::App* app, Session* session);
void AddLoad(CLI::App* app, Session* session);
void AddScan(CLI::App* app, Session* session);
void AddChanges(CLI::App* app, Session* session);
void AddGet(CLI::App* app, Session* session);
void AddDelete(CLI::App* app, Session* session);
void AddDrop(CLI::App* app, Session* session);
void AddAlter(CLI::App* app, Session* session);
void AddRekey(CLI::App* app, Session* session);
void AddRename(CLI::App* app, Session* session);
void AddTables(CLI::App* app, Session* session);
void AddVersions(CLI::App* app, Session* session);
void AddTag(CLI::App* app, Session* session);
void AddUntag(CLI::App* app, Session* session);
void AddRestore(CLI::App* app, Session* session);
void AddBackup(CLI::App* app, Session* session);
void AddClone(CLI::App* app, Session* session);
void AddRestoreBackup(CLI::App* app, Session* session);
void AddRepair(CLI::App* app, Session* session);
void AddExportLog(CLI::App* app, Session* session);
void AddCompact(CLI::App* app, Session* session);
void AddFlush(CLI::App* app, Session* session);
void AddRetire(CLI::App* app, Session* session);
void AddStats(CLI::App* app, Session* session);
void AddTop(CLI::App* app, Session* session);
void AddReport(CLI::App* app, Session* session);
void AddVerify(CLI::App* app, Session* session);
void AddInspect(CLI::App* app, Session* session);

// The verbs of `varve log`, in cmd_log_<verb>.cc; cmd_log.cc adds them all.
void AddLog(CLI::App* app, Session* session);
void AddLogAppend(CLI::App* app, Session* session);
void AddLogCat(CLI::App* app, Session* session);
void AddLogTail(CLI::App* app, Session* session);
void AddLogVerify(CLI::App* app, Session* session);
void AddLogStat(CLI::App* app, Session* session);
void AddLogTruncate(CLI::App* app, Session* session);
void AddLogRotate(CLI::App* app, Session* session);

}  // namespace varve::cli
