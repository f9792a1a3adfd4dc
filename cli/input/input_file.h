// SPDX-License-Identifier: Apache-2.0
// A file to read rows from: its format and compression by name, opened as a stream of plain bytes.
#pragma once

#include <arrow/io/interfaces.h>
#include <arrow/util/type_fwd.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "failure.h"

namespace varve::cli {

enum class InputFormat { kCsv, kTsv, kJsonLines, kParquet, kArrow };

struct InputFile {
  std::string path;
  std::string name;  // as messages call it: the path, or stdin
  bool is_regular = false;  // can be opened again and read anywhere; not a pipe
  InputFormat format = InputFormat::kCsv;
  std::shared_ptr<arrow::util::Codec> codec;       // null when not compressed; outlives `plain`
  std::shared_ptr<arrow::io::InputStream> stored;  // the bytes of the file; Tell() is the progress
  std::shared_ptr<arrow::io::InputStream> plain;   // decompressed
};

// `path` "-" is stdin and needs `format`: csv, tsv, jsonl, parquet or arrow, and .gz or .zst after
// it when compressed. For a file, `format` empty means by extension: .csv .tsv .jsonl .json .ndjson
// .parquet .arrow .feather .ipc, the text formats also with .gz or .zst.
// Errors: NotFound, wrong usage (folder, unknown extension), permission.
Outcome<InputFile> OpenInputFile(const std::string& path, std::string_view format);

// Fails where OpenInputFile would, as far as that shows before it is opened for good.
Done CheckInputFile(const std::string& path, std::string_view format);

// Size of the file in bytes; 0 when it has none (stdin).
std::uint64_t InputBytes(const std::string& path);

}  // namespace varve::cli
