// SPDX-License-Identifier: Apache-2.0
// Opening a database whose rows are all in its log, against reading the same batches as Arrow's IPC
// messages out of one file, checksumming (CRC-32C) and decoding them. Both then have the rows in
// memory; the database has them in order, and can go on. Both sides find their files in the
// system's page cache.
#include <arrow/api.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/api.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/crc32c.h"
#include "bench/upkeep/databases.h"
#include "bench/upkeep/groups.h"
#include "bench/versions/varve_table.h"

namespace varve::bench {
namespace {

template <typename T>
T CheckedIpc(arrow::Result<T> result) {
  if (!result.ok()) Die(result.status().ToString());
  return *std::move(result);
}

class ReopenGroup {
 public:
  explicit ReopenGroup(const UpkeepSettings& settings)
      : settings_(settings),
        dir_(settings.dir + "/database"),
        file_(settings.dir + "/messages"),
        options_{.memtable_bytes_max = 16 * settings.log_bytes} {
    RowMaker maker(kCommitRows, 1);
    std::ofstream messages(file_, std::ios::binary);
    const auto database = CreateOrders(dir_, options_);
    for (std::uint64_t logged = 0; logged < settings.log_bytes; rows_ += kCommitRows) {
      const auto batch = maker.Ascending(rows_);
      logged += Must(database->Upsert(kTable, batch, {.ack = AckLevel::kBuffered})).log_bytes;
      const auto message = CheckedIpc(
          arrow::ipc::SerializeRecordBatch(*batch, arrow::ipc::IpcWriteOptions::Defaults()));
      sizes_.push_back(message->size());
      messages.write(reinterpret_cast<const char*>(message->data()), message->size());
    }
    Must(database->Close());
    messages.close();
    if (!messages) Die("cannot write " + file_);
  }

  void Run() {
    for (int round = 0; round <= settings_.rounds; ++round) {
      RunVarve(round);
      RunArrow(round);
    }
  }

 private:
  void RunVarve(int round) {
    WaitForCalm(settings_.patience_seconds);
    const Stretch stretch;
    const auto database = Must(Database::Open(dir_, options_));
    auto slice = stretch.End(rows_);
    slice.counts["bytes"] = static_cast<double>(BytesBelow(dir_ + "/log"));
    if (database->Stats().tables.at(0).memtable_rows != static_cast<std::uint64_t>(rows_)) {
      Die("the log gave other rows than it was given");
    }
    Must(database->Close());
    Print(round, "reopen, varve", std::move(slice));
  }

  void RunArrow(int round) {
    WaitForCalm(settings_.patience_seconds);
    std::vector<BatchPtr> batches;
    std::uint32_t crc = 0;
    std::int64_t rows = 0, bytes = 0;
    const Stretch stretch;
    const int descriptor = ::open(file_.c_str(), O_RDONLY | O_CLOEXEC);
    for (const auto size : sizes_) {
      std::shared_ptr<arrow::Buffer> message = CheckedIpc(arrow::AllocateBuffer(size));
      auto* const data = reinterpret_cast<char*>(message->mutable_data());
      if (::read(descriptor, data, static_cast<std::size_t>(size)) != size) {
        Die("cannot read " + file_);
      }
      crc = Crc32c({data, static_cast<std::size_t>(size)}, crc);
      arrow::io::BufferReader reader(message);
      batches.push_back(CheckedIpc(arrow::ipc::ReadRecordBatch(
          RowSchema(), nullptr, arrow::ipc::IpcReadOptions::Defaults(), &reader)));
      rows += batches.back()->num_rows();
      bytes += size;
    }
    ::close(descriptor);
    auto slice = stretch.End(rows);
    if (round == 0) crc_ = crc;
    if (rows != rows_ || crc != crc_) Die("the file gave other rows than it was given");
    slice.counts["bytes"] = static_cast<double>(bytes);
    Print(round, "reopen, Arrow", std::move(slice));
  }

  const UpkeepSettings& settings_;
  const std::string dir_, file_;
  const OpenOptions options_;
  std::int64_t rows_ = 0;
  std::uint32_t crc_ = 0;
  std::vector<std::int64_t> sizes_;  // of the messages
};

}  // namespace

void MeasureReopen(const UpkeepSettings& settings) { ReopenGroup(settings).Run(); }

}  // namespace varve::bench
