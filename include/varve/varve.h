// SPDX-License-Identifier: Apache-2.0
// Everything at once: the database, the log, and the tools to look inside.
#pragma once

#include "varve/changes.h"
#include "varve/database.h"
#include "varve/error.h"
#include "varve/inspect.h"
#include "varve/log.h"
#include "varve/log_archive.h"
#include "varve/log_pages.h"
#include "varve/log_reader.h"
#include "varve/options.h"
#include "varve/snapshot.h"
#include "varve/trace.h"
#include "varve/transaction.h"
#include "varve/types.h"
