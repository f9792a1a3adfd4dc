// SPDX-License-Identifier: Apache-2.0
// RestoreLog from the objects of an archive. Input: log_folder.h, where bits of the second byte say
// how the segments became objects: 1: the last one is a tail, 2: in two pieces, 4: objects keep
// the zeros behind the last frame, 8: another log's id, 16: up to the middle unit only.
#include <map>

#include "base/bytes.h"
#include "fuzz/allocation_meter.h"
#include "fuzz/log_folder.h"
#include "fuzz/oracle.h"
#include "fuzz/target.h"
#include "log/archive_contents.h"
#include "log/segment_file.h"
#include "varve/log_reader.h"

namespace varve::fuzz {
namespace {

constexpr std::uint8_t kTail = 1;
constexpr std::uint8_t kTwoPieces = 2;
constexpr std::uint8_t kKeepsZeros = 4;
constexpr std::uint8_t kOtherId = 8;
constexpr std::uint8_t kUntilMiddle = 16;
constexpr char kRestored[] = "restored";
constexpr std::uint64_t kMemoryBytesMost = 32u << 20;

class StoredArchive final : public LogArchive {
 public:
  std::map<std::string, std::string> objects;

  Result<std::vector<LogArchiveObject>> List() override {
    std::vector<LogArchiveObject> list;
    for (const auto& [name, bytes] : objects) list.push_back({name, bytes.size()});
    return list;
  }
  Result<std::string> Read(const std::string& name, std::uint64_t offset,
                           std::uint64_t size) override {
    const auto at = objects.find(name);
    FUZZ_EXPECT(at != objects.end(), name);
    FUZZ_EXPECT(offset <= at->second.size() && size <= at->second.size() - offset, name);
    return at->second.substr(offset, size);
  }
  Result<std::unique_ptr<Put>> NewPut(const std::string&) override { return Refused(); }
  Status Delete(const std::string&) override { return Refused(); }
  std::string Describe(const std::string& name) const override { return "archive/" + name; }

 private:
  static std::unexpected<Error> Refused() {
    return std::unexpected(Error(ErrorKind::kInternal, "a restore changes no archive"));
  }
};

// Where the frames of each segment end, as far as anybody can tell.
std::map<std::uint64_t, std::uint64_t> FrameEnds(const LogFolder& folder) {
  std::map<std::uint64_t, std::uint64_t> ends;
  for (const auto& [sequence, bytes] : folder.segments) ends[sequence] = bytes.size();
  const auto files = FilesOf(folder);
  World world;
  const auto verified = VerifyLog(kLogDir, world.On(files.get()));
  if (!verified || (folder.choices & kKeepsZeros) != 0) return ends;
  for (const auto& segment : verified->segments) {
    auto& end = ends[segment.sequence];
    end = std::min(end, segment.end.value - segment.base.value + kLogBlock);
  }
  return ends;
}

StoredArchive ArchiveOf(const LogFolder& folder) {
  StoredArchive archive;
  const auto ends = FrameEnds(folder);
  for (const auto& [sequence, whole] : folder.segments) {
    const auto bytes = whole.substr(0, ends.at(sequence));
    const bool last = sequence == folder.segments.rbegin()->first;
    if (!last || (folder.choices & kTail) == 0) {
      archive.objects[SegmentName(sequence)] = bytes;
      continue;
    }
    const auto blocks = bytes.size() / kLogBlock;
    const auto part = (folder.choices & kTwoPieces) != 0 ? blocks / 2 * kLogBlock : bytes.size();
    if (part > 0) archive.objects[TailName(sequence, 0, part)] = bytes.substr(0, part);
    if (part < bytes.size()) {
      archive.objects[TailName(sequence, part, bytes.size())] = bytes.substr(part);
    }
  }
  std::string id(16, '\0');
  if (!folder.segments.empty()) {
    const auto& first = folder.segments.begin()->second;
    if (first.size() > 32) id = first.substr(16, 16);
  }
  if ((folder.choices & kOtherId) != 0) id[0] ^= 1;
  archive.objects[std::string(kArchiveIdName)] = ToHex(id);
  return archive;
}

void CheckRestored(const LogFolder& folder, Files* files, Lsn until, const RecoveryReport& report,
                   const Reading& source) {
  FUZZ_EXPECT((folder.choices & kOtherId) == 0, "restored from another log's archive");
  const auto restored = ReadLog(files, kRestored, RecoveryMode::kStrict, false, "new");
  if (source.error && source.error->kind() != ErrorKind::kCorruption) return;  // keys
  FUZZ_EXPECT(!restored.error, restored.Describe());
  FUZZ_EXPECT(restored.units.size() == report.units + 1, restored.Describe());
  if (source.error) return;
  const std::vector<SeenUnit> old(restored.units.begin(), restored.units.end() - 1);
  FUZZ_EXPECT(IsPrefix(old, source.units), restored.Describe() + "; " + source.Describe());
  for (const auto& unit : source.units) {
    const bool wanted = until.value == 0 || unit.end <= until;
    const bool there = !old.empty() && unit.end <= old.back().end;
    FUZZ_EXPECT(wanted == there, restored.Describe() + "; " + source.Describe());
  }
}

void Test(const LogFolder& folder) {
  const auto source_files = FilesOf(folder);
  const auto source = ReadLog(source_files.get(), kLogDir, RecoveryMode::kStrict, true);
  auto archive = ArchiveOf(folder);
  const bool middle = (folder.choices & kUntilMiddle) != 0 && !source.units.empty();
  const auto until = middle ? source.units[source.units.size() / 2].end : Lsn{};
  const auto files = FilesOf({});
  World world;
  AllocationMeter meter;
  const auto report = RestoreLog(&archive, kRestored, {until}, world.On(files.get()));
  FUZZ_EXPECT(meter.peak_bytes() <= kMemoryBytesMost + 8 * folder.bytes(),
              std::to_string(meter.peak_bytes()));
  if (report) return CheckRestored(folder, files.get(), until, *report, source);
  const auto& error = report.error();
  FUZZ_EXPECT(BlamesBytes(error) || error.kind() == ErrorKind::kNotFound, error.message());
  const auto left = files->List(kRestored);
  if (left) FUZZ_EXPECT(left->empty() || (left->size() == 1 && left->front().name == "LOCK"),
                        left->front().name);
}

}  // namespace

void FuzzOne(Input input) {
  Test(TakeFolder(input));
}

std::vector<std::string> FuzzSeeds() {
  std::vector<std::string> seeds;
  for (auto seed : SampleFolders()) {
    for (const char choices : {1, 3, 17}) {
      seed[1] = choices;
      seeds.push_back(seed);
    }
  }
  return seeds;
}

}  // namespace varve::fuzz
