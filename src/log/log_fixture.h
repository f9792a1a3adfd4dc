// SPDX-License-Identifier: Apache-2.0
// A log in a world that tests own: files in memory, a clock, a seed, and an executor that runs only
// when asked. The verbs fail the test by themselves, so that tests read as scripts.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "files/files.h"
#include "files/simulated_disk.h"
#include "log/log_format.h"
#include "test/support/seed.h"
#include "varve/log.h"

namespace varve::testing {

struct SeenUnit {
  Lsn lsn;
  std::vector<std::string> records;
  bool operator==(const SeenUnit&) const = default;
};

inline void PrintTo(const SeenUnit& unit, std::ostream* out) {
  *out << "LSN " << unit.lsn.value << " with " << unit.records.size() << " records";
  if (!unit.records.empty()) *out << ", first \"" << unit.records[0].substr(0, 20) << '"';
}

inline constexpr char kLogDir[] = "wal";

// `frame` is room for a header, then the payload: a whole valid frame with this header.
inline std::string FinishedFrame(const SegmentHeader& segment, const FrameHeader& header,
                                 std::string frame) {
  const auto bytes = frame.size();
  frame.resize(RoundUp(bytes, kLogBlock));
  FinishFrame(segment, header, frame.data(), bytes);
  return frame;
}

inline std::vector<LogRecord> RecordsOf(const std::vector<std::string>& bytes) {
  return {bytes.begin(), bytes.end()};
}

class LogTest : public ::testing::Test {
 protected:
  LogTest() : owned_files_(NewMemoryFiles()), files_(owned_files_.get()), random_(TestSeed()) {}
  ~LogTest() override { log_.reset(); }

  LogComponents World() { return {files_, &clock_, &random_, &executor_, nullptr}; }

  // What opening gives; the units are in replayed_.
  Status TryOpen(const RecoveryOptions& recovery = {}) {
    log_.reset();
    replayed_.clear();
    auto log = Log::Open(kLogDir, options_, Remember(), recovery, World());
    if (!log) return std::unexpected(log.error());
    log_ = *std::move(log);
    return {};
  }
  void Open(const RecoveryOptions& recovery = {}) {
    auto opened = TryOpen(recovery);
    ASSERT_TRUE(opened) << opened.error().message();
  }
  LogReplay Remember() {
    return [this](const LogUnit& unit) {
      SeenUnit seen{unit.lsn, {}};
      for (const auto& record : unit.records) seen.records.emplace_back(record.bytes);
      replayed_.push_back(std::move(seen));
      return Status();
    };
  }

  LogAck Append(const std::vector<std::string>& records, AckLevel level = AckLevel::kDurable) {
    auto ack = log_->Append(RecordsOf(records), level);
    if (!ack) {
      ADD_FAILURE() << ack.error().message();
      return {};
    }
    appended_.push_back({ack->lsn, records});
    return *ack;
  }
  LogAck Append(const std::string& record, AckLevel level = AckLevel::kDurable) {
    return Append(std::vector<std::string>{record}, level);
  }
  void Close() {
    auto closed = log_->Close();
    ASSERT_TRUE(closed) << closed.error().message();
    log_.reset();
  }
  // As kill -9: what was not written is gone.
  void Kill() { log_.reset(); }
  void ExpectEverythingBack() { EXPECT_EQ(replayed_, appended_); }

  std::string PathOf(std::uint64_t sequence) const {
    char name[32];
    std::snprintf(name, sizeof name, "%016llx.log", static_cast<unsigned long long>(sequence));
    return JoinPath(kLogDir, name);
  }
  std::string Bytes(const std::string& path) {
    auto bytes = ReadWholeFile(files_, path);
    EXPECT_TRUE(bytes) << path;
    return bytes ? *bytes : "";
  }
  void Overwrite(const std::string& path, std::uint64_t offset, std::string_view bytes) {
    auto file = files_->Open(path, OpenMode::kReadWrite);
    ASSERT_TRUE(file) << file.error().message();
    ASSERT_TRUE((*file)->WriteAt(offset, bytes));
  }
  void Cut(const std::string& path, std::uint64_t size) {
    auto file = files_->Open(path, OpenMode::kReadWrite);
    ASSERT_TRUE(file && (*file)->Truncate(size));
  }
  void Put(const std::string& path, std::string_view bytes) {
    (void)files_->Remove(path);
    auto file = files_->Open(path, OpenMode::kCreate);
    ASSERT_TRUE(file && (*file)->WriteAt(0, bytes));
  }
  std::vector<std::string> Names() {
    std::vector<std::string> names;
    auto entries = files_->List(kLogDir);
    if (!entries) return names;
    for (const auto& entry : *entries) names.push_back(entry.name);
    return names;
  }
  // Every file of the log's folder, to see whether anything changed.
  std::vector<std::pair<std::string, std::string>> Picture() {
    std::vector<std::pair<std::string, std::string>> picture;
    for (const auto& name : Names()) {
      if (name != "LOCK") picture.emplace_back(name, Bytes(JoinPath(kLogDir, name)));
    }
    return picture;
  }
  void ExpectCorruption(const Status& status, std::string_view part = "") {
    ASSERT_FALSE(status) << "opened, and gave " << replayed_.size() << " units";
    EXPECT_EQ(status.error().kind(), ErrorKind::kCorruption) << status.error().message();
    EXPECT_NE(status.error().message().find("offset"), std::string::npos);
    EXPECT_NE(status.error().message().find(part), std::string::npos) << status.error().message();
  }

  std::unique_ptr<Files> owned_files_;
  Files* files_;
  ManualClock clock_;
  SeededRandom random_;
  ManualExecutor executor_;
  LogOptions options_;
  std::unique_ptr<Log> log_;
  std::vector<SeenUnit> appended_;
  std::vector<SeenUnit> replayed_;
};

}  // namespace varve::testing
