// SPDX-License-Identifier: Apache-2.0
// CheckedFile: an object of a run as Arrow's random-access file, every byte checked when read.
//
// The tail (page index, bloom filters, footer) is in memory, checked as a whole at Open. Reads of
// the data region are widened to whole blocks of kChecksumBlockBytes, each compared with its
// checksum of the footer. A difference is an arrow::Status that carries Corruption (ToArrow).
// The widened bytes are read into one buffer and lent as a slice of it: nothing is copied.
//
// Thread safety: ReadAt, ReadAsync and GetSize from any thread; Seek, Tell and Read from one.
#pragma once

#include <arrow/buffer.h>
#include <arrow/io/interfaces.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "files/object_store.h"
#include "run/run_meta.h"
#include "varve/error.h"

namespace varve {

class CheckedFile final : public arrow::io::RandomAccessFile {
 public:
  // `where` names the object to a person. There must be a checksum for each block. Bytes that are
  // read take memory of `pool`.
  CheckedFile(std::unique_ptr<ObjectReader> reader, std::string where, const RunObject& object,
              std::shared_ptr<arrow::Buffer> tail, std::vector<std::uint32_t> block_crc32c,
              arrow::MemoryPool* pool);

  arrow::Result<std::int64_t> ReadAt(std::int64_t position, std::int64_t size,
                                     void* out) override;
  arrow::Result<std::int64_t> ReadAt(std::int64_t position, std::int64_t size,
                                     bool allow_short_read, void* out) override;
  arrow::Result<std::shared_ptr<arrow::Buffer>> ReadAt(std::int64_t position,
                                                       std::int64_t size) override;
  arrow::Result<std::shared_ptr<arrow::Buffer>> ReadAt(std::int64_t position, std::int64_t size,
                                                       bool allow_short_read) override;
  arrow::Result<std::int64_t> GetSize() override { return size_; }

  arrow::Result<std::int64_t> Read(std::int64_t size, void* out) override;
  arrow::Result<std::shared_ptr<arrow::Buffer>> Read(std::int64_t size) override;
  arrow::Status Seek(std::int64_t position) override;
  arrow::Result<std::int64_t> Tell() const override { return position_; }
  arrow::Status Close() override;
  bool closed() const override { return closed_; }

  std::uint64_t blocks() const { return block_crc32c_.size(); }
  // Reads block `index` and compares it: Corruption on a difference.
  Status CheckBlock(std::uint64_t index);

 private:
  Result<std::shared_ptr<arrow::Buffer>> ReadData(std::uint64_t begin, std::uint64_t end);
  std::unexpected<Error> ReadError(const Error& error) const;
  Status Check(std::uint64_t block, const char* bytes, std::uint64_t size) const;

  const std::unique_ptr<ObjectReader> reader_;
  const std::string where_;
  const std::int64_t size_;
  const std::int64_t data_bytes_;
  const std::shared_ptr<arrow::Buffer> tail_;
  const std::vector<std::uint32_t> block_crc32c_;
  arrow::MemoryPool* const pool_;
  std::int64_t position_ = 0;
  bool closed_ = false;
};

}  // namespace varve
