// SPDX-License-Identifier: Apache-2.0
// Page images, alone and as a unit of two. Input: the page size, where the bytes part, the images.
#include <map>

#include "fuzz/allocation_meter.h"
#include "fuzz/input.h"
#include "fuzz/oracle.h"
#include "fuzz/target.h"
#include "varve/log_pages.h"

namespace varve::fuzz {
namespace {

class CountedPages final : public PageSink {
 public:
  Status Apply(PageNumber page, std::string_view bytes) override {
    pages[page] = std::string(bytes);
    ++applied;
    return {};
  }
  Status Flush() override { return {}; }

  std::map<PageNumber, std::string> pages;
  int applied = 0;
};

bool CheckImage(std::string_view bytes, std::uint64_t page_bytes) {
  AllocationMeter meter;
  const auto image = DecodePageImage(bytes, page_bytes);
  FUZZ_EXPECT(meter.peak_bytes() <= 1024, std::to_string(meter.peak_bytes()));
  if (!image) {
    FUZZ_EXPECT(image.error().kind() == ErrorKind::kCorruption, image.error().message());
    return false;
  }
  FUZZ_EXPECT(image->after.size() == page_bytes, std::to_string(image->after.size()));
  FUZZ_EXPECT(!image->before || image->before->size() == page_bytes, "another size before");
  FUZZ_EXPECT(EncodePageImage(*image) == bytes, "other bytes");
  return true;
}

// All of a unit is applied, or nothing.
void CheckUnit(std::string_view first, std::string_view second, std::uint64_t page_bytes) {
  const LogRecord records[] = {{first, LogKind::kPageImage}, {"other", LogKind::kData},
                               {second, LogKind::kPageImage}};
  const bool sound = CheckImage(first, page_bytes) && CheckImage(second, page_bytes) &&
                     first.substr(0, 8) == second.substr(0, 8);
  CountedPages pages;
  const auto replayed = RecoverPages(&pages, page_bytes)({{64}, {128}, records});
  FUZZ_EXPECT(replayed.has_value() == sound, sound ? replayed.error().message() : "applied");
  FUZZ_EXPECT(pages.applied == (sound ? 2 : 0), std::to_string(pages.applied));
  if (!sound) return;
  const auto last = DecodePageImage(second, page_bytes);
  FUZZ_EXPECT(pages.pages[last->page] == last->after, "another page");
}

}  // namespace

void FuzzOne(Input input) {
  const auto page_bytes = input.Take<std::uint16_t>();
  const auto first_bytes = input.Take<std::uint16_t>();
  const auto first = input.TakeBytes(first_bytes);
  const auto second = input.TakeRest();
  CheckImage(first, page_bytes);
  CheckUnit(first, second, page_bytes);
}

std::vector<std::string> FuzzSeeds() {
  const std::string before(16, 'b');
  const std::string after(16, 'a');
  const auto with = EncodePageImage({3, {7}, before, after});
  const auto without = EncodePageImage({3, {8}, {}, after});
  const auto input = [](std::string_view first, std::string_view second) {
    std::string bytes{'\20', '\0', static_cast<char>(first.size()), '\0'};
    return bytes.append(first).append(second);
  };
  return {input(with, without), input(without, with), input(without, without),
          input(with, EncodePageImage({4, {8}, {}, after})), input("", with)};
}

}  // namespace varve::fuzz
