// SPDX-License-Identifier: Apache-2.0
// ObjectSink: what Parquet's writer writes to. Passes bytes to an ObjectWriter, counts them, and
// computes the checksums of RunObject: one for each block of the data region, one for the tail.
#pragma once

#include <arrow/io/interfaces.h>

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "files/object_store.h"
#include "varve/error.h"

namespace varve {

inline constexpr std::uint64_t kChecksumBlockBytes = 64 * 1024;

class ObjectSink final : public arrow::io::OutputStream {
 public:
  explicit ObjectSink(std::unique_ptr<ObjectWriter> writer) : writer_(std::move(writer)) {}

  arrow::Status Write(const void* data, std::int64_t size) override;
  arrow::Result<std::int64_t> Tell() const override {
    return static_cast<std::int64_t>(bytes_);
  }
  // Parquet's writer closes its sink, also when it is destroyed after an error: so Close only
  // refuses more bytes, and publishing is Finish alone.
  arrow::Status Close() override;
  bool closed() const override { return closed_; }

  // The row groups are complete: what follows is the tail.
  void EndData();
  // Publishes the object, durable on return.
  Status Finish();

  std::uint64_t bytes() const { return bytes_; }
  std::uint64_t data_bytes() const { return data_bytes_; }
  const std::vector<std::uint32_t>& block_crc32c() const { return block_crc32c_; }
  std::uint32_t tail_crc32c() const { return tail_crc32c_; }

 private:
  void AddToBlocks(std::string_view bytes);

  std::unique_ptr<ObjectWriter> writer_;
  bool closed_ = false;
  bool in_tail_ = false;
  std::uint64_t bytes_ = 0;
  std::uint64_t data_bytes_ = 0;
  std::vector<std::uint32_t> block_crc32c_;  // of full blocks, and after EndData of the last one
  std::uint32_t open_crc32c_ = 0;            // of the block being filled
  std::uint64_t open_bytes_ = 0;             // in it
  std::uint32_t tail_crc32c_ = 0;
};

}  // namespace varve
