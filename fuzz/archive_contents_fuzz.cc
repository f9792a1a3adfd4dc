// SPDX-License-Identifier: Apache-2.0
// What the names and sizes of an archive's objects say. Input: for each object 1 byte kind, 1 byte
// sequence, then by kind: numbers of a name that is well formed, and a size; or any name.
#include <algorithm>
#include <limits>
#include <map>

#include "fuzz/allocation_meter.h"
#include "fuzz/input.h"
#include "fuzz/oracle.h"
#include "fuzz/target.h"
#include "log/archive_contents.h"

namespace varve::fuzz {
namespace {

constexpr std::uint64_t kUnit = 4096;  // of sizes and places

// Objects of zeros, but each byte says by which object it is.
class ListedArchive final : public LogArchive {
 public:
  std::map<std::string, std::uint64_t> objects;

  Result<std::vector<LogArchiveObject>> List() override {
    std::vector<LogArchiveObject> list;
    for (const auto& [name, size] : objects) list.push_back({name, size});
    return list;
  }
  Result<std::string> Read(const std::string& name, std::uint64_t offset,
                           std::uint64_t size) override {
    const auto at = objects.find(name);
    FUZZ_EXPECT(at != objects.end(), name);
    FUZZ_EXPECT(offset <= at->second && size <= at->second - offset, name);
    return std::string(size, name.size() > 20 ? name[32] : name[15]);
  }
  Result<std::unique_ptr<Put>> NewPut(const std::string&) override { return Refused(); }
  Status Delete(const std::string&) override { return Refused(); }
  std::string Describe(const std::string& name) const override { return "archive/" + name; }

 private:
  static std::unexpected<Error> Refused() {
    return std::unexpected(Error(ErrorKind::kInternal, "reading changes nothing"));
  }
};

// Sequences are small and sizes are few, so that objects meet.
void TakeObject(Input* input, ListedArchive* archive) {
  const auto kind = input->Take<std::uint8_t>();
  const auto sequence = input->Take<std::uint8_t>() % 8u;
  if (kind % 8 == 7) {
    const auto size = input->Take<std::uint8_t>();
    archive->objects.try_emplace(std::string(input->TakeBytes(size)), size);
    return;
  }
  const std::uint64_t from = kUnit * (input->Take<std::uint8_t>() % 16u);
  const std::uint64_t to = kUnit * (input->Take<std::uint8_t>() % 16u);
  const bool lies = kind % 8 == 6;
  if (kind % 8 < 4) {
    archive->objects.try_emplace(TailName(sequence, from, to), to - from);
  } else {
    const auto name = WholeName(sequence, to, kind % 8 == 4);
    archive->objects.try_emplace(name, lies ? from : to);
  }
}

std::uint64_t FromOf(const std::string& name) { return std::stoull(name.substr(17, 16), {}, 16); }

void CheckSegment(ListedArchive* archive, const ArchivedSegment& segment, bool last) {
  FUZZ_EXPECT(!segment.objects.empty(), std::to_string(segment.sequence));
  FUZZ_EXPECT(segment.whole || last, "a tail before a later segment");
  FUZZ_EXPECT(!segment.whole || segment.objects.size() == 1,
              "a tail behind a whole segment: " + segment.objects.back().name);
  std::uint64_t end = 0;
  for (const auto& object : segment.objects) {
    if (!segment.whole) FUZZ_EXPECT(FromOf(object.name) == end, "a gap before " + object.name);
    FUZZ_EXPECT(object.size <= std::numeric_limits<std::uint64_t>::max() - end, object.name);
    end += object.size;
  }
  FUZZ_EXPECT(end == segment.size(), std::to_string(end));
  const auto file = OpenArchived(archive, segment);
  std::string bytes(std::min<std::uint64_t>(end + kUnit, 1u << 20), '\0');
  const auto read = file->ReadAt(1, bytes.size(), bytes.data());
  const auto expected = end == 0 ? 0 : std::min<std::uint64_t>(end - 1, bytes.size());
  FUZZ_EXPECT(read && *read == expected, read ? std::to_string(*read) : read.error().message());
}

void Test(ListedArchive* archive) {
  AllocationMeter meter;
  const auto contents = ReadContents(archive);
  std::uint64_t names = 8192;
  for (const auto& [name, size] : archive->objects) {
    names += 8 * (name.size() + 96) + (name == kArchiveIdName ? size : 0);
  }
  FUZZ_EXPECT(meter.peak_bytes() <= names, std::to_string(meter.peak_bytes()));
  if (!contents) {
    FUZZ_EXPECT(contents.error().kind() == ErrorKind::kCorruption, contents.error().message());
    FUZZ_EXPECT(contents.error().message().find("archive/") != std::string::npos,
                contents.error().message());
    return;
  }
  const auto& segments = contents->segments;
  FUZZ_EXPECT(segments.empty() || !contents->id.empty(), "segments of nobody");
  for (std::size_t i = 0; i < segments.size(); ++i) {
    FUZZ_EXPECT(i == 0 || segments[i].sequence == segments[i - 1].sequence + 1, "a gap");
    CheckSegment(archive, segments[i], i + 1 == segments.size());
  }
  for (const auto& name : contents->stale) {
    FUZZ_EXPECT(name.ends_with(".tail") && archive->objects.contains(name), name);
  }
}

}  // namespace

void FuzzOne(Input input) {
  ListedArchive archive;
  const auto options = input.Take<std::uint8_t>();
  if ((options & 1) != 0) archive.objects["log.id"] = 32;
  for (int i = 0; i < 40 && !input.empty(); ++i) TakeObject(&input, &archive);
  Test(&archive);
}

std::vector<std::string> FuzzSeeds() {
  const std::string whole("\4\1\0\10", 4);
  const std::string next("\4\2\0\10", 4);
  const std::string unsealed("\5\3\0\4", 4);
  const std::string tails("\0\4\0\2\0\4\2\5", 8);
  const std::string odd("\7\0\5abcde", 8);
  return {"\1" + whole + next + unsealed + tails, "\1" + whole + tails, "\1" + next + odd,
          "\1" + tails + std::string("\0\4\0\6", 4), std::string(1, '\0') + odd};
}

}  // namespace varve::fuzz
