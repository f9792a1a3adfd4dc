// SPDX-License-Identifier: Apache-2.0
// Inspect: says what a single file is, by its content first and by its name where the content is
// damaged, and describes it line by line.
#include "varve/inspect.h"

#include <arrow/io/memory.h>
#include <fmt/format.h>
#include <parquet/exception.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>
#include <parquet/statistics.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/result.h"
#include "engine/data_key.h"
#include "engine/environment.h"
#include "manifest/manifest.h"
#include "manifest/manifest_cipher.h"
#include "run/file_cipher.h"
#include "varve/log_reader.h"

namespace varve {
namespace {

using LineSink = std::function<void(std::string_view)>;

constexpr std::uint64_t kSniffBytes = 64;
constexpr std::string_view kEncryptedRun = "PARE";  // how an encrypted Parquet file begins and ends

std::unexpected<Error> NeedsKey(const std::string& path) {
  return Fail(ErrorKind::kNotFound,
              fmt::format("{}: it is encrypted, its key is in the manifest of its database, and no "
                          "keys were given; give those of the database",
                          path),
              ErrorReason::kMissingKey);
}

bool AllDigits(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// `folder` and `name` are the last two parts of the file's path.
FileKind KindOf(std::string_view folder, std::string_view name, std::string_view head) {
  if (head.starts_with("VARVELOG")) return FileKind::kLogSegment;
  if (head.starts_with("PAR1") || head.starts_with(kEncryptedRun)) return FileKind::kRun;
  if (head.starts_with("{\"")) return FileKind::kManifest;
  if (head.starts_with("VARVETIM")) return FileKind::kTimes;
  if (name.ends_with(".log")) return FileKind::kLogSegment;
  if (name.ends_with(".parquet")) return FileKind::kRun;
  if (name.size() == 20 && AllDigits(name)) {
    return folder == "times" ? FileKind::kTimes : FileKind::kManifest;
  }
  return FileKind::kUnknown;
}

std::int64_t FirstPage(const parquet::ColumnChunkMetaData& chunk) {
  return chunk.has_dictionary_page() ? chunk.dictionary_page_offset() : chunk.data_page_offset();
}

void DumpRowGroup(const parquet::FileMetaData& metadata, int index, const LineSink& line) {
  const auto group = metadata.RowGroup(index);
  line(fmt::format("row group {}: {} rows, {} bytes compressed, {} bytes plain", index,
                   group->num_rows(), group->total_compressed_size(), group->total_byte_size()));
  for (int c = 0; c < group->num_columns(); ++c) {
    const auto chunk = group->ColumnChunk(c);
    const auto stats = chunk->statistics();
    line(fmt::format("  {}: {} bytes at {}{}", chunk->path_in_schema()->ToDotString(),
                     chunk->total_compressed_size(), FirstPage(*chunk),
                     stats != nullptr && stats->HasNullCount()
                         ? fmt::format(", {} nulls", stats->null_count())
                         : ""));
  }
}

// Keys of our own that are for machines are shown by their size.
constexpr std::size_t kMetadataTextMax = 60;

std::shared_ptr<parquet::FileMetaData> FooterOf(const std::shared_ptr<arrow::Buffer>& file,
                                                const std::string& key) {
  if (key.empty()) {
    return parquet::ParquetFileReader::Open(std::make_shared<arrow::io::BufferReader>(file))
        ->metadata();
  }
  constexpr std::int64_t kTrailerBytes = 8;
  if (file->size() < kTrailerBytes) throw parquet::ParquetException("it has no footer");
  const auto length = LoadLittle<std::uint32_t>(reinterpret_cast<const char*>(file->data()) +
                                                file->size() - kTrailerBytes);
  PARQUET_ASSIGN_OR_THROW(auto footer, DecryptFooter(file, length, key));
  return footer.metadata;
}

// `key`: the file's own; empty: it is not encrypted.
Status DumpRun(const std::string& path, std::string bytes, const std::string& key,
               const LineSink& line) {
  const auto size = bytes.size();
  try {
    const auto metadata = FooterOf(arrow::Buffer::FromString(std::move(bytes)), key);
    if (!key.empty()) line("encrypted with a key of its own, which the manifest has");
    line(fmt::format("Parquet, {} bytes, {} rows, {} row groups, {} columns, written by {}", size,
                     metadata->num_rows(), metadata->num_row_groups(), metadata->num_columns(),
                     metadata->created_by()));
    if (const auto pairs = metadata->key_value_metadata(); pairs != nullptr) {
      for (std::int64_t i = 0; i < pairs->size(); ++i) {
        const std::string& value = pairs->value(i);
        line(fmt::format("metadata {}: {}", pairs->key(i),
                         value.size() <= kMetadataTextMax ? value
                                                          : fmt::format("{} bytes", value.size())));
      }
    }
    for (int i = 0; i < metadata->num_row_groups(); ++i) DumpRowGroup(*metadata, i, line);
  } catch (const std::exception& error) {  // Parquet throws; nothing of ours may
    return Fail(ErrorKind::kCorruption, fmt::format("{}: damaged: {}", path, error.what()));
  }
  return {};
}

void DumpUnknown(std::string_view head, std::uint64_t size, const LineSink& line) {
  line(fmt::format("not a file that varve writes: {} bytes, beginning with {}", size,
                   head.empty() ? "nothing" : ToHex(head.substr(0, 16))));
}

}  // namespace

std::string_view ToString(FileKind kind) {
  switch (kind) {
    case FileKind::kUnknown: return "unknown";
    case FileKind::kLogSegment: return "log segment";
    case FileKind::kManifest: return "manifest";
    case FileKind::kRun: return "run";
    case FileKind::kTimes:
      return "commit times";
  }
  return "unknown";
}

Result<FileKind> InspectFile(const std::string& path, const LineSink& line,
                             const Components& components, KeyProvider* keys) {
  Environment environment(components, ParentPath(path));
  Files* files = environment.files();
  VARVE_ASSIGN(const FileInfo info, files->Info(path));
  if (info.is_directory) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("'{}' is a folder; inspect describes one file: a log segment, a "
                            "manifest, a run or commit times",
                            path));
  }
  VARVE_ASSIGN(auto file, files->Open(path, OpenMode::kRead));
  std::string head(std::min(info.size, kSniffBytes), '\0');
  VARVE_ASSIGN(const auto read, file->ReadAt(0, head.size(), head.data()));
  head.resize(read);
  const std::string parent = ParentPath(path);
  const FileKind kind = KindOf(parent.substr(parent.rfind('/') + 1), info.name, head);
  switch (kind) {
    case FileKind::kLogSegment:
      VARVE_TRY(DumpLogSegment(path, line, environment.ForLog(), keys));
      break;
    case FileKind::kManifest: {
      VARVE_ASSIGN(const std::string bytes, ReadWholeFile(files, path));
      if (const Status dumped = Manifest::Dump(bytes, line, keys); !dumped) {
        return std::unexpected(dumped.error().Within(path));
      }
      break;
    }
    case FileKind::kRun: {
      VARVE_ASSIGN(std::string bytes, ReadWholeFile(files, path));
      std::string key;
      if (bytes.starts_with(kEncryptedRun)) {
        line(fmt::format("encrypted Parquet, {} bytes", bytes.size()));
        if (keys == nullptr) return NeedsKey(path);
        VARVE_ASSIGN(key, FindDataKey(path, keys, components));
      }
      VARVE_TRY(DumpRun(path, std::move(bytes), key, line));
      break;
    }
    case FileKind::kTimes: {
      VARVE_ASSIGN(const std::string bytes, ReadWholeFile(files, path));
      std::string key;
      if (IsEncryptedTimes(bytes)) {
        line(fmt::format("encrypted times, {} bytes", bytes.size()));
        if (keys == nullptr) return NeedsKey(path);
        VARVE_ASSIGN(key, FindDataKey(path, keys, components));
      }
      if (const Status dumped = DumpTimes(bytes, line, key); !dumped) {
        return std::unexpected(dumped.error().Within(path));
      }
      break;
    }
    case FileKind::kUnknown:
      DumpUnknown(head, info.size, line);
      break;
  }
  return kind;
}

}  // namespace varve
