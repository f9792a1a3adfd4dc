// SPDX-License-Identifier: Apache-2.0
// The least that a durable commit of these rows can be: their bytes, copied into whole blocks, and
// a flush of the device. No checksum, no order, nothing that reads it again.
#include <arrow/record_batch.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "bench/raw_file.h"
#include "bench/slice.h"
#include "bench/versions/store.h"

namespace varve::bench {
namespace {

constexpr std::uint64_t kFileBytes = 64u << 20;
constexpr std::uint64_t kBlock = 4096;
constexpr std::uint64_t kCommitBytesMax = 1u << 20;

class BareStore final : public Store {
 public:
  BareStore(std::string path, LogSyncMethod method)
      : method_(method),
        file_(std::move(path), kFileBytes),
        descriptor_(file_.Open(method)),
        blocks_(static_cast<char*>(std::aligned_alloc(kBlock, kCommitBytesMax))) {
    std::memset(blocks_, 0, kCommitBytesMax);
  }
  ~BareStore() override {
    std::free(blocks_);
    ::close(descriptor_);
  }

  std::string Settings() const override {
    return "a file of 64 MiB, round and round: the bytes of the columns and " + NameOf(method_);
  }
  void Settle() override {}
  void Commit(const BatchPtr& rows) override {
    std::uint64_t size = 0;
    for (const auto& column : rows->column_data()) {
      for (const auto& buffer : column->buffers) {
        if (buffer == nullptr) continue;
        const auto bytes = static_cast<std::uint64_t>(buffer->size());
        if (size + bytes > kCommitBytesMax) Die("a bare commit of more than 1 MiB");
        std::memcpy(blocks_ + size, buffer->data(), bytes);
        size += bytes;
      }
    }
    file_.Flush(descriptor_, method_, blocks_, (size + kBlock - 1) / kBlock * kBlock);
    rows_ += rows->num_rows();
  }
  std::int64_t CountRows() override { return rows_; }

 private:
  const LogSyncMethod method_;
  PreparedFile file_;
  const int descriptor_;
  char* const blocks_;  // aligned, as O_DIRECT wants it
  std::int64_t rows_ = 0;
};

}  // namespace

StorePtr OpenBareStore(const std::string& path, LogSyncMethod method) {
  return std::make_unique<BareStore>(path, method);
}

}  // namespace varve::bench
