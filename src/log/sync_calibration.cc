// SPDX-License-Identifier: Apache-2.0
#include "log/sync_calibration.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <memory>
#include <sstream>
#include <utility>

#include "base/aligned_buffer.h"
#include "base/clock.h"
#include "base/crc32c.h"
#include "base/result.h"

namespace varve {
namespace {

constexpr int kTurnsMax = 61;  // the first pays for what is new: not counted
constexpr int kTurnsMin = 6;
constexpr std::int64_t kMicrosMax = 200'000;  // no turn begins later, but the fewest are taken
constexpr std::int64_t kTiePercent = 2;
constexpr int kTurnsForThat = 20;  // of fewer the medians themselves differ by as much
constexpr std::int64_t kTiePercentOfFewTurns = 5;
constexpr std::uint64_t kSyncFileBytesMax = 4096;
constexpr std::string_view kNotOffered = "-";

// One method, with a descriptor of its own.
struct Candidate {
  SyncMeasurement measured;
  std::unique_ptr<File> file;  // null: not offered
  std::vector<std::int64_t> micros;
};

// Real zeros, durable, as in a segment: the writes measured change no size and no extent.
Status WriteZeros(Files* files, const std::string& path, std::uint64_t blocks) {
  VARVE_ASSIGN(const auto file, files->Open(path, OpenMode::kCreate));
  VARVE_TRY(file->WriteAt(0, std::string(blocks * kDirectBlock, '\0')));
  return file->Sync();
}

Result<Candidate> OpenCandidate(Files* files, const std::string& path, SyncMethod method) {
  VARVE_ASSIGN(auto file, files->Open(path, OpenMode::kReadWrite));
  const auto used = file->UseSyncMethod(method);
  if (!used) return Candidate{{method, std::nullopt, used.error().message()}, nullptr, {}};
  return Candidate{{method, std::nullopt, ""}, std::move(file), {}};
}

// The methods take turns: if the machine is busy with other things for a while, it is so for all.
Status TakeTurns(std::vector<Candidate>* candidates, Clock* clock) {
  AlignedBuffer block;
  std::memset(block.Extend(kDirectBlock), 0xa5, kDirectBlock);
  std::uint64_t offset = 0;
  const auto begin = clock->SteadyMicros();
  for (int turn = 0; turn < kTurnsMax; ++turn) {
    if (turn >= kTurnsMin && clock->SteadyMicros() - begin > kMicrosMax) return {};
    for (auto& candidate : *candidates) {
      if (!candidate.file) continue;
      const auto start = clock->SteadyMicros();
      VARVE_TRY(candidate.file->WriteDurably(offset, block.view()));
      if (turn > 0) candidate.micros.push_back(clock->SteadyMicros() - start);
      offset += kDirectBlock;
    }
  }
  return {};
}

SyncMethod FastestOf(const std::vector<SyncMeasurement>& table, std::size_t turns) {
  const SyncMeasurement* fastest = nullptr;
  std::optional<std::int64_t> plain;
  for (const auto& measured : table) {
    if (!measured.median_micros) continue;
    if (measured.method == SyncMethod::kFdatasync) plain = measured.median_micros;
    if (fastest == nullptr || *measured.median_micros < *fastest->median_micros) {
      fastest = &measured;
    }
  }
  if (fastest == nullptr) return SyncMethod::kFdatasync;
  const auto percent = turns < kTurnsForThat ? kTiePercentOfFewTurns : kTiePercent;
  const auto tie = *fastest->median_micros * (100 + percent);
  return plain && *plain * 100 <= tie ? SyncMethod::kFdatasync : fastest->method;
}

// An error is one of opening or writing; a method that is not offered has no median.
Result<SyncChoice> MeasureIn(Files* files, const std::string& path, Clock* clock) {
  VARVE_TRY(WriteZeros(files, path, std::size(kAllSyncMethods) * kTurnsMax));
  std::vector<Candidate> candidates;
  for (const auto method : kAllSyncMethods) {
    VARVE_ASSIGN(auto candidate, OpenCandidate(files, path, method));
    candidates.push_back(std::move(candidate));
  }
  VARVE_TRY(TakeTurns(&candidates, clock));
  SyncChoice choice;
  std::size_t turns = 0;
  for (auto& candidate : candidates) {
    if (candidate.file) {
      turns = candidate.micros.size();
      const auto middle = candidate.micros.begin() + turns / 2;
      std::ranges::nth_element(candidate.micros, middle);
      candidate.measured.median_micros = *middle;
    }
    choice.table.push_back(std::move(candidate.measured));
  }
  choice.method = FastestOf(choice.table, turns);
  return choice;
}

// The file SYNC:
//   varve sync 2
//   device 64768
//   fdatasync 811
//   fsync 1530
//   dsync 790
//   direct-dsync -
//   choice dsync
//   crc 1a2b3c4d
// Medians in microseconds, "-" where the method is not offered; the CRC-32C is of the lines before.
std::string Encode(std::uint64_t device, const SyncChoice& choice) {
  auto text = fmt::format("varve sync 2\ndevice {}\n", device);
  for (const auto& measured : choice.table) {
    const auto median =
        measured.median_micros ? fmt::to_string(*measured.median_micros) : std::string(kNotOffered);
    text += fmt::format("{} {}\n", ToString(measured.method), median);
  }
  text += fmt::format("choice {}\n", ToString(choice.method));
  return text + fmt::format("crc {:08x}\n", Crc32c(text));
}

// Takes the words as they come; whether they stand as they should is seen by writing them again.
std::optional<SyncChoice> Decode(std::uint64_t device, const std::string& text) {
  std::istringstream lines(text);
  std::string word, value;
  lines >> word >> word >> word >> word >> word;  // up to the device
  SyncChoice choice{.remembered = true};
  for (const auto method : kAllSyncMethods) {
    SyncMeasurement measured{.method = method};
    lines >> word >> value;
    std::int64_t median = 0;
    if (value != kNotOffered && (std::istringstream(value) >> median)) {
      measured.median_micros = median;
    }
    choice.table.push_back(std::move(measured));
  }
  lines >> word >> value;
  const auto chosen = std::ranges::find(kAllSyncMethods, value, [](auto m) { return ToString(m); });
  if (chosen == std::end(kAllSyncMethods)) return {};
  choice.method = *chosen;
  if (Encode(device, choice) != text) return {};
  return choice;
}

std::optional<SyncChoice> Recall(Files* files, const std::string& path, std::uint64_t device) {
  const auto info = files->Info(path);
  if (!info || info->is_directory || info->size > kSyncFileBytesMax) return {};
  const auto text = ReadWholeFile(files, path);
  if (!text) return {};
  return Decode(device, *text);
}

// Without a sync: a power cut may leave any of it, and the next open measures again.
Status Remember(Files* files, const std::string& path, std::string_view text) {
  if (auto removed = files->Remove(path);
      !removed && removed.error().kind() != ErrorKind::kNotFound) {
    return removed;
  }
  VARVE_ASSIGN(const auto file, files->Open(path, OpenMode::kCreate));
  return file->WriteAt(0, text);
}

}  // namespace

SyncChoice MeasureSyncMethods(Files* files, const std::string& directory, Clock* clock) {
  const auto path = JoinPath(directory, kCalibrationFileName);
  (void)files->Remove(path);
  auto choice = MeasureIn(files, path, clock);
  (void)files->Remove(path);  // when that fails, the next choice does it
  if (!choice) return {.trouble = choice.error().Within("measuring sync methods").message()};
  return *std::move(choice);
}

std::optional<SyncChoice> RememberedSyncMethod(Files* files, const std::string& directory) {
  const auto info = files->Info(directory);
  if (!info || info->device == 0) return {};
  return Recall(files, JoinPath(directory, kSyncFileName), info->device);
}

SyncChoice ChooseSyncMethod(Files* files, const std::string& directory, Clock* clock) {
  (void)files->Remove(JoinPath(directory, kCalibrationFileName));
  const auto info = files->Info(directory);
  if (!info) return {.trouble = info.error().message()};
  if (info->device == 0) return {};
  const auto path = JoinPath(directory, kSyncFileName);
  if (auto known = Recall(files, path, info->device)) return *std::move(known);
  auto choice = MeasureSyncMethods(files, directory, clock);
  if (!choice.trouble.empty()) return choice;
  if (const auto kept = Remember(files, path, Encode(info->device, choice)); !kept) {
    choice.trouble = kept.error().Within("remembering the sync method").message();
  }
  return choice;
}

}  // namespace varve
