// SPDX-License-Identifier: Apache-2.0
#include "fuzz/log_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/bytes.h"
#include "files/simulated_disk.h"
#include "fuzz/oracle.h"
#include "log/checkpoint_file.h"
#include "log/segment_file.h"
#include "varve/log_reader.h"

namespace varve::fuzz {
namespace {

constexpr std::uint8_t kSequenceBits = 31;
constexpr std::uint8_t kEndsEarly = 128;
constexpr std::size_t kFolderBytesMax = 2u << 20;

std::string TakeFile(Input* input, bool ends_early, std::size_t room) {
  std::string file;
  const auto blocks = input->Take<std::uint8_t>();
  std::size_t last = kLogBlock;
  for (unsigned i = 0; i < blocks && file.size() < room; ++i) {
    const auto bytes = input->Take<std::uint16_t>();
    if (bytes > kLogBlock) {
      file.append((bytes % 256u) * kLogBlock, '\0');
      continue;
    }
    const auto front = input->TakeBytes(bytes);
    file.append(front).append(kLogBlock - front.size(), '\0');
    last = front.size();
  }
  if (ends_early && file.size() >= kLogBlock) file.resize(file.size() - kLogBlock + last);
  return file;
}

void PackFile(std::uint8_t tag, std::string_view file, std::string* packed) {
  const auto partial = file.size() % kLogBlock;
  std::vector<std::string> blocks;
  for (std::size_t at = 0; at < file.size(); at += kLogBlock) {
    const auto block = file.substr(at, kLogBlock);
    const bool short_one = block.size() < kLogBlock;
    const auto used = short_one ? block.size() : block.find_last_not_of('\0') + 1;
    const bool again = used == 0 && !blocks.empty() && blocks.back().empty();
    if (!again) blocks.emplace_back();
    auto& last = blocks.back();
    AppendLittle(&last, static_cast<std::uint16_t>(used));
    last.append(block.substr(0, used));
  }
  packed->push_back(static_cast<char>(partial == 0 ? tag : tag | kEndsEarly));
  packed->push_back(static_cast<char>(blocks.size()));
  for (const auto& block : blocks) *packed += block;
}

void Put(Files* files, const std::string& name, std::string_view bytes) {
  auto file = files->Open(JoinPath(kLogDir, name), OpenMode::kCreate);
  FUZZ_EXPECT(file && (*file)->WriteAt(0, bytes), name);
}

}  // namespace

std::uint64_t LogFolder::bytes() const {
  std::uint64_t sum = checkpoint.size();
  for (const auto& [sequence, segment] : segments) sum += segment.size();
  return sum;
}

LogFolder TakeFolder(Input input) {
  LogFolder folder;
  folder.mend = input.Take<std::uint8_t>();
  folder.choices = input.Take<std::uint8_t>();
  while (!input.empty() && folder.bytes() < kFolderBytesMax) {
    const auto tag = input.Take<std::uint8_t>();
    auto file = TakeFile(&input, (tag & kEndsEarly) != 0, kFolderBytesMax);
    const auto sequence = tag & kSequenceBits;
    if (sequence == 0) {
      folder.checkpoint = std::move(file);
    } else {
      folder.segments.try_emplace(static_cast<std::uint64_t>(sequence), std::move(file));
    }
  }
  MendSegments(folder.mend, &folder.segments);
  return folder;
}

std::string Packed(const LogFolder& folder) {
  std::string packed{static_cast<char>(folder.mend), static_cast<char>(folder.choices)};
  if (!folder.checkpoint.empty()) PackFile(0, folder.checkpoint, &packed);
  for (const auto& [sequence, bytes] : folder.segments) {
    PackFile(static_cast<std::uint8_t>(sequence), bytes, &packed);
  }
  return packed;
}

std::unique_ptr<Files> FilesOf(const LogFolder& folder) {
  auto files = NewMemoryFiles();
  auto made = files->CreateDirectories(kLogDir);
  FUZZ_EXPECT(made.has_value(), made.error().message());
  if (!folder.checkpoint.empty()) Put(files.get(), kCheckpointName, folder.checkpoint);
  for (const auto& [sequence, bytes] : folder.segments) {
    Put(files.get(), SegmentName(sequence), bytes);
  }
  return files;
}

SeenUnit Seen(const LogUnit& unit) {
  SeenUnit seen{unit.lsn, unit.end, {}};
  for (const auto& record : unit.records) {
    seen.records.emplace_back(record.kind, std::string(record.bytes));
  }
  return seen;
}

std::string Reading::Describe() const {
  return fmt::format("{} units, then {}", units.size(), error ? error->message() : "the end");
}

Reading ReadLog(Files* files, const std::string& dir, RecoveryMode mode, bool read_only,
                std::string_view append) {
  World world;
  Reading reading;
  LogOptions options;
  options.segment_bytes_max = kSegmentBytesMin;
  options.keys = &world.keys;
  options.read_only = read_only;
  options.create_if_missing = false;
  const auto remember = [&](const LogUnit& unit) {
    reading.units.push_back(Seen(unit));
    return Status();
  };
  const auto log = Log::Open(dir, options, remember, {.mode = mode}, world.On(files));
  if (!log) {
    reading.error = log.error();
    return reading;
  }
  FUZZ_EXPECT((*log)->recovery().units == reading.units.size(), "another count of units");
  if (append.empty()) return reading;
  const LogRecord record(append);
  const auto ack = (*log)->Append(LogRecords(&record, 1));
  if (!ack) {
    reading.error = ack.error();
  } else {
    reading.units.push_back(Seen({ack->lsn, ack->end, {&record, 1}}));
  }
  return reading;
}

Reading ReadByCursor(Files* files, Lsn from, AckLevel level, bool follow) {
  World world;
  Reading reading;
  const LogReaderOptions options{from, level, follow, &world.keys};
  const auto cursor = LogCursor::Open(kLogDir, options, world.On(files));
  if (!cursor) {
    reading.error = cursor.error();
    return reading;
  }
  while (true) {
    const auto unit = (*cursor)->Next();
    if (!unit) reading.error = unit.error();
    if (!unit || !*unit) return reading;
    reading.units.push_back(Seen(**unit));
    FUZZ_EXPECT((*cursor)->position() == (*unit)->end, "another position");
  }
}

bool IsPrefix(const std::vector<SeenUnit>& some, const std::vector<SeenUnit>& all) {
  return some.size() <= all.size() && std::equal(some.begin(), some.end(), all.begin());
}

}  // namespace varve::fuzz
