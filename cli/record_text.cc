// SPDX-License-Identifier: Apache-2.0
#include "record_text.h"

#include <arrow/util/base64.h>
#include <arrow/util/utf8.h>
#include <fmt/format.h>

#include <iterator>
#include <mutex>

#include "format_cell.h"

namespace varve::cli {
namespace {

bool IsUtf8(std::string_view bytes) {
  static std::once_flag ready;
  std::call_once(ready, arrow::util::InitializeUTF8);
  return arrow::util::ValidateUTF8(bytes);
}

bool IsOfTheLog(LogKind kind) { return kind > LogKind::kUserLast; }

std::string KindAsJson(LogKind kind) {
  switch (kind) {
    case LogKind::kData: return "\"data\"";
    case LogKind::kCheckpoint: return "\"checkpoint\"";
    case LogKind::kPageImage: return "\"page_image\"";
    default: return std::to_string(static_cast<int>(kind));
  }
}

void AppendRecordAsJson(Lsn lsn, std::size_t index, const LogRecord& record, std::string* out) {
  fmt::format_to(std::back_inserter(*out), "{{\"lsn\":{},\"index\":{},\"kind\":{},", lsn.value,
                 index, KindAsJson(record.kind));
  if (!IsOfTheLog(record.kind) && IsUtf8(record.bytes)) {
    *out += "\"record\":";
    AppendJsonString(record.bytes, out);
  } else {
    *out += "\"base64\":\"" + arrow::util::base64_encode(record.bytes) + '"';
  }
  *out += "}\n";
}

}  // namespace

Outcome<RecordFormat> ParseRecordFormat(const std::string& what, const std::string& text) {
  if (text == "lines") return RecordFormat::kLines;
  if (text == "json") return RecordFormat::kJson;
  return WrongUsage(what + ": expected lines or json, found \"" + text + "\"");
}

void AppendUnit(const LogUnit& unit, RecordFormat format, std::string* out) {
  for (std::size_t i = 0; i < unit.records.size(); ++i) {
    const LogRecord& record = unit.records[i];
    if (format == RecordFormat::kJson) {
      AppendRecordAsJson(unit.lsn, i, record, out);
    } else if (!IsOfTheLog(record.kind)) {
      *out += record.bytes;
      *out += '\n';
    }
  }
}

}  // namespace varve::cli
