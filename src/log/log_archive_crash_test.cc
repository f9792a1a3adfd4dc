// SPDX-License-Identifier: Apache-2.0
// A scripted life of a log with an archive on the same disk, cut at every event of either, with
// every way that a power cut may leave what was not synced; and the restore, cut likewise.
//
// The oracle: what is restored is a prefix of the order of appends, with identical positions and
// bytes, and holds everything that the archiver had said to be archived; after the crash the
// archive goes on, and then holds all that the log recovered, though the log was truncated.
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "files/simulated_disk.h"
#include "log/log_fixture.h"
#include "varve/log_archive.h"

namespace varve {
namespace {

using testing::SeenUnit;

struct History {
  std::vector<SeenUnit> order;
  std::vector<Lsn> ends;  // of the same units
  Lsn archived;           // as the archiver said
};

class ArchivedLife {
 public:
  ArchivedLife(SimulatedDisk* disk, History history, std::uint64_t seed)
      : disk_(disk), history_(std::move(history)), random_(seed) {}
  ~ArchivedLife() { archiver_.reset(); }

  // Each gives false when the disk failed; then the life is over.
  bool Open() {
    End();
    std::vector<SeenUnit> seen;
    auto log = Log::Open("wal", {.segment_bytes_max = 64 << 10}, Remember(&seen), {}, World());
    if (!Did(log)) return false;
    log_ = *std::move(log);
    AdoptTail(seen);
    archive_ = NewFolderArchive("archive", World());
    auto archiver = LogArchiver::Open(log_.get(), "wal", archive_.get(), {}, World());
    if (!Did(archiver)) return false;
    archiver_ = *std::move(archiver);
    return true;
  }
  bool Append(std::size_t bytes) {
    std::vector<std::string> records{std::string(bytes, static_cast<char>('a' + count_++ % 26))};
    const auto ticket = log_->Enqueue(testing::RecordsOf(records));
    if (!Did(ticket)) return false;
    history_.order.push_back({ticket->lsn, std::move(records)});
    history_.ends.push_back(ticket->end);
    return Did(log_->Wait(*ticket));
  }
  bool Fill(int units) {
    for (int i = 0; i < units; ++i) {
      if (!Append(9'000)) return false;
    }
    return true;
  }
  bool Archive(LogArchiveExtent extent = LogArchiveExtent::kTail) {
    const bool done = Did(archiver_->ArchiveNow(extent));
    history_.archived = std::max(history_.archived, archiver_->status().archived);
    return done;
  }
  bool Truncate() { return Did(log_->TruncateBefore(log_->positions().durable)); }
  bool Close() {
    archiver_.reset();
    return Did(log_->Close());
  }
  void End() {
    archiver_.reset();
    log_.reset();
    executor_.RunAll();
  }

  bool WholeLife() {
    if (!Open() || !Fill(3) || !Archive() || !Fill(5) || !Archive() || !Truncate()) return false;
    if (!Fill(8) || !Truncate() || !Append(150'000)) return false;
    if (!Archive(LogArchiveExtent::kSealed) || !Truncate() || !Fill(2)) return false;
    if (!Open() || !Fill(1) || !Archive() || !Fill(9) || !Archive() || !Truncate()) return false;
    return Fill(2) && Close() && Open() && Append(1) && Archive() && Close();
  }

  // Gives the units; nothing when there is no log to restore.
  std::optional<std::vector<SeenUnit>> Restore(const std::string& into) {
    const auto archive = NewFolderArchive("archive", World());
    const auto restored = RestoreLog(archive.get(), into, {}, World());
    if (!Did(restored)) return {};
    return Read(into);
  }
  std::optional<std::vector<SeenUnit>> Read(const std::string& dir) {
    std::vector<SeenUnit> seen;
    LogOptions options{.segment_bytes_max = 64 << 10};
    options.create_if_missing = false;
    if (!Did(Log::Open(dir, options, Remember(&seen), {}, World()))) return {};
    return seen;
  }
  void ExpectPrefixWithAllArchived(const std::vector<SeenUnit>& units) {
    ASSERT_LE(units.size(), history_.order.size());
    for (std::size_t i = 0; i < units.size(); ++i) ASSERT_EQ(units[i], history_.order[i]);
    const bool all = units.size() == history_.order.size() ||
                     history_.ends[units.size()] > history_.archived;
    ASSERT_TRUE(all) << "archived until LSN " << history_.archived.value << ", lost LSN "
                     << history_.order[units.size()].lsn.value;
  }

  const History& history() const { return history_; }
  const std::optional<Error>& error() const { return error_; }

 private:
  LogComponents World() { return {disk_, &clock_, &random_, &executor_, nullptr}; }
  static LogReplay Remember(std::vector<SeenUnit>* seen) {
    return [seen](const LogUnit& unit) {
      std::vector<std::string> records;
      for (const auto& record : unit.records) records.emplace_back(record.bytes);
      seen->push_back({unit.lsn, std::move(records)});
      return Status();
    };
  }
  // The log begins later than the history, after a truncation, and may end earlier.
  void AdoptTail(const std::vector<SeenUnit>& seen) {
    auto& order = history_.order;
    while (!order.empty() && order.back().lsn >= log_->recovery().end) order.pop_back();
    history_.ends.resize(order.size());
    ASSERT_GE(order.size(), seen.size());
    const auto first = order.end() - static_cast<std::ptrdiff_t>(seen.size());
    ASSERT_EQ(std::vector<SeenUnit>(first, order.end()), seen);
  }
  template <typename T>
  bool Did(const Result<T>& result) {
    if (!result) error_ = result.error();
    return result.has_value();
  }

  SimulatedDisk* const disk_;
  History history_;
  ManualClock clock_;
  SeededRandom random_;
  ManualExecutor executor_;
  std::unique_ptr<Log> log_;
  std::unique_ptr<LogArchive> archive_;
  std::unique_ptr<LogArchiver> archiver_;
  std::optional<Error> error_;
  int count_ = 0;
};

std::string StoryOf(SimulatedDisk* disk, std::uint64_t event, Survival survival) {
  const auto trace = disk->trace();
  const auto& at = trace[std::min<std::size_t>(event, trace.size()) - 1];
  return "event " + std::to_string(event) + " (" + at.operation + " " + at.path + "), " +
         std::string(ToString(survival));
}

// Restores at once, goes on archiving, restores again.
void ExpectArchiveSoundAndUsable(SimulatedDisk* disk, const History& history) {
  ArchivedLife life(disk, history, 77);
  const auto at_once = life.Restore("at-once");
  if (at_once) {
    life.ExpectPrefixWithAllArchived(*at_once);
  } else {
    ASSERT_EQ(life.error()->kind(), ErrorKind::kNotFound) << life.error()->message();
    ASSERT_EQ(history.archived.value, 0u);
  }
  ASSERT_TRUE(life.Open()) << life.error()->message();
  ASSERT_TRUE(life.Fill(2) && life.Archive()) << life.error()->message();
  const auto later = life.Restore("later");
  ASSERT_TRUE(later) << life.error()->message();
  ASSERT_EQ(*later, life.history().order);
}

std::uint64_t EventsOfAnArchivedLife() {
  SimulatedDisk disk;
  ArchivedLife life(&disk, {}, 5);
  EXPECT_TRUE(life.WholeLife()) << (life.error() ? life.error()->message() : "");
  return disk.events();
}

TEST(LogArchiveCrash, EveryEventOfLogAndArchiveAndEveryWayToLoseBytes) {
  const auto seed = testing::TestSeed(5);
  SCOPED_TRACE(testing::SeedTrace(seed));
  const auto events = EventsOfAnArchivedLife();
  ASSERT_GT(events, 150u);
  for (std::uint64_t event = 1; event <= events; ++event) {
    SimulatedDisk disk;
    disk.CrashAtEvent(event);
    ArchivedLife life(&disk, {}, 5);
    ASSERT_FALSE(life.WholeLife());
    for (const auto survival : kAllSurvivals) {
      SCOPED_TRACE(StoryOf(&disk, event, survival));
      const auto copy = disk.Clone();
      SeededRandom random(seed * 1000 + event);
      copy->Crash(survival, &random);
      ExpectArchiveSoundAndUsable(copy.get(), life.history());
      if (::testing::Test::HasFailure()) return;
    }
  }
}

// One call fails, of the log or of the archive: what was archived stays so, and the next process
// goes on.
TEST(LogArchiveFault, EveryEventFailingOnceLosesNothing) {
  const auto events = EventsOfAnArchivedLife();
  for (std::uint64_t event = 1; event <= events; ++event) {
    SimulatedDisk disk;
    disk.FailEvent(event, Error(ErrorKind::kUnavailable, "injected", ErrorReason::kIo));
    ArchivedLife life(&disk, {}, 5);
    life.WholeLife();
    life.End();
    SCOPED_TRACE(StoryOf(&disk, std::min(event, disk.events()), Survival::kAllKept));
    ExpectArchiveSoundAndUsable(&disk, life.history());
    if (::testing::Test::HasFailure()) return;
  }
}

// Whatever a crash leaves of a restore, it is the whole log or none.
TEST(LogArchiveCrash, ARestoreThatWasCutIsNeverTakenForTheLog) {
  const auto seed = testing::TestSeed(6);
  SCOPED_TRACE(testing::SeedTrace(seed));
  SimulatedDisk disk;
  ArchivedLife life(&disk, {}, 5);
  ASSERT_TRUE(life.WholeLife());
  life.End();
  const auto before = disk.events();
  const auto whole = disk.Clone();
  ArchivedLife last(whole.get(), life.history(), 77);
  ASSERT_TRUE(last.Restore("restored"));
  const auto events = whole->events() - before;
  ASSERT_GT(events, 20u);
  for (std::uint64_t event = 1; event <= events; ++event) {
    const auto cut = disk.Clone();
    cut->CrashAtEvent(cut->events() + event);
    ArchivedLife restoring(cut.get(), life.history(), 77);
    restoring.Restore("restored");
    for (const auto survival : kAllSurvivals) {
      SCOPED_TRACE(StoryOf(cut.get(), before + event, survival));
      const auto copy = cut->Clone();
      SeededRandom random(seed * 1000 + event);
      copy->Crash(survival, &random);
      ArchivedLife looking(copy.get(), life.history(), 78);
      const auto seen = looking.Read("restored");
      if (seen) {
        ASSERT_EQ(*seen, life.history().order);
      }
    }
  }
}

}  // namespace
}  // namespace varve
