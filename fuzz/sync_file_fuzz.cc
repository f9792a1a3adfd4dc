// SPDX-License-Identifier: Apache-2.0
// The file SYNC. Input: options (1: mend the checksum of the last line, 2: add that line), text.
#include <algorithm>
#include <charconv>
#include <cstdio>

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/result.h"
#include "files/simulated_disk.h"
#include "fuzz/allocation_meter.h"
#include "fuzz/input.h"
#include "fuzz/oracle.h"
#include "fuzz/target.h"
#include "log/sync_calibration.h"
#include "test/support/forwarding_files.h"

namespace varve::fuzz {
namespace {

constexpr char kDir[] = "log";
constexpr std::uint64_t kDevice = 64768;

// Files in memory that say to be on a device.
class OnDevice final : public testing::ForwardingFiles {
 public:
  explicit OnDevice(std::uint64_t device) : ForwardingFiles(NewMemoryFiles()), device_(device) {}
  Result<FileInfo> Info(const std::string& path) override {
    VARVE_ASSIGN(auto info, files()->Info(path));
    info.device = device_;
    return info;
  }

 private:
  const std::uint64_t device_;
};

std::string CrcLine(std::string_view before) {
  char line[16];
  std::snprintf(line, sizeof line, "crc %08x\n", Crc32c(before));
  return line;
}

std::string Mended(std::uint8_t options, std::string text) {
  if ((options & 2) != 0) return text + CrcLine(text);
  if ((options & 1) == 0 || text.empty()) return text;
  const auto line = text.rfind('\n', text.size() - 2);
  text.resize(line == std::string::npos ? 0 : line + 1);
  return text + CrcLine(text);
}

void Put(Files* files, std::string_view text) {
  auto made = files->CreateDirectories(kDir);
  auto file = files->Open(JoinPath(kDir, kSyncFileName), OpenMode::kCreate);
  FUZZ_EXPECT(made && file && (*file)->WriteAt(0, text), "files in memory that fail");
}

std::string Text(Files* files) {
  auto text = ReadWholeFile(files, JoinPath(kDir, kSyncFileName));
  FUZZ_EXPECT(text.has_value(), text.error().message());
  return *text;
}

bool Same(const SyncChoice& a, const SyncChoice& b) {
  return a.method == b.method &&
         std::ranges::equal(a.table, b.table, [](const auto& x, const auto& y) {
           return x.method == y.method && x.median_micros == y.median_micros;
         });
}

void Test(const std::string& text) {
  OnDevice files(kDevice);
  Put(&files, text);
  AllocationMeter meter;
  const auto remembered = RememberedSyncMethod(&files, kDir);
  FUZZ_EXPECT(meter.peak_bytes() <= 8 * std::min<std::size_t>(text.size(), 4096) + 16384,
              std::to_string(meter.peak_bytes()));
  FUZZ_EXPECT(Text(&files) == text, "reading that wrote");
  ManualClock clock;
  const auto chosen = ChooseSyncMethod(&files, kDir, &clock);
  FUZZ_EXPECT(chosen.trouble.empty(), chosen.trouble);
  FUZZ_EXPECT(chosen.table.size() == std::size(kAllSyncMethods), "another table");
  FUZZ_EXPECT(chosen.remembered == remembered.has_value(), "two opinions of one file");
  if (remembered) {
    FUZZ_EXPECT(Same(*remembered, chosen), "another choice");
    FUZZ_EXPECT(Text(&files) == text, "a good file that was written anew");
    FUZZ_EXPECT(text.find(std::string("choice ") + std::string(ToString(chosen.method))) !=
                    std::string::npos,
                "a choice that the file does not name");
    OnDevice elsewhere(kDevice + 1);
    Put(&elsewhere, text);
    FUZZ_EXPECT(!RememberedSyncMethod(&elsewhere, kDir), "believed on another device");
  }
  const auto again = RememberedSyncMethod(&files, kDir);
  FUZZ_EXPECT(again && Same(*again, chosen), "what was chosen is not remembered");
}

}  // namespace

void FuzzOne(Input input) {
  const auto options = input.Take<std::uint8_t>();
  Test(Mended(options, std::string(input.TakeRest())));
}

std::vector<std::string> FuzzSeeds() {
  const std::string text =
      "varve sync 2\ndevice 64768\nfdatasync 811\nfsync 1530\ndsync 790\ndirect-dsync -\n"
      "choice dsync\n";
  return {"\2" + text, "\1" + text + "crc 00000000\n", std::string(1, '\0') + text,
          "\2varve sync 2\ndevice 64768\nfdatasync 1\nfsync -\ndsync -\ndirect-dsync -\n"
          "choice fdatasync\n"};
}

}  // namespace varve::fuzz
