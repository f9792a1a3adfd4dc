// SPDX-License-Identifier: Apache-2.0
// The file CHECKPOINT, and the record of a checkpoint. Input: options (1: mend checksums, 2: mend
// ids), bytes of the first slot (2), the two slots, each padded to a block; or with 4 a record.
#include <cstring>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "files/simulated_disk.h"
#include "fuzz/allocation_meter.h"
#include "fuzz/input.h"
#include "fuzz/oracle.h"
#include "fuzz/target.h"
#include "log/checkpoint_file.h"

namespace varve::fuzz {
namespace {

constexpr char kDir[] = "log";
constexpr std::uint64_t kCrcOffset = 48;

LogId Id() {
  LogId id;
  id.fill(7);
  return id;
}

std::string MendSlot(std::uint8_t options, std::string slot) {
  if (slot.size() < kCrcOffset + 4) return slot;
  if ((options & 2) != 0) std::memcpy(slot.data() + 8, Id().data(), Id().size());
  if ((options & 1) != 0) {
    StoreLittle(slot.data() + kCrcOffset, Crc32c(std::string_view(slot).substr(0, kCrcOffset)));
  }
  return slot;
}

std::unique_ptr<Files> FolderWith(std::string_view content) {
  auto files = NewMemoryFiles();
  auto made = files->CreateDirectories(kDir);
  FUZZ_EXPECT(made.has_value(), made.error().message());
  auto file = files->Open(JoinPath(kDir, kCheckpointName), OpenMode::kCreate);
  FUZZ_EXPECT(file && (*file)->WriteAt(0, content), "files in memory that fail");
  return files;
}

std::optional<CheckpointSlot> Newest(Files* files) {
  const auto slot = ReadCheckpoint(files, kDir, Id());
  FUZZ_EXPECT(slot.has_value(), slot.error().message());
  return *slot;
}

void TestFile(std::string_view content, bool of_this_log) {
  const auto files = FolderWith(content);
  AllocationMeter meter;
  const auto before = Newest(files.get());
  FUZZ_EXPECT(meter.peak_bytes() <= 4 * content.size() + 8192, std::to_string(meter.peak_bytes()));
  const auto other = ReadCheckpoint(files.get(), kDir, LogId{});
  FUZZ_EXPECT(other && (!*other || !of_this_log), "another log's checkpoint");
  // Whatever was there, the next one is the newest; and one that is torn changes nothing.
  CheckpointFile file(files.get(), kDir, Id(), {});
  const auto replay_from = file.ReplayFrom();
  FUZZ_EXPECT(replay_from.has_value() && replay_from->has_value() == before.has_value(),
              "another opinion of what is there");
  const bool goes_back = before && before->replay_from > Lsn{1024};  // then there are two slots
  auto written = file.Announce({1024});
  if (written) written = file.Write({4096}, {1024});
  const auto number_wanted = (before ? before->number : 0) + (goes_back ? 2 : 1);
  if (number_wanted > 1ull << 62) {
    FUZZ_EXPECT(!written && written.error().kind() == ErrorKind::kCorruption, "a number beyond");
    return;
  }
  FUZZ_EXPECT(written.has_value(), written.error().message());
  const auto after = Newest(files.get());
  FUZZ_EXPECT(after && after->durable == Lsn{4096} && after->replay_from == Lsn{1024},
              after ? std::to_string(after->number) : "nothing");
  const auto number = after->number;
  FUZZ_EXPECT(number == number_wanted, std::to_string(number));
  auto torn = files->Open(JoinPath(kDir, kCheckpointName), OpenMode::kReadWrite);
  FUZZ_EXPECT(torn && (*torn)->WriteAt(number % 2 * kLogBlock, "torn"), "no such file");
  const auto again = Newest(files.get());
  FUZZ_EXPECT(again.has_value() == before.has_value(), "the checkpoint before is gone");
  FUZZ_EXPECT(!again || again->number == number - 1, std::to_string(again->number));
}

void TestRecord(std::string_view bytes) {
  const auto checkpoint = DecodeCheckpoint({64}, LogRecord(bytes, LogKind::kCheckpoint));
  FUZZ_EXPECT(checkpoint.has_value() == (bytes.size() >= 8), std::to_string(bytes.size()));
  if (!checkpoint) return;
  FUZZ_EXPECT(EncodeCheckpoint(checkpoint->replay_from, checkpoint->note) == bytes, "other bytes");
}

// A slot as it is stored, without its zeros.
std::string Slot(std::uint64_t number, std::uint64_t replay_from) {
  std::string bytes = "VARVECKP" + std::string(16, '\7');
  AppendLittle(&bytes, number);
  AppendLittle(&bytes, replay_from + 100);
  AppendLittle(&bytes, replay_from);
  AppendLittle(&bytes, Crc32c(bytes));
  return bytes;
}

}  // namespace

void FuzzOne(Input input) {
  const auto options = input.Take<std::uint8_t>();
  if ((options & 4) != 0) {
    TestRecord(input.TakeRest());
    return;
  }
  const auto first_bytes = input.Take<std::uint16_t>();
  auto content = MendSlot(options, std::string(input.TakeBytes(first_bytes)));
  const auto second = MendSlot(options, std::string(input.TakeRest()));
  if (!second.empty()) content.resize(kLogBlock, '\0');
  TestFile(content + second, (options & 2) != 0);
}

std::vector<std::string> FuzzSeeds() {
  const auto input = [](char options, std::string_view first, std::string_view second) {
    std::string bytes{options, static_cast<char>(first.size()), '\0'};
    return bytes.append(first).append(second);
  };
  return {input(3, Slot(2, 5000), Slot(1, 4000)), input(3, Slot(2, 5000), Slot(3, 6000)),
          input(3, "", Slot(1, 4000)), input(0, Slot(4, 7000), ""),
          std::string("\4") + std::string(8, '\1') + "note"};
}

}  // namespace varve::fuzz
