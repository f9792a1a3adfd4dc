// SPDX-License-Identifier: Apache-2.0
// A log with an archive beside it, in the world of log_fixture.h. The archive can be told to fail,
// or to keep other bytes than it was given.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "log/archive_contents.h"
#include "log/log_fixture.h"
#include "varve/log_archive.h"

namespace varve::testing {

inline constexpr char kArchiveDir[] = "archive";

// Passes on, unless told otherwise.
class FlakyArchive final : public LogArchive {
 public:
  explicit FlakyArchive(std::unique_ptr<LogArchive> target) : target_(std::move(target)) {}

  bool out_of_reach = false;
  bool keeps_other_bytes = false;
  int gives_more = 0;  // so many bytes of a segment than asked for; negative: fewer

  Status Settle() override { return Reach([&] { return target_->Settle(); }); }
  Result<std::unique_ptr<Put>> NewPut(const std::string& name) override {
    VARVE_TRY(Reach([] { return Status(); }));
    VARVE_ASSIGN(auto put, target_->NewPut(name));
    return std::make_unique<FlakyPut>(this, std::move(put));
  }
  Result<std::string> Read(const std::string& name, std::uint64_t offset,
                           std::uint64_t size) override {
    auto bytes = Reach([&] { return target_->Read(name, offset, size); });
    if (bytes && name != kArchiveIdName) {
      bytes->resize(static_cast<std::size_t>(std::ssize(*bytes) + gives_more));
    }
    return bytes;
  }
  Result<std::vector<LogArchiveObject>> List() override {
    return Reach([&] { return target_->List(); });
  }
  Status Delete(const std::string& name) override {
    return Reach([&] { return target_->Delete(name); });
  }
  std::string Describe(const std::string& name) const override { return target_->Describe(name); }

 private:
  class FlakyPut final : public Put {
   public:
    FlakyPut(FlakyArchive* archive, std::unique_ptr<Put> put)
        : archive_(archive), put_(std::move(put)) {}
    Status Append(std::string_view bytes) override {
      std::string other(bytes);
      if (archive_->keeps_other_bytes) other.back() ^= 1;
      return archive_->Reach([&] { return put_->Append(other); });
    }
    Status Finish() override {
      return archive_->Reach([&] { return put_->Finish(); });
    }

   private:
    FlakyArchive* const archive_;
    const std::unique_ptr<Put> put_;
  };

  template <typename Call>
  auto Reach(const Call& call) -> decltype(call()) {
    if (!out_of_reach) return call();
    return Fail(ErrorKind::kUnavailable, "the archive is out of reach", ErrorReason::kIo);
  }

  const std::unique_ptr<LogArchive> target_;
};

class LogArchiveTest : public LogTest {
 protected:
  LogArchiveTest() { options_.segment_bytes_max = 64 << 10; }
  ~LogArchiveTest() override { archiver_.reset(); }

  // Everything anew, empty.
  void NewWorld() {
    KillAll();
    archive_.reset();
    owned_files_ = NewMemoryFiles();
    files_ = owned_files_.get();
    appended_.clear();
  }
  void OpenArchiver(const LogArchiverOptions& options = {}) {
    archiver_.reset();
    if (!archive_) NewArchive(kArchiveDir);
    auto archiver = LogArchiver::Open(log_.get(), kLogDir, archive_.get(), options, World());
    ASSERT_TRUE(archiver) << archiver.error().message();
    archiver_ = *std::move(archiver);
  }
  void NewArchive(const std::string& folder) {
    archive_ = std::make_unique<FlakyArchive>(NewFolderArchive(folder, World()));
  }
  void OpenLogAndArchiver() {
    archiver_.reset();
    Open();
    OpenArchiver();
  }
  void Archive(LogArchiveExtent extent = LogArchiveExtent::kTail) {
    auto done = archiver_->ArchiveNow(extent);
    ASSERT_TRUE(done) << done.error().message();
  }
  void CloseAll() {
    archiver_.reset();
    Close();
  }
  void KillAll() {
    archiver_.reset();
    Kill();
  }
  // Units over several segments.
  void Fill(int units) {
    for (int i = 0; i < units; ++i) {
      Append(std::to_string(appended_.size()) + std::string(9'000, 'f'));
    }
  }
  // Everything that is durable may go; gives how many segments went.
  std::uint64_t TruncateAll() {
    auto done = log_->TruncateBefore(log_->positions().durable);
    if (!done) {
      ADD_FAILURE() << done.error().message();
      return 0;
    }
    return done->segments;
  }

  // Into a new folder, whose name is then in restored_.
  Result<RecoveryReport> TryRestore(Lsn until = {}) {
    restored_ = "restored" + std::to_string(++restores_);
    return RestoreLog(archive_.get(), restored_, {.until = until}, World());
  }
  std::vector<SeenUnit> Restore(Lsn until = {}) {
    const auto report = TryRestore(until);
    if (!report) {
      ADD_FAILURE() << report.error().message();
      return {};
    }
    return Read(restored_);
  }
  // What a log opened for writing gives.
  std::vector<SeenUnit> Read(const std::string& dir) {
    std::swap(replayed_, other_replayed_);
    replayed_.clear();
    auto log = Log::Open(dir, options_, Remember(), {}, World());
    if (!log) ADD_FAILURE() << log.error().message();
    std::swap(replayed_, other_replayed_);
    return other_replayed_;
  }
  std::vector<std::string> Objects() {
    std::vector<std::string> names;
    const auto entries = files_->List(kArchiveDir);
    if (!entries) return names;
    for (const auto& entry : *entries) {
      if (!entry.is_directory) names.push_back(entry.name);
    }
    return names;
  }
  std::vector<std::string> ObjectsLike(std::string_view suffix) {
    auto names = Objects();
    std::erase_if(names, [&](const std::string& name) { return !name.ends_with(suffix); });
    return names;
  }
  void ExpectFailure(const Status& status, ErrorKind kind, std::string_view part) {
    ASSERT_FALSE(status) << "expected a failure that tells of " << part;
    EXPECT_EQ(status.error().kind(), kind) << status.error().message();
    EXPECT_NE(status.error().message().find(part), std::string::npos) << status.error().message();
  }
  static Status StatusOf(const Result<RecoveryReport>& result) {
    return result ? Status() : std::unexpected(result.error());
  }

  std::unique_ptr<FlakyArchive> archive_;
  std::unique_ptr<LogArchiver> archiver_;
  std::string restored_;
  int restores_ = 0;
  std::vector<SeenUnit> other_replayed_;
};

}  // namespace varve::testing
