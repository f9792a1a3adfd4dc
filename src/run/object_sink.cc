// SPDX-License-Identifier: Apache-2.0
#include "run/object_sink.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/result.h"
#include "columns/arrow_errors.h"

namespace varve {

arrow::Status ObjectSink::Write(const void* data, std::int64_t size) {
  if (closed_) return arrow::Status::Invalid("write to a closed object");
  const std::string_view bytes(static_cast<const char*>(data), static_cast<std::size_t>(size));
  if (in_tail_) {
    tail_crc32c_ = Crc32c(bytes, tail_crc32c_);
  } else {
    AddToBlocks(bytes);
  }
  bytes_ += bytes.size();
  const Status appended = writer_->Append(bytes);
  return appended ? arrow::Status::OK() : ToArrow(appended.error());
}

arrow::Status ObjectSink::Close() {
  closed_ = true;
  return arrow::Status::OK();
}

void ObjectSink::AddToBlocks(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto piece = std::min<std::uint64_t>(bytes.size(), kChecksumBlockBytes - open_bytes_);
    open_crc32c_ = Crc32c(bytes.substr(0, piece), open_crc32c_);
    open_bytes_ += piece;
    bytes.remove_prefix(piece);
    if (open_bytes_ == kChecksumBlockBytes) {
      block_crc32c_.push_back(std::exchange(open_crc32c_, 0));
      open_bytes_ = 0;
    }
  }
}

void ObjectSink::EndData() {
  VARVE_CHECK(!in_tail_);
  if (open_bytes_ > 0) block_crc32c_.push_back(open_crc32c_);
  data_bytes_ = bytes_;
  in_tail_ = true;
}

Status ObjectSink::Finish() {
  VARVE_CHECK(in_tail_);
  return writer_->Finish();
}

}  // namespace varve
