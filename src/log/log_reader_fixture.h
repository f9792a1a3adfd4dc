// SPDX-License-Identifier: Apache-2.0
// The verbs of readers, beside those of a log.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "log/log_fixture.h"
#include "varve/log_reader.h"

namespace varve::testing {

class TestKeys final : public KeyProvider {
 public:
  std::string key = std::string(32, 'k');
  Result<std::string> CurrentKeyId() override { return std::string("test"); }
  Result<std::string> Key(std::string_view) override { return key; }
};

// Files that count what is read through them.
class CountedReads final : public Files {
 public:
  void Watch(Files* files) { files_ = files; }
  std::uint64_t bytes() const { return bytes_; }
  std::uint64_t largest() const { return largest_; }

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    auto file = files_->Open(path, mode);
    if (!file) return file;
    return std::make_unique<Counted>(*std::move(file), this);
  }
  Result<FileInfo> Info(const std::string& path) override { return files_->Info(path); }
  Result<std::vector<FileInfo>> List(const std::string& dir) override { return files_->List(dir); }
  Status CreateDirectories(const std::string&) override { return Refused(); }
  Status Rename(const std::string&, const std::string&) override { return Refused(); }
  Status Link(const std::string&, const std::string&) override { return Refused(); }
  Status Remove(const std::string&) override { return Refused(); }
  Status SyncDirectory(const std::string&) override { return Refused(); }
  Result<std::unique_ptr<FileLock>> Lock(const std::string&, LockMode) override {
    return std::unexpected(Refused().error());
  }
  using Files::Watch;

 private:
  class Counted final : public File {
   public:
    Counted(std::unique_ptr<File> file, CountedReads* counts)
        : file_(std::move(file)), counts_(counts) {}
    Result<std::uint64_t> ReadAt(std::uint64_t offset, std::uint64_t size, char* into) override {
      counts_->bytes_ += size;
      counts_->largest_ = std::max(counts_->largest_, size);
      return file_->ReadAt(offset, size, into);
    }
    Status WriteAt(std::uint64_t, std::string_view) override { return Refused(); }
    Status Sync() override { return Refused(); }
    Result<std::uint64_t> Size() override { return file_->Size(); }
    Status Truncate(std::uint64_t) override { return Refused(); }
    const std::string& path() const override { return file_->path(); }

   private:
    const std::unique_ptr<File> file_;
    CountedReads* const counts_;
  };
  static Status Refused() {
    return std::unexpected(Error(ErrorKind::kInternal, "a reader changes nothing"));
  }

  Files* files_ = nullptr;
  std::uint64_t bytes_ = 0;
  std::uint64_t largest_ = 0;
};

class LogReaderTest : public LogTest {
 protected:
  LogAck Append(const std::vector<std::string>& records, AckLevel level = AckLevel::kDurable) {
    return last_ack_ = LogTest::Append(records, level);
  }
  LogAck Append(const std::string& record, AckLevel level = AckLevel::kDurable) {
    return Append(std::vector<std::string>{record}, level);
  }
  // Everything anew, empty.
  void NewWorld() {
    cursor_.reset();
    log_.reset();
    owned_files_ = NewMemoryFiles();
    files_ = owned_files_.get();
    appended_.clear();
  }
  Status TryOpenReader(const LogReaderOptions& options, Files* files = nullptr) {
    read_.clear();
    cursor_.reset();
    auto cursor = LogCursor::Open(kLogDir, options, {files ? files : files_, &clock_});
    if (!cursor) return std::unexpected(cursor.error());
    cursor_ = *std::move(cursor);
    return {};
  }
  void OpenReader(const LogReaderOptions& options, Files* files = nullptr) {
    const auto opened = TryOpenReader(options, files);
    ASSERT_TRUE(opened) << opened.error().message();
  }
  void OpenLiveReader(const LogReaderOptions& options) {
    read_.clear();
    auto cursor = OpenCursor(log_.get(), kLogDir, options, {files_, &clock_});
    ASSERT_TRUE(cursor) << cursor.error().message();
    cursor_ = *std::move(cursor);
  }
  // Appends what the cursor has to read_; the error that ended it, if one did.
  std::optional<Error> ReadToEnd() {
    while (true) {
      auto unit = cursor_->Next();
      if (!unit) return unit.error();
      if (!*unit) return {};
      SeenUnit seen{(*unit)->lsn, {}};
      for (const auto& record : (*unit)->records) seen.records.emplace_back(record.bytes);
      read_.push_back(std::move(seen));
      EXPECT_EQ(cursor_->position(), (*unit)->end);
    }
  }
  std::vector<SeenUnit> ReadAll() {
    const auto error = ReadToEnd();
    EXPECT_FALSE(error) << error->message();
    return read_;
  }
  Error ReadToError() {
    auto error = ReadToEnd();
    EXPECT_TRUE(error) << "the end, after " << read_.size() << " units";
    return error.value_or(Error(ErrorKind::kInternal, "none"));
  }
  void ExpectEnd() {
    const auto unit = cursor_->Next();
    ASSERT_TRUE(unit) << unit.error().message();
    EXPECT_FALSE(*unit);
  }
  // What was read is what was appended, in order and without a hole, as far as it goes.
  void ExpectPrefix() {
    ASSERT_LE(read_.size(), appended_.size());
    EXPECT_TRUE(std::equal(read_.begin(), read_.end(), appended_.begin()));
  }
  void FlipByte(const std::string& path, std::uint64_t offset) {
    const auto byte = static_cast<char>(~Bytes(path)[offset]);
    Overwrite(path, offset, {&byte, 1});
  }

  std::unique_ptr<LogCursor> cursor_;
  std::vector<SeenUnit> read_;
  LogAck last_ack_;
  CountedReads reads_;
};

}  // namespace varve::testing
