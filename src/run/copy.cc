// SPDX-License-Identifier: Apache-2.0
// OpenRun::CopyObject: an object's bytes for somebody else's keeping, checked on the way.
#include <arrow/buffer.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/result.h"
#include "columns/arrow_errors.h"
#include "run/object_sink.h"
#include "run/open_run.h"
#include "run/run_file.h"
#include "run/run_source.h"

namespace varve {
namespace {

constexpr std::uint64_t kCopyBytes = 16 * kChecksumBlockBytes;

// From the store: what is in memory says nothing about the disk.
Status CopyTail(ObjectStore* store, const RunObject& object, const OpenRun::ByteSink& to) {
  VARVE_ASSIGN(const std::string tail, store->GetRange(object.name, object.data_bytes,
                                                       object.bytes - object.data_bytes));
  if (const std::uint32_t found = Crc32c(tail); found != object.tail_crc32c) {
    return Fail(ErrorKind::kCorruption,
                fmt::format("{}: offset {}: the footer's CRC-32C is {:08x}, expected {:08x}; run "
                            "verify, then restore the file from a copy",
                            store->Describe(object.name), object.data_bytes, found,
                            object.tail_crc32c));
  }
  return to(tail);
}

}  // namespace

Status OpenRun::CopyObject(ObjectKind kind, const ByteSink& to) const {
  const RunFile* const file = kind == ObjectKind::kData ? data() : deletes();
  VARVE_CHECK(file != nullptr);
  const RunObject& object = file->object();
  for (std::uint64_t at = 0; at < object.data_bytes; at += kCopyBytes) {
    const std::uint64_t size = std::min(kCopyBytes, object.data_bytes - at);
    VARVE_ASSIGN(const auto bytes,
                 FromArrow(file->file()->ReadAt(static_cast<std::int64_t>(at),
                                                static_cast<std::int64_t>(size))));
    VARVE_TRY(to({reinterpret_cast<const char*>(bytes->data()), size}));
  }
  return CopyTail(run_->source_->store, object, to);
}

}  // namespace varve
