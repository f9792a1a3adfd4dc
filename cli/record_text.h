// SPDX-License-Identifier: Apache-2.0
// Records of a log as `varve log cat` and `tail` print them: lines of text, or JSON lines.
//
//   {"lsn":8256,"index":0,"kind":"data","record":"deposit 12"}
//   {"lsn":8256,"index":1,"kind":"data","base64":"/w=="}          bytes that are no UTF-8
//   {"lsn":12352,"index":0,"kind":"checkpoint","base64":"..."}    the log's own; not among lines
//
// lsn is the unit's position, index counts the records of the unit; the kinds 1 to 239, which the
// writer of the log chose, are numbers.
#pragma once

#include <string>

#include "failure.h"
#include "varve/log.h"

namespace varve::cli {

enum class RecordFormat { kLines, kJson };

// lines or json.
Outcome<RecordFormat> ParseRecordFormat(const std::string& what, const std::string& text);

// One line for each record of the unit; in lines, for each that is not the log's own.
void AppendUnit(const LogUnit& unit, RecordFormat format, std::string* out);

}  // namespace varve::cli
