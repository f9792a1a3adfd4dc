// SPDX-License-Identifier: Apache-2.0
// Looking at a log without opening it: VerifyLog and DumpLogSegment.
#include <fmt/format.h>

#include <utility>

#include "base/bytes.h"
#include "base/result.h"
#include "files/files.h"
#include "log/log_recovery.h"
#include "log/segment_file.h"
#include "log/segment_reader.h"
#include "varve/log.h"

namespace varve {
namespace {

using Visit = std::function<void(std::string_view)>;

std::string DescribeHeader(const SegmentHeader& header, std::uint64_t file_bytes) {
  const std::string_view id(reinterpret_cast<const char*>(header.log_id.data()),
                            header.log_id.size());
  return fmt::format(
      "segment {} of log {}: generation {:016x}, base LSN {}, capacity {}, file {} bytes, made at "
      "{} us since 1970",
      header.sequence, ToHex(id), header.generation, header.base, header.capacity, file_bytes,
      header.created_micros);
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

std::string DescribeContent(const LogFrame& frame) {
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
  return fmt::format("group: {} units, {} records{}{}", header.units, header.records,
                     (header.flags & kContinues) != 0 ? ", begins inside a unit" : "",
                     (header.flags & kContinued) != 0 ? ", ends inside a unit" : "");
}

std::string DescribeFrame(const LogFrame& frame) {
  const auto& header = frame.header;
  return fmt::format("{:>10}  LSN {} epoch {} durable {} payload {} chain {:08x} crc {:08x}  {}",
                     frame.offset, header.lsn, header.epoch, header.durable, header.payload_bytes,
                     header.chain, header.crc, DescribeContent(frame));
}

}  // namespace

Result<LogVerification> VerifyLog(const std::string& dir, const LogComponents& components) {
  auto* files = components.files != nullptr ? components.files : PosixFiles();
  VARVE_ASSIGN(auto recovered, RecoverLog(files, dir, {}, OnDamage::kSkip, {}, nullptr));
  return LogVerification{recovered.report, std::move(recovered.damages)};
}

Status DumpLogSegment(const std::string& path, const Visit& visit,
                      const LogComponents& components) {
  auto* files = components.files != nullptr ? components.files : PosixFiles();
  VARVE_ASSIGN(const auto file, files->Open(path, OpenMode::kRead));
  VARVE_ASSIGN(const auto segment, LookAtSegment(file.get()));
  if (!segment.header) {
    visit("damage at offset 0: " + segment.header_defect);
    return {};
  }
  visit(DescribeHeader(*segment.header, segment.file_bytes));
  SegmentReader reader(file.get(), *segment.header, segment.file_bytes);
  std::optional<std::uint32_t> chain;
  while (true) {
    VARVE_ASSIGN(const auto frame, reader.Next(chain));
    if (!frame) break;
    visit(DescribeFrame(*frame));
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
