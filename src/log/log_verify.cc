// SPDX-License-Identifier: Apache-2.0
// Looking at a log without opening it: VerifyLog and DumpLogSegment.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "base/result.h"
#include "files/files.h"
#include "log/log_recovery.h"
#include "log/segment_cipher.h"
#include "log/segment_file.h"
#include "log/segment_reader.h"
#include "log/unit_codec.h"
#include "varve/log_reader.h"

namespace varve {
namespace {

using Visit = std::function<void(std::string_view)>;

std::string DescribeHeader(const SegmentHeader& header, std::uint64_t file_bytes) {
  auto line = fmt::format(
      "segment {} of log {}: generation {:016x}, base LSN {}, capacity {}, file {} bytes, made at "
      "{} us since 1970",
      header.sequence, LogIdText(header.log_id), header.generation, header.base, header.capacity,
      file_bytes, header.created_micros);
  if ((header.flags & kRecycledFile) != 0) line += ", of a file that was used before";
  if (header.cipher != 0) {
    line += fmt::format(", AES-256-GCM with key '{}'",
                        std::string_view(header.key_id, header.key_id_bytes));
  }
  return line;
}

std::string_view NameOfCodec(const UnitHeader& header) {
  switch (static_cast<LogCompression>(header.codec)) {
    case LogCompression::kNone: return "plain";
    case LogCompression::kLz4: return "lz4";
    case LogCompression::kZstd: return "zstd";
  }
  return "of a newer codec";
}

std::string NameOfKind(LogKind kind) {
  if (kind == LogKind::kData) return "data";
  if (kind == LogKind::kCheckpoint) return "checkpoint";
  if (kind == LogKind::kPageImage) return "page image";
  return fmt::format("kind {}", static_cast<unsigned>(kind));
}

// ": 2 lz4 (3 data, 1 checkpoint), 1 encrypted zstd". Kinds are told where units can be read.
std::string DescribeUnits(const LogFrame& frame, const SegmentCipher* cipher) {
  std::map<std::string, std::map<std::string, int>> kinds;  // by codec
  std::map<std::string, int> units;
  UnitDecoder decoder;
  auto lsn = frame.header.lsn + kFrameHeaderBytes;
  for (auto rest = frame.payload; !rest.empty();) {
    const auto header = DecodeUnitHeader(rest);
    if (!header) break;
    const bool encrypted = (header->flags & kUnitEncrypted) != 0;
    const auto codec = fmt::format("{}{}", encrypted ? "encrypted " : "", NameOfCodec(*header));
    ++units[codec];
    if (header->size > rest.size()) break;  // it goes on in the next frame
    decoder.Clear();
    if (decoder.Decode(rest.substr(0, header->size), {lsn}, cipher)) {
      for (const auto& record : decoder.records()) ++kinds[codec][NameOfKind(record.kind)];
    }
    rest.remove_prefix(header->size);
    lsn += header->size;
  }
  std::string text;
  for (const auto& [codec, count] : units) {
    text += fmt::format("{}{} {}", text.empty() ? ": " : ", ", count, codec);
    std::string records;
    for (const auto& [kind, many] : kinds[codec]) {
      records += fmt::format("{}{} {}", records.empty() ? "" : ", ", many, kind);
    }
    if (!records.empty()) text += fmt::format(" ({})", records);
  }
  return text;
}

std::string DescribeLink(const LinkPayload& link, std::uint16_t flags) {
  if (link.sequence == 0) return "link: this is the first segment";
  std::string open;
  if (link.open_unit != 0) {
    open = fmt::format(", the unit at LSN {} {}", link.open_unit,
                       (flags & kDropsOpen) != 0 ? "was cut" : "goes on");
  }
  return fmt::format("link: segment {} generation {:016x} ended at LSN {} chain {:08x}, last unit "
                     "ended at LSN {}{}",
                     link.sequence, link.generation, link.end, link.chain, link.unit_end, open);
}

std::string DescribeContent(const LogFrame& frame, const SegmentCipher* cipher) {
  const auto& header = frame.header;
  if (header.kind == FrameKind::kLink) {
    const auto link = DecodeLink(frame.payload);
    return link ? DescribeLink(*link, header.flags) : link.error().message();
  }
  if (header.kind == FrameKind::kSeal) {
    const auto seal = DecodeSeal(frame.payload);
    if (!seal) return seal.error().message();
    return fmt::format("seal: {} units, {} records, {} frames, last unit ends at LSN {}",
                       seal->units, seal->records, seal->frames, seal->unit_end);
  }
  const bool goes_on = (header.flags & kBeginsInside) != 0;
  return fmt::format("group: {} units, {} records{}{}{}", header.units, header.records,
                     goes_on ? ", begins inside a unit" : "",
                     (header.flags & kEndsInside) != 0 ? ", ends inside a unit" : "",
                     goes_on ? "" : DescribeUnits(frame, cipher));
}

std::string DescribeFrame(const LogFrame& frame, const SegmentCipher* cipher) {
  const auto& header = frame.header;
  return fmt::format("{:>10}  LSN {} epoch {} durable {} payload {} chain {:08x} crc {:08x}  {}",
                     frame.offset, header.lsn, header.epoch, header.durable, header.payload_bytes,
                     header.chain, header.crc, DescribeContent(frame, cipher));
}

// A closed log's last file is cut when its seal is on the device.
Lsn DurableEnd(const RecoveredLog& log) {
  const auto end = log.report.end;
  if (log.segments.empty()) return {};
  const bool closed = log.segments.back().info.file_bytes < log.tail.segment.capacity;
  return closed && log.damages.empty() ? end : std::min(log.tail.synced, end);
}

}  // namespace

Result<LogVerification> VerifyLog(const std::string& dir, const LogComponents& components,
                                  KeyProvider* keys) {
  auto* files = components.files != nullptr ? components.files : PosixFiles();
  VARVE_ASSIGN(auto recovered, RecoverLog(files, dir, {}, OnDamage::kSkip, {}, keys,
                                          components.executor));
  LogVerification found{recovered.report, DurableEnd(recovered), {}, {}};
  found.damages = std::move(recovered.damages);
  for (auto& segment : recovered.segments) found.segments.push_back(std::move(segment.info));
  return found;
}

Status DumpLogSegment(const std::string& path, const Visit& visit,
                      const LogComponents& components, KeyProvider* keys) {
  auto* files = components.files != nullptr ? components.files : PosixFiles();
  VARVE_ASSIGN(const auto file, files->Open(path, OpenMode::kRead));
  VARVE_ASSIGN(const auto segment, LookAtSegment(file.get()));
  if (!segment.header) {
    visit("damage at offset 0: " + segment.header_defect);
    return {};
  }
  visit(DescribeHeader(*segment.header, segment.file_bytes));
  std::shared_ptr<const SegmentCipher> cipher;
  if (keys != nullptr) {
    VARVE_ASSIGN(cipher, OpenSegmentCipher(keys, *segment.header));
  }
  SegmentReader reader(file.get(), *segment.header, segment.file_bytes);
  std::optional<std::uint32_t> chain;
  while (true) {
    VARVE_ASSIGN(const auto frame, reader.Next(chain));
    if (!frame) break;
    visit(DescribeFrame(*frame, cipher.get()));
    chain = frame->header.crc;
    if (frame->header.kind == FrameKind::kSeal) return {};
  }
  VARVE_ASSIGN(const auto beyond, reader.LookBeyond());
  if (beyond.nonzero_bytes == 0) {
    visit(fmt::format("{:>10}  the rest is zeros", reader.offset()));
    return {};
  }
  visit(fmt::format("damage or torn tail at offset {}: {}; {} bytes beyond are not zero, and say "
                    "that LSN {} was durable",
                    reader.offset(), reader.defect(), beyond.nonzero_bytes, beyond.durable));
  return {};
}

}  // namespace varve
