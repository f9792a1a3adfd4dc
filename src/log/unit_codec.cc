// SPDX-License-Identifier: Apache-2.0
#include "log/unit_codec.h"

#include <fmt/format.h>
#include <lz4.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <new>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/futex.h"
#include "base/result.h"
#include "log/segment_cipher.h"

namespace varve {
namespace {

constexpr std::uint64_t kCompressBytesMin = 64;
constexpr std::uint64_t kLz4BytesMax = LZ4_MAX_INPUT_SIZE;
constexpr int kZstdLevel = 1;
constexpr std::uint64_t kPlainSizeBytes = 4;  // before a compressed body
constexpr std::uint64_t kCrcBytes = 4;

// Memory that a decoder takes at once, at least, and what it keeps between units.
constexpr std::uint64_t kChunkBytesMin = 4096;
constexpr std::uint64_t kChunkBytesMax = 256u << 10;
constexpr std::uint64_t kIdleBytesMax = 512u << 10;

template <auto kFree>
struct FreeWith {
  template <typename T>
  void operator()(T* value) const {
    kFree(value);
  }
};

// Contexts of Zstandard that nobody uses now, one for each processor: to make one costs as much as
// a small unit. None stays with a thread: where there is no memory to note that something is to be
// freed at a thread's end, glibc ends the process.
template <typename T, auto kMake, auto kFree>
class IdleContexts {
 public:
  using Context = std::unique_ptr<T, FreeWith<kFree>>;
  // Throws std::bad_alloc.
  Context Take() {
    Context context(Place().exchange(nullptr, std::memory_order_acquire));
    if (!context) context.reset(kMake());
    if (!context) throw std::bad_alloc();
    return context;
  }
  void PutBack(Context context) {
    const Context before(Place().exchange(context.release(), std::memory_order_acq_rel));
  }
  void Clear() {
    for (auto& place : places_) const Context idle(place.exchange(nullptr));
  }

 private:
  static constexpr std::size_t kPlaces = 64;
  std::atomic<T*>& Place() { return places_[ProcessorOfThisThread() % kPlaces]; }

  std::atomic<T*> places_[kPlaces] = {};
};
IdleContexts<ZSTD_CCtx, ZSTD_createCCtx, ZSTD_freeCCtx> idle_compressors;
IdleContexts<ZSTD_DCtx, ZSTD_createDCtx, ZSTD_freeDCtx> idle_decompressors;

// The bytes that a call made; 0 when it could not. Throws std::bad_alloc.
std::uint64_t BytesMade(std::size_t done) {
  if (ZSTD_getErrorCode(done) == ZSTD_error_memory_allocation) throw std::bad_alloc();
  return ZSTD_isError(done) != 0 ? 0 : done;
}

std::unexpected<Error> Bad(std::string message) {
  return Fail(ErrorKind::kCorruption, std::move(message));
}

inline void WriteRecords(LogRecords records, char* to) {
  for (const auto& record : records) {
    StoreLittle(to, static_cast<std::uint32_t>(record.bytes.size()));
    to[4] = static_cast<char>(record.kind);
    to += kRecordHeaderBytes;
    if (record.bytes.empty()) continue;  // memcpy wants a pointer even for nothing
    std::memcpy(to, record.bytes.data(), record.bytes.size());
    to += record.bytes.size();
  }
}

// Bytes written; 0 when it did not get below `room`, or could not be done. The bytes are those of
// every other call for the same: what was refused memory throws std::bad_alloc.
std::uint64_t CompressInto(LogCompression codec, std::string_view plain, char* to,
                           std::uint64_t room) {
  if (codec == LogCompression::kLz4) {
    if (plain.size() > kLz4BytesMax) return 0;
    const auto done = LZ4_compress_default(plain.data(), to, static_cast<int>(plain.size()),
                                           static_cast<int>(room));
    return done > 0 ? static_cast<std::uint64_t>(done) : 0;
  }
  auto context = idle_compressors.Take();
  const auto done = BytesMade(
      ZSTD_compressCCtx(context.get(), to, room, plain.data(), plain.size(), kZstdLevel));
  idle_compressors.PutBack(std::move(context));
  return done;
}

// The compressed body with its size in front; empty when that is not smaller.
std::string CompressedBody(LogCompression codec, std::string_view plain) {
  std::string body;
  if (codec == LogCompression::kNone || plain.size() < kCompressBytesMin) return body;
  body.resize(plain.size() - 1);
  const auto done = CompressInto(codec, plain, body.data() + kPlainSizeBytes,
                                 body.size() - kPlainSizeBytes);
  body.resize(done == 0 ? 0 : kPlainSizeBytes + done);
  if (done > 0) StoreLittle(body.data(), static_cast<std::uint32_t>(plain.size()));
  return body;
}

std::atomic<bool> break_next = false;

// The most that so many compressed bytes can hold, so that no lie makes us take much memory: an LZ4
// sequence adds at most 255 bytes a byte, a Zstandard block of 4 bytes or more at most 128 KiB.
std::uint64_t PlainBytesMost(std::uint8_t codec, std::uint64_t compressed) {
  const bool lz4 = codec == static_cast<std::uint8_t>(LogCompression::kLz4);
  const auto most = lz4 ? 255 * (compressed + 16) : (compressed / 4 + 1) * (128ull << 10);
  return std::min<std::uint64_t>(most, kUnitBytesMax);
}

std::string_view AuthenticatedPart(const char* unit) {
  return {unit + kCrcBytes, kUnitHeaderBytes - kCrcBytes};
}

}  // namespace

void BreakNextParallelUnit() { break_next = true; }

void ForgetIdleContexts() {
  idle_compressors.Clear();
  idle_decompressors.Clear();
}

void WritePlainUnit(LogRecords records, std::uint64_t bytes, char* to) {
  UnitHeader header;
  header.size = static_cast<std::uint32_t>(bytes);
  header.records = static_cast<std::uint32_t>(records.size());
  std::memcpy(to, &header, sizeof header);
  WriteRecords(records, to + kUnitHeaderBytes);
  StoreLittle(to, Crc32c({to + kCrcBytes, bytes - kCrcBytes}));
}

UnitEncoder::UnitEncoder(LogRecords records, LogCompression compression, bool encrypt)
    : records_(records),
      plain_bytes_(PlainUnitBytes(records) - kUnitHeaderBytes),
      bytes_(kUnitHeaderBytes + plain_bytes_ + (encrypt ? kCipherTagBytes : 0)),
      encrypt_(encrypt) {
  if (compression != LogCompression::kNone && is_valid()) Compress(compression);
}

Error UnitEncoder::Refusal() const {
  if (records_.empty()) return Error(ErrorKind::kInvalid, "a unit needs at least one record");
  return Error(ErrorKind::kInvalid,
               fmt::format("a unit of {} bytes is larger than the {} that a unit may have; append "
                           "it as several",
                           bytes_, kUnitBytesMax));
}

void UnitEncoder::Compress(LogCompression compression) {
  if (plain_bytes_ < kCompressBytesMin) return;
  const auto plain = std::make_unique_for_overwrite<char[]>(plain_bytes_);
  WriteRecords(records_, plain.get());
  auto body = CompressedBody(compression, {plain.get(), plain_bytes_});
  if (body.empty()) return;
  codec_ = compression;
  bytes_ -= plain_bytes_ - body.size();
  compressed_ = std::make_unique<const std::string>(std::move(body));
}

void UnitEncoder::WriteBody(char* to) const {
  if (codec_ == LogCompression::kNone) return WriteRecords(records_, to);
  std::memcpy(to, compressed_->data(), compressed_->size());
}

// The checksum comes first, so all is looked at twice.
void UnitEncoder::GivePlain(const std::function<void(std::string_view)>& give) const {
  VARVE_CHECK(!encrypt_ && codec_ == LogCompression::kNone);
  UnitHeader header;
  header.size = static_cast<std::uint32_t>(bytes_);
  header.records = records();
  const auto give_records = [this](const auto& to) {
    for (const auto& record : records_) {
      char front[kRecordHeaderBytes];
      StoreLittle(front, static_cast<std::uint32_t>(record.bytes.size()));
      front[4] = static_cast<char>(record.kind);
      to(std::string_view(front, sizeof front));
      to(record.bytes);
    }
  };
  char front[kUnitHeaderBytes];
  std::memcpy(front, &header, sizeof header);
  header.crc = Crc32c({front + kCrcBytes, sizeof front - kCrcBytes});
  give_records([&](std::string_view part) { header.crc = Crc32c(part, header.crc); });
  StoreLittle(front, header.crc);
  give({front, sizeof front});
  give_records(give);
}

Status UnitEncoder::Write(Lsn lsn, const SegmentCipher* cipher, char* to) const {
  VARVE_CHECK(encrypt_ == (cipher != nullptr));
  UnitHeader header;
  header.size = static_cast<std::uint32_t>(bytes_);
  header.records = records();
  header.codec = static_cast<std::uint8_t>(codec_);
  header.flags = encrypt_ ? kUnitEncrypted : 0;
  std::memcpy(to, &header, sizeof header);
  char* const body = to + kUnitHeaderBytes;
  WriteBody(body);
  if (break_next.load(std::memory_order_relaxed) && break_next.exchange(false)) body[0] ^= 1;
  if (encrypt_) {
    const std::string_view plain(body, bytes_ - kUnitHeaderBytes - kCipherTagBytes);
    auto sealed = cipher->Encrypt(lsn, AuthenticatedPart(to), plain, body);
    if (!sealed) {
      std::memset(to, 0, bytes_);  // no plain text may reach the disk
      return sealed;
    }
  }
  StoreLittle(to, Crc32c({to + kCrcBytes, bytes_ - kCrcBytes}));
  return {};
}

Result<std::string> EncodeUnitSerially(LogRecords records, LogCompression compression, Lsn lsn,
                                       const SegmentCipher* cipher) {
  std::string plain;
  for (const auto& record : records) {
    AppendLittle(&plain, static_cast<std::uint32_t>(record.bytes.size()));
    plain += static_cast<char>(record.kind);
    plain += record.bytes;
  }
  auto body = CompressedBody(compression, plain);
  const auto codec = body.empty() ? LogCompression::kNone : compression;
  if (body.empty()) body = std::move(plain);
  std::string unit(kCrcBytes, '\0');
  const auto tag = cipher == nullptr ? 0 : kCipherTagBytes;
  AppendLittle(&unit, static_cast<std::uint32_t>(kUnitHeaderBytes + body.size() + tag));
  AppendLittle(&unit, static_cast<std::uint32_t>(records.size()));
  unit += static_cast<char>(codec);
  unit += static_cast<char>(cipher == nullptr ? 0 : kUnitEncrypted);
  unit.append(2, '\0');
  if (cipher == nullptr) {
    unit += body;
  } else {
    std::string sealed(body.size() + kCipherTagBytes, '\0');
    VARVE_TRY(cipher->Encrypt(lsn, AuthenticatedPart(unit.data()), body, sealed.data()));
    unit += sealed;
  }
  StoreLittle(unit.data(), Crc32c(std::string_view(unit).substr(kCrcBytes)));
  return unit;
}

Result<UnitHeader> DecodeUnitHeader(std::string_view bytes) {
  if (const auto header = PeekUnitHeader(bytes)) return *header;
  UnitHeader header;
  if (bytes.size() < sizeof header) {
    return Bad(fmt::format("unit: expected a header of {} bytes, found {} bytes", sizeof header,
                           bytes.size()));
  }
  std::memcpy(&header, bytes.data(), sizeof header);
  return Bad(fmt::format("unit: a size of {} with {} records cannot be", header.size,
                         header.records));
}

bool UnitIsSound(const UnitHeader& header, std::string_view unit) {
  return header.size == unit.size() && header.crc == Crc32c(unit.substr(kCrcBytes));
}

void UnitDecoder::Clear() {
  records_.clear();
  chunk_ = 0;
  chunk_used_ = 0;
  while (memory_max_ == UINT64_MAX && chunk_bytes_ > kIdleBytesMax) {
    chunk_bytes_ -= chunks_.back().size;
    chunks_.pop_back();
  }
}

// Room for a plain body.
Result<char*> UnitDecoder::Keep(std::uint64_t bytes) {
  for (; chunk_ < chunks_.size(); ++chunk_, chunk_used_ = 0) {
    if (bytes > chunks_[chunk_].size - chunk_used_) continue;
    chunk_used_ += bytes;
    return chunks_[chunk_].bytes.get() + (chunk_used_ - bytes);
  }
  const auto held = memory();
  const auto room = memory_max_ - std::min(memory_max_, held);
  if (bytes > room) {
    return Fail(ErrorKind::kUnavailable, "a unit needs more memory than it may have");
  }
  const auto grown = std::clamp(chunk_bytes_, kChunkBytesMin, kChunkBytesMax);
  const auto size = std::max(bytes, std::min(grown, room));
  chunks_.push_back({std::make_unique_for_overwrite<char[]>(size), size});
  chunk_bytes_ += size;
  chunk_used_ = bytes;
  return chunks_.back().bytes.get();
}

Status UnitDecoder::Decode(std::string_view unit, Lsn lsn, const SegmentCipher* cipher) {
  VARVE_ASSIGN(const auto header, DecodeUnitHeader(unit));
  if (header.size != unit.size()) {
    return Bad(fmt::format("unit: expected {} bytes, found {}", header.size, unit.size()));
  }
  if (header.codec > static_cast<std::uint8_t>(LogCompression::kZstd) ||
      (header.flags & ~kUnitEncrypted) != 0 || header.reserved != 0) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("unit: codec {} and flags {} are not known to this version of varve; "
                            "open the log with the version that wrote it",
                            header.codec, header.flags),
                ErrorReason::kUnsupportedFormat);
  }
  auto body = unit.substr(kUnitHeaderBytes);
  if (header.flags != 0) {
    VARVE_ASSIGN(body, Decrypt(header, unit, lsn, cipher));
  }
  if (header.codec != 0) {
    VARVE_ASSIGN(body, Decompress(header.codec, body));
  }
  if (TakeRecords(body, header.records)) return {};
  return Bad(fmt::format("unit: its {} bytes are not {} records one after the other", body.size(),
                         header.records));
}

Result<std::string_view> UnitDecoder::Decrypt(const UnitHeader& header, std::string_view unit,
                                              Lsn lsn, const SegmentCipher* cipher) {
  if (cipher == nullptr) {
    return Fail(ErrorKind::kNotFound,
                fmt::format("the unit at LSN {} is encrypted, and its segment names no key",
                            lsn.value),
                ErrorReason::kMissingKey);
  }
  if (header.size < kUnitHeaderBytes + kCipherTagBytes) {
    return Bad(fmt::format("unit: {} bytes are too few for an encrypted one", header.size));
  }
  const auto sealed = unit.substr(kUnitHeaderBytes);
  const auto bytes = sealed.size() - kCipherTagBytes;
  VARVE_ASSIGN(char* const plain, Keep(bytes));
  VARVE_TRY(cipher->Decrypt(lsn, AuthenticatedPart(unit.data()), sealed, plain));
  return std::string_view(plain, bytes);
}

Result<std::string_view> UnitDecoder::Decompress(std::uint8_t codec, std::string_view body) {
  const std::uint64_t bytes =
      body.size() < kPlainSizeBytes ? 0 : LoadLittle<std::uint32_t>(body.data());
  body.remove_prefix(std::min<std::uint64_t>(kPlainSizeBytes, body.size()));
  if (bytes == 0 || bytes > PlainBytesMost(codec, body.size())) {
    return Bad(fmt::format("unit: a plain size of {} cannot be that of {} compressed bytes", bytes,
                           body.size()));
  }
  VARVE_ASSIGN(char* const plain, Keep(bytes));
  std::uint64_t done = 0;
  if (codec == static_cast<std::uint8_t>(LogCompression::kLz4)) {
    const auto made = LZ4_decompress_safe(body.data(), plain, static_cast<int>(body.size()),
                                          static_cast<int>(bytes));
    done = made < 0 ? 0 : static_cast<std::uint64_t>(made);
  } else {
    auto context = idle_decompressors.Take();
    done = BytesMade(
        ZSTD_decompressDCtx(context.get(), plain, bytes, body.data(), body.size()));
    idle_decompressors.PutBack(std::move(context));
  }
  if (done == bytes) return std::string_view(plain, bytes);
  return Bad(fmt::format("unit: expected {} bytes after decompression, found {}", bytes, done));
}

bool UnitDecoder::TakePlain(const UnitHeader& header, std::string_view unit) {
  if (header.size != unit.size() || header.codec != 0 || header.flags != 0) return false;
  return header.reserved == 0 && TakeRecords(unit.substr(kUnitHeaderBytes), header.records);
}

// All of them or none.
bool UnitDecoder::TakeRecords(std::string_view body, std::uint32_t count) {
  const auto before = records_.size();
  if (count > body.size() / kRecordHeaderBytes) return false;
  for (std::uint32_t i = 0; i < count && body.size() >= kRecordHeaderBytes; ++i) {
    const auto bytes = LoadLittle<std::uint32_t>(body.data());
    const auto kind = static_cast<LogKind>(body[4]);
    body.remove_prefix(kRecordHeaderBytes);
    if (bytes > body.size()) break;
    records_.emplace_back(body.substr(0, bytes), kind);
    body.remove_prefix(bytes);
  }
  if (body.empty() && records_.size() == before + count) return true;
  records_.resize(before);
  return false;
}

}  // namespace varve
