// SPDX-License-Identifier: Apache-2.0
// Producers that are cut at every disk event of their life, start again, ask how far they came,
// send the newest again and all that follows, and are cut again meanwhile, several times. In the
// end each event of their sources is there once: made by the commit whose number they were told.
#include <gtest/gtest.h>

#include <cstdio>

#include "test/crash/lives.h"
#include "test/crash/survivor.h"

namespace varve::testing {
namespace {

constexpr std::uint64_t kEvents = 7;  // of each source, more than its life sends
constexpr int kCrashesMax = 3;        // after that of the life

using Numbers = std::map<std::pair<std::string, std::uint64_t>, std::uint64_t>;

// What was sent durably, by producer and sequence: the commit, for ever.
Numbers Acknowledged(const Promises& promises) {
  Numbers numbers;
  for (const auto& [commit, producer] : promises.sent) {
    if (commit <= promises.acknowledged) numbers[{producer.id, producer.sequence}] = commit;
  }
  return numbers;
}

// The producer starts again; ends early when the disk does.
void SendRest(Database* db, const std::string& id, AckLevel ack, Numbers* numbers) {
  const auto last = db->LastOf(id);
  if (!last) return;
  const auto told = numbers->upper_bound({id, kEvents});
  if (told != numbers->begin() && std::prev(told)->first.first == id) {
    ASSERT_TRUE(*last) << "producer " << id << " was forgotten";
    ASSERT_GE((*last)->sequence, std::prev(told)->first.second) << "an acknowledged event is lost";
  }
  const std::uint64_t newest = *last ? (*last)->sequence : 0;
  for (std::uint64_t sequence = std::max<std::uint64_t>(newest, 1); sequence <= kEvents;
       ++sequence) {
    const auto sent =
        db->Write("t", {.mode = WriteMode::kInsert, .rows = RowsBatch(EventOf(id, sequence))},
                  {.ack = ack, .producer = Producer{id, sequence}});
    if (!sent) {
      ASSERT_EQ(sent.error().kind(), ErrorKind::kUnavailable) << sent.error().message();
      return;
    }
    ASSERT_EQ(sent->repeat, sequence == newest);
    if (sent->repeat) {
      ASSERT_EQ(sent->commit, (*last)->commit);
    }
    if (ack != AckLevel::kDurable) continue;
    const auto [known, first] = numbers->insert({{id, sequence}, sent->commit.value});
    ASSERT_EQ(known->second, sent->commit.value) << "another number than at first";
  }
}

// One process: opens, and sends all that is missing.
void Resume(SimulatedDisk* disk, const OpenOptions& options, Random* random, Numbers* numbers) {
  World world(17);
  auto db = Database::Open(kLifePath, options, world.components(disk));
  if (!db) {
    ASSERT_TRUE(disk->crashed()) << db.error().message();
    return;
  }
  if ((*db)->Tables().empty() && !(*db)->CreateTable("t", RowsSchema(), {"id"})) return;
  for (const char* id : {"p", "q"}) {
    const auto ack = random->Below(3) == 0 ? AckLevel::kBuffered : AckLevel::kDurable;
    SendRest(db->get(), id, ack, numbers);
    if (::testing::Test::HasFatalFailure()) return;
    if (random->Below(2) == 0) (void)(*db)->Flush();  // cut, it is cut
  }
  const Status synced = (*db)->Sync();
  ASSERT_TRUE(synced || disk->crashed());
}

// Nothing doubled, nothing lost.
void CheckEventsOnce(SimulatedDisk* disk, const OpenOptions& options, const Numbers& numbers) {
  World world(18);
  auto db = *Database::Open(kLifePath, options, world.components(disk));
  Rows expected;
  for (const char* id : {"p", "q"}) {
    for (std::uint64_t sequence = 1; sequence <= kEvents; ++sequence) {
      expected.merge(EventOf(id, sequence));
    }
    ASSERT_EQ((**db->LastOf(id)).sequence, kEvents);
  }
  Rows rows = ReadRows(**db->GetSnapshot());
  rows.erase(1);  // of nobody
  ASSERT_EQ(rows, expected);
  std::map<std::int64_t, std::uint64_t> made;  // by key: the commit
  auto reader = *db->Changes("t", CommitNumber{0});
  std::shared_ptr<arrow::RecordBatch> batch;
  while (reader->ReadNext(&batch).ok() && batch != nullptr) {
    for (std::int64_t i = 0; i < batch->num_rows(); ++i) {
      const auto id = static_cast<const arrow::Int64Array&>(*batch->column(2)).Value(i);
      const auto commit = static_cast<const arrow::UInt64Array&>(*batch->column(0)).Value(i);
      ASSERT_TRUE(made.emplace(id, commit).second) << "event " << id << " was made twice";
    }
  }
  for (const auto& [event, commit] : numbers) {
    const auto id = EventOf(event.first, event.second).begin()->first;
    ASSERT_EQ(made.at(id), commit) << event.first << " " << event.second;
  }
}

TEST(ProducerCrashes, EachEventIsThereOnceAfterAnyNumberOfCrashes) {
  const auto& [name, options, script, cuts] = RetriedLife();
  const std::uint64_t events = CountEvents(script, options);
  std::uint64_t states = 0;
  for (std::uint64_t event = 1; event <= events; ++event) {
    SimulatedDisk disk;
    disk.CrashAtEvent(event);
    Promises promises;
    {
      Life life(&disk, options);
      script(life);
      promises = life.promises();
    }
    for (const Survival survival : kAllSurvivals) {
      if ((event + static_cast<std::uint64_t>(survival)) % 2 != 0) continue;  // half: for the time
      SCOPED_TRACE("event " + std::to_string(event) + ", " + std::string(ToString(survival)));
      SeededRandom random(event * 31 + static_cast<std::uint64_t>(survival));
      const auto left = disk.Clone();
      left->Crash(survival, &random);
      Numbers numbers = Acknowledged(promises);
      for (int crash = 0; crash < kCrashesMax; ++crash, ++states) {
        left->CrashAtEvent(left->events() + 1 + random.Below(60));
        Resume(left.get(), options, &random, &numbers);
        if (HasFatalFailure()) return;
        left->Crash(kAllSurvivals[random.Below(8)], &random);
      }
      left->CrashAtEvent(0);
      Resume(left.get(), options, &random, &numbers);
      if (!HasFatalFailure()) CheckEventsOnce(left.get(), options, numbers);
      if (HasFatalFailure()) return;
    }
  }
  std::printf("%s: %llu crashes after the first\n", name, static_cast<unsigned long long>(states));
}

}  // namespace
}  // namespace varve::testing
