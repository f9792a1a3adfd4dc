// SPDX-License-Identifier: Apache-2.0
#include "run/checked_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/result.h"
#include "columns/arrow_errors.h"
#include "run/object_sink.h"

namespace varve {

CheckedFile::CheckedFile(std::unique_ptr<ObjectReader> reader, std::string where,
                         const RunObject& object, std::shared_ptr<arrow::Buffer> tail,
                         std::vector<std::uint32_t> block_crc32c, arrow::MemoryPool* pool)
    : reader_(std::move(reader)),
      where_(std::move(where)),
      size_(static_cast<std::int64_t>(object.bytes)),
      data_bytes_(static_cast<std::int64_t>(object.data_bytes)),
      tail_(std::move(tail)),
      block_crc32c_(std::move(block_crc32c)),
      pool_(pool) {
  VARVE_CHECK(tail_->size() == size_ - data_bytes_);
  VARVE_CHECK(block_crc32c_.size() ==
              RoundUp(object.data_bytes, kChecksumBlockBytes) / kChecksumBlockBytes);
}

Status CheckedFile::Check(std::uint64_t block, const char* bytes, std::uint64_t size) const {
  const std::uint32_t found = Crc32c(std::string_view(bytes, size));
  if (found == block_crc32c_[block]) return {};
  const std::uint64_t offset = block * kChecksumBlockBytes;
  return Fail(ErrorKind::kCorruption,
              fmt::format("{}: bytes {} to {} are damaged: their CRC-32C is {:08x}, expected "
                          "{:08x}; run verify, then restore the file from a copy",
                          where_, offset, offset + size, found, block_crc32c_[block]));
}

// A file that was there when the run was opened, and is none now, is lost data.
std::unexpected<Error> CheckedFile::ReadError(const Error& error) const {
  if (error.kind() != ErrorKind::kNotFound) return std::unexpected(error);
  return Fail(ErrorKind::kCorruption,
              fmt::format("{}: the file was removed while a snapshot needs it: {}; restore it from "
                          "a copy",
                          where_, error.message()));
}

// The whole blocks that hold [begin, end), which lies in the data region.
Result<std::shared_ptr<arrow::Buffer>> CheckedFile::ReadData(std::uint64_t begin,
                                                             std::uint64_t end) {
  const std::uint64_t from = begin / kChecksumBlockBytes * kChecksumBlockBytes;
  const std::uint64_t to =
      std::min(RoundUp(end, kChecksumBlockBytes), static_cast<std::uint64_t>(data_bytes_));
  VARVE_ASSIGN(std::shared_ptr<arrow::Buffer> buffer,
               FromArrow(arrow::AllocateBuffer(static_cast<std::int64_t>(to - from), pool_)));
  char* const bytes = reinterpret_cast<char*>(buffer->mutable_data());
  if (auto read = reader_->ReadAt(from, to - from, bytes); !read) return ReadError(read.error());
  for (std::uint64_t at = from; at < to; at += kChecksumBlockBytes) {
    const std::uint64_t size = std::min(kChecksumBlockBytes, to - at);
    VARVE_TRY(Check(at / kChecksumBlockBytes, bytes + (at - from), size));
  }
  return arrow::SliceBuffer(std::move(buffer), static_cast<std::int64_t>(begin - from),
                            static_cast<std::int64_t>(end - begin));
}

Status CheckedFile::CheckBlock(std::uint64_t index) {
  const std::uint64_t begin = index * kChecksumBlockBytes;
  VARVE_TRY(ReadData(begin, std::min(begin + kChecksumBlockBytes,
                                     static_cast<std::uint64_t>(data_bytes_))));
  return {};
}

arrow::Result<std::shared_ptr<arrow::Buffer>> CheckedFile::ReadAt(std::int64_t position,
                                                                  std::int64_t size) {
  if (position < 0 || size < 0) {
    return arrow::Status::Invalid("negative position or size: ", position, ", ", size);
  }
  const std::int64_t begin = std::min(position, size_);
  const std::int64_t end = std::min(begin + size, size_);
  if (begin >= data_bytes_) {
    return arrow::SliceBuffer(tail_, begin - data_bytes_, end - begin);
  }
  auto data = ReadData(static_cast<std::uint64_t>(begin),
                       static_cast<std::uint64_t>(std::min(end, data_bytes_)));
  if (!data) return ToArrow(data.error());
  if (end <= data_bytes_) return *std::move(data);
  return arrow::ConcatenateBuffers({*data, arrow::SliceBuffer(tail_, 0, end - data_bytes_)});
}

arrow::Result<std::shared_ptr<arrow::Buffer>> CheckedFile::ReadAt(std::int64_t position,
                                                                  std::int64_t size,
                                                                  bool allow_short_read) {
  ARROW_ASSIGN_OR_RAISE(auto buffer, ReadAt(position, size));
  if (allow_short_read || buffer->size() == size) return buffer;
  return arrow::Status::IOError(where_, ": ", size, " bytes at ", position,
                                " pass the end at ", size_);
}

arrow::Result<std::int64_t> CheckedFile::ReadAt(std::int64_t position, std::int64_t size,
                                                void* out) {
  return ReadAt(position, size, /*allow_short_read=*/true, out);
}

arrow::Result<std::int64_t> CheckedFile::ReadAt(std::int64_t position, std::int64_t size,
                                                bool allow_short_read, void* out) {
  ARROW_ASSIGN_OR_RAISE(auto buffer, ReadAt(position, size, allow_short_read));
  if (buffer->size() > 0) {
    std::memcpy(out, buffer->data(), static_cast<std::size_t>(buffer->size()));
  }
  return buffer->size();
}

arrow::Result<std::int64_t> CheckedFile::Read(std::int64_t size, void* out) {
  ARROW_ASSIGN_OR_RAISE(const std::int64_t read, ReadAt(position_, size, out));
  position_ += read;
  return read;
}

arrow::Result<std::shared_ptr<arrow::Buffer>> CheckedFile::Read(std::int64_t size) {
  ARROW_ASSIGN_OR_RAISE(auto buffer, ReadAt(position_, size));
  position_ += buffer->size();
  return buffer;
}

arrow::Status CheckedFile::Seek(std::int64_t position) {
  if (position < 0) return arrow::Status::Invalid("negative position: ", position);
  position_ = position;
  return arrow::Status::OK();
}

arrow::Status CheckedFile::Close() {
  closed_ = true;
  return arrow::Status::OK();
}

}  // namespace varve
