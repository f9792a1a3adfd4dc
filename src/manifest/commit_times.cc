// SPDX-License-Identifier: Apache-2.0
#include "manifest/commit_times.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <span>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/result.h"
#include "manifest/manifest_cipher.h"

namespace varve {
namespace {

constexpr std::string_view kMagic = "VARVETIM";
constexpr std::uint32_t kFormat = 1;
constexpr std::size_t kHeaderBytes = 40;
constexpr std::size_t kTrailerBytes = 4;
constexpr std::size_t kVarintBytesMax = 10;

void AppendVarint(std::uint64_t value, std::string* to) {
  while (value >= 0x80) {
    to->push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  to->push_back(static_cast<char>(value));
}

// Takes one off the front; false when it does not end, or has bits beyond the 64th.
bool TakeVarint(std::string_view* from, std::uint64_t* value) {
  *value = 0;
  const std::size_t most = std::min(from->size(), kVarintBytesMax);
  for (std::size_t i = 0; i < most; ++i) {
    const auto byte = static_cast<unsigned char>((*from)[i]);
    if (i == kVarintBytesMax - 1 && byte > 1) return false;
    *value |= static_cast<std::uint64_t>(byte & 0x7f) << (7 * i);
    if (byte < 0x80) {
      from->remove_prefix(i + 1);
      return true;
    }
  }
  return false;
}

std::uint64_t Zigzag(std::uint64_t value) { return value << 1 ^ (0 - (value >> 63)); }
std::uint64_t Unzigzag(std::uint64_t value) { return value >> 1 ^ (0 - (value & 1)); }

std::unexpected<Error> Damaged(const std::string& what) {
  return Fail(ErrorKind::kCorruption, what);
}

// Everything but the times themselves.
Status CheckFrame(std::string_view bytes) {
  if (bytes.size() < kHeaderBytes + kTrailerBytes) {
    return Damaged(fmt::format("expected at least {} bytes, found {}", kHeaderBytes + kTrailerBytes,
                               bytes.size()));
  }
  if (!bytes.starts_with(kMagic)) {
    return Damaged(fmt::format("expected it to begin with {}, found {}", ToHex(kMagic),
                               ToHex(bytes.substr(0, kMagic.size()))));
  }
  const auto body = bytes.substr(0, bytes.size() - kTrailerBytes);
  const auto expected = LoadLittle<std::uint32_t>(bytes.data() + body.size());
  if (const auto found = Crc32c(body); found != expected) {
    return Damaged(fmt::format("expected checksum {:08x}, found {:08x}", expected, found));
  }
  const auto format = LoadLittle<std::uint32_t>(bytes.data() + 8);
  if (format > kFormat) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("format {}: this varve reads up to format {}; open the database with "
                            "a newer varve",
                            format, kFormat),
                ErrorReason::kUnsupportedFormat);
  }
  if (format == 0 || LoadLittle<std::uint32_t>(bytes.data() + 12) != 0) {
    return Damaged("expected format 1 and then zeros, found others");
  }
  return {};
}

}  // namespace

CommitTimes::CommitTimes(CommitNumber first, std::vector<WallTime> times)
    : first_(first), times_(std::move(times)) {
  VARVE_CHECK(!times_.empty());
}

Result<CommitTimes> CommitTimes::Decode(std::string_view bytes) {
  VARVE_TRY(CheckFrame(bytes));
  const auto first = LoadLittle<std::uint64_t>(bytes.data() + 16);
  const auto count = LoadLittle<std::uint64_t>(bytes.data() + 24);
  auto rest = bytes.substr(kHeaderBytes, bytes.size() - kHeaderBytes - kTrailerBytes);
  // Each later time takes a byte or more, so the count cannot ask for more memory than there is.
  if (first == 0 || count == 0 || count - 1 > rest.size() || first + count < first) {
    return Damaged(
        fmt::format("expected at least one commit, and a byte for each after it, found "
                    "{} from commit {} on, and {} bytes",
                    count, first, rest.size()));
  }
  std::vector<WallTime> times;
  times.reserve(count);
  auto time = LoadLittle<std::uint64_t>(bytes.data() + 32);
  times.push_back({static_cast<std::int64_t>(time)});
  while (times.size() < count) {
    std::uint64_t step = 0;
    if (!TakeVarint(&rest, &step)) {
      return Damaged(fmt::format("offset {}: expected the time of commit {}, found none",
                                 bytes.size() - kTrailerBytes - rest.size(), first + times.size()));
    }
    time += Unzigzag(step);
    times.push_back({static_cast<std::int64_t>(time)});
  }
  if (!rest.empty()) {
    return Damaged(
        fmt::format("expected the times of {} commits, found {} bytes more", count, rest.size()));
  }
  return CommitTimes({first}, std::move(times));
}

bool CommitTimes::Covers(const CommitTimes& other) const {
  if (first_ > other.first_ || last() != other.last()) return false;
  return std::ranges::equal(std::span(times_).last(other.times_.size()), other.times_);
}

std::string CommitTimes::Encode() const {
  std::string bytes(kMagic);
  AppendLittle(&bytes, kFormat);
  AppendLittle(&bytes, std::uint32_t{0});
  AppendLittle(&bytes, first_.value);
  AppendLittle(&bytes, static_cast<std::uint64_t>(times_.size()));
  AppendLittle(&bytes, times_.front().micros);
  for (std::size_t i = 1; i < times_.size(); ++i) {
    AppendVarint(Zigzag(static_cast<std::uint64_t>(times_[i].micros) -
                        static_cast<std::uint64_t>(times_[i - 1].micros)),
                 &bytes);
  }
  AppendLittle(&bytes, Crc32c(bytes));
  return bytes;
}

WallTime CommitTimes::Earliest() const { return std::ranges::min(times_); }

std::optional<CommitNumber> CommitTimes::NewestAt(WallTime time) const {
  for (std::size_t i = times_.size(); i > 0; --i) {
    if (times_[i - 1] <= time) return CommitNumber{first_.value + i - 1};
  }
  return std::nullopt;
}

std::string TimeText(WallTime time) {
  using std::chrono::microseconds;
  const std::chrono::sys_time<microseconds> point{microseconds(time.micros)};
  const auto second = std::chrono::floor<std::chrono::seconds>(point);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:06}Z", second, (point - second).count());
}

std::string TimesName(CommitNumber last) {
  return fmt::format("{}{:020}", kTimesPrefix, last.value);
}

bool IsTimesName(std::string_view name) {
  constexpr std::size_t kDigits = 20;
  if (!name.starts_with(kTimesPrefix)) return false;
  const auto digits = name.substr(kTimesPrefix.size());
  return digits.size() == kDigits &&
         digits.find_first_not_of("0123456789") == std::string_view::npos;
}

namespace {

// Those of format 1, which is what an encrypted object holds.
Result<CommitTimes> DecodeWith(const std::string& file_key, std::string_view bytes) {
  if (file_key.empty()) return CommitTimes::Decode(bytes);
  VARVE_ASSIGN(const auto plain, DecryptTimes(file_key, bytes));
  return CommitTimes::Decode(plain);
}

}  // namespace

Result<TimesObject> WriteTimes(ObjectStore* store, const CommitTimes& times, bool encrypted) {
  auto bytes = times.Encode();
  std::string file_key;
  if (encrypted) {
    VARVE_ASSIGN(file_key, SecretBytes(kCipherKeyBytes));
    VARVE_ASSIGN(bytes, EncryptTimes(file_key, bytes));
  }
  const auto name = TimesName(times.last());
  if (const Status put = store->Put(name, bytes); !put) {
    return std::unexpected(put.error().Within(store->Describe(name)));
  }
  return TimesObject{.first = times.first(),
                     .min_time = times.Earliest(),
                     .bytes = bytes.size(),
                     .crc32c = LoadLittle<std::uint32_t>(bytes.data() + bytes.size() - 4),
                     .file_key = std::move(file_key)};
}

Result<std::shared_ptr<const CommitTimes>> ReadTimes(ObjectStore* store, CommitNumber last,
                                                     const TimesObject& object) {
  const auto name = TimesName(last);
  const auto named = [&](const Error& error) {
    return std::unexpected(Error(error.kind(),
                                 fmt::format("{}: {}", store->Describe(name), error.message()),
                                 error.reason()));
  };
  auto bytes = store->Get(name);
  if (!bytes && bytes.error().kind() == ErrorKind::kNotFound) {
    return named(Error(ErrorKind::kCorruption,
                       "expected this object, which the manifest names, found none"));
  }
  if (!bytes) return std::unexpected(std::move(bytes).error());
  auto times = DecodeWith(object.file_key, *bytes);
  if (!times) return named(times.error());
  const TimesObject found{.first = times->first(),
                          .min_time = times->Earliest(),
                          .bytes = bytes->size(),
                          .crc32c = LoadLittle<std::uint32_t>(bytes->data() + bytes->size() - 4),
                          .file_key = object.file_key};
  TimesObject expected = object;
  if (found.first < object.first) expected.first = found.first;
  if (times->last() != last || found != expected) {
    return named(Error(
        ErrorKind::kCorruption,
        fmt::format("expected commits {} to {}, {} bytes and checksum {:08x}, found {} to {}, {} "
                    "and {:08x}: it is not the object that the manifest names",
                    object.first.value, last.value, object.bytes, object.crc32c, found.first.value,
                    times->last().value, found.bytes, found.crc32c)));
  }
  return std::make_shared<const CommitTimes>(*std::move(times));
}

Status DumpTimes(std::string_view bytes, const std::function<void(std::string_view)>& line,
                 const std::string& file_key) {
  VARVE_ASSIGN(const auto times, DecodeWith(file_key, bytes));
  line(fmt::format("times of commits {} to {}, {} bytes", times.first().value, times.last().value,
                   bytes.size()));
  for (auto commit = times.first(); commit <= times.last(); ++commit.value) {
    line(fmt::format("commit {} {}", commit.value, TimeText(times.At(commit))));
  }
  return {};
}

}  // namespace varve
