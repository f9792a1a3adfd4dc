// SPDX-License-Identifier: Apache-2.0
#include "test/crash/lives.h"

#include "test/support/test_keys.h"

namespace varve::testing {
namespace {

std::string Long(std::size_t bytes) { return std::string(bytes, 'x'); }

// The keys of the encrypted life; of each process, whichever way it ended.
TestKeys& Keys() {
  static TestKeys keys;
  return keys;
}

// Keys change, with and without what is there coming under the new one.
void Secret(Life& life) {
  Keys().RotateTo("april");
  life.Open();
  life.Create();
  life.PutOnce({{1, "a"}, {2, "b"}});
  life.Flush();
  life.Put({{2, "B"}});
  Keys().RotateTo("may");
  life.Put({{3, "c"}}, AckLevel::kBuffered);
  life.Rekey();
  life.RunTasks();
  life.Erase({1});
  life.Tag("there", 3);
  life.Kill();
  life.Open();
  Keys().RotateTo("june");
  life.Put({{4, "d"}});
  life.Flush();
  life.Put({{5, "e"}});
  life.Rekey();
  life.Put({{6, "f"}});
  life.Close();
}

// Create, load, flush, reopen: the life of the issue.
void Plain(Life& life) {
  life.Open();
  life.Create();
  life.Put({{1, "a"}, {2, "b"}, {3, "c"}});
  life.Put({{2, "B"}});
  life.Flush();
  life.RunTasks();
  life.Put({{4, "d"}});
  life.Erase({1});
  life.Close();
  life.Open();
  life.Put({{5, "e"}});
  life.Flush();
  life.Put({{6, "f"}, {1, "back"}});
  life.Close();
}

// Kills instead of closes, relaxed acknowledgements, two flushes, background tasks in between.
void Rough(Life& life) {
  life.Open();
  life.Create();
  life.Put({{1, "a"}}, AckLevel::kBuffered);
  life.Put({{2, "b"}}, AckLevel::kWritten);
  life.RunTasks();
  life.Put({{3, "c"}});
  life.Kill();
  life.Open();
  life.Erase({2});
  life.Put({{4, "d"}}, AckLevel::kBuffered);
  life.Flush();
  life.Put({{5, "e"}}, AckLevel::kWritten);
  life.Put({{6, "f"}});
  life.Kill();
  life.Open();
  life.Flush();
  life.Close();
}

// A small memtable and large rows: seals, a log that rolls over segments, and background flushes of
// one and of two generations, the first while newer commits are in memory and in the log alone.
void Busy(Life& life) {
  life.Open();
  life.Create();
  for (std::int64_t i = 0; i < 6; ++i) {
    life.Put({{i, Long(300'000)}, {i + 100, "small"}});
    if (i % 3 == 2) life.RunTasks();
  }
  life.Erase({0, 1});
  life.Kill();
  life.Open();
  life.Put({{9, Long(300'000)}});
  life.RunTasks();
  life.Close();
}

// Commits of a producer, acknowledged to every level, in the log alone, in runs, and let go by the
// log; and writes that look first.
void Once(Life& life) {
  life.Open();
  life.Create();
  life.PutOnce({{1, "a"}, {2, "b"}});
  life.Flush();
  life.PutOnce({{3, "c"}}, AckLevel::kBuffered);
  life.PutMissing({{3, "not this"}, {4, "d"}});
  life.PutOnce({{5, "e"}});
  life.Kill();
  life.Open();
  life.EraseRange(2, 4);
  life.Flush();
  life.Put({{9, "x"}});
  life.Flush();
  life.PutOnce({{2, "B"}}, AckLevel::kWritten);
  life.Close();
  life.Open();
  life.PutOnce({{6, "f"}});
  life.Kill();
}

// The table and its column change their names, it is dropped and made again; with rows in the log
// alone, in runs, and none; commits that were not yet durable before.
void Changing(Life& life) {
  life.Open();
  life.Create();
  life.Put({{1, "a"}, {2, "b"}});
  life.Put({{3, "c"}}, AckLevel::kBuffered);
  life.Rename("u");
  life.RenameValues("w");
  life.PutOnce({{2, "B"}});
  life.Flush();
  life.Put({{4, "d"}}, AckLevel::kWritten);
  life.Drop();
  life.Create();
  life.Put({{5, "e"}});
  life.RenameValues("x");
  life.Put({{5, "E"}, {1, "A"}});
  life.Rename("v");
  life.Rename("t");
  life.Kill();
  life.Open();
  life.PutOnce({{6, "f"}});
  life.Drop();
  life.Kill();
  life.Open();
  life.Create();
  life.Put({{7, "g"}});
  life.Close();
}

// Columns are added, widened, dropped and added again under the same name, and rows are updated in
// some of their columns: in the log alone, in runs of the columns of then, and in both.
void Shaped(Life& life) {
  life.Open();
  life.Create();
  life.Put({{1, "a"}, {2, "b"}, {3, "c"}});
  life.AddNumber("n", 5);
  life.Put({{4, "d;n=4"}}, AckLevel::kBuffered);
  life.Update({{1, ";n=7"}, {4, ";n=8"}}, {"n"});
  life.Update({{2, "B"}, {3, "C"}, {9, "not there"}}, {"v"}, AckLevel::kWritten);
  life.Flush();
  life.Update({{3, ""}}, {"n"});
  life.WidenNumber("n");
  life.Update({{5, ";n=1"}, {1, ";n=1099511627776"}}, {"n"}, AckLevel::kBuffered);
  life.Put({{5, "e;n=-1099511627776"}});
  life.Kill();
  life.Open();
  life.AddNumber("m", 1);
  life.Update({{1, "A;m=2"}, {5, "E"}}, {"m", "v"});
  life.DropNumber("n");
  life.Put({{6, "f;m=6"}}, AckLevel::kBuffered);
  life.Die();
  life.Open();
  life.AddNumber("n", 9);
  life.Update({{2, ";m=4;n=3"}}, {"n", "m"}, AckLevel::kWritten);
  life.EraseRange(3, 5);
  life.Flush();
  life.Update({{1, "AA"}, {3, "gone"}}, {"v"});
  life.Close();
}

// Tags made, moved and taken away, on commits in the log and in runs, and a clock that goes back.
void Versioned(Life& life) {
  life.Open();
  life.Create();
  life.Put({{1, "a"}});
  life.Tag("first", 1);
  life.MoveClock(1000);
  life.Put({{2, "b"}}, AckLevel::kBuffered);
  life.Put({{3, "c"}});
  life.Tag("moves", 2);
  life.Flush();
  life.MoveClock(-1500);
  life.Put({{1, "A"}});
  life.Tag("moves", 3);
  life.Kill();
  life.Open();
  life.Erase({2});
  life.Untag("first");
  life.Flush();
  life.MoveClock(400);
  life.Put({{4, "d"}}, AckLevel::kWritten);
  life.Flush();
  life.Tag("old", 1);
  life.Close();
  life.Open();
  life.Put({{5, "e"}});
  life.Tag("moves", 6);
  life.Kill();
}

// Transactions over both tables: with savepoints, refused for a commit that is still on its way or
// was quicker, aborted, left open; several on their way at once, that nobody waits for.
void Together(Life& life) {
  life.Open();
  life.Create();
  life.CreateSide();
  life.Put({{1, "a"}, {2, "b"}});
  life.Begin("one");
  life.PutIn("one", "t", {{1, "A"}});
  life.PutIn("one", "side", {{10, "x"}, {11, "y"}});
  life.Commit("one");
  life.Begin("two");
  life.Begin("late");
  life.PutIn("two", "side", {{10, "X"}});
  life.Savepoint("two");
  life.PutIn("two", "t", {{2, "not this"}, {7, "nor this"}});
  life.EraseIn("two", "side", 11);
  life.GoBack("two");
  life.EraseIn("two", "t", 1);
  life.PutIn("late", "t", {{3, "never"}});
  life.PutIn("late", "side", {{10, "too late"}});
  life.CommitThen("two");
  life.Refused("late");
  life.Begin("three");
  life.Begin("four");
  life.PutIn("three", "t", {{4, "d"}});
  life.PutIn("three", "side", {{12, "z"}});
  life.PutIn("four", "side", {{13, "w"}, {10, "XX"}});
  life.PutIn("four", "t", {{5, "e"}});
  life.CommitThen("three", AckLevel::kBuffered);
  life.RunTasks();
  life.Refused("four");
  life.Flush();
  life.Begin("five");
  life.PutIn("five", "t", {{1, "too late"}});
  life.PutIn("five", "side", {{11, "too late"}});
  life.Put({{1, "quicker"}});
  life.Refused("five");
  life.Begin("six");
  life.EraseIn("six", "side", 12);
  life.PutIn("six", "t", {{6, "f"}});
  life.Commit("six", AckLevel::kWritten);
  life.Begin("lost");
  life.PutIn("lost", "t", {{99, "lost"}});
  life.Die();
  life.Open();
  life.Begin("seven");
  life.Begin("eight");
  life.PutIn("seven", "side", {{14, "v"}});
  life.EraseIn("seven", "t", 2);
  life.PutIn("eight", "side", {{15, "u"}});
  life.PutIn("eight", "t", {{8, "h"}});
  life.CommitThen("seven", AckLevel::kWritten);
  life.CommitThen("eight");
  life.Begin("gone");
  life.PutIn("gone", "side", {{98, "gone"}});
  life.Abort("gone");
  life.Close();
}

// Two producers whose process dies now and then, and who send again what they do not know of: while
// the first try is on its way, once it is in the log, in runs, and let go by the log.
void Retried(Life& life) {
  life.Open();
  life.Create();
  life.Send("p");
  life.Send("q", AckLevel::kBuffered);
  life.SendAgain("q");
  life.SendThen("p", AckLevel::kBuffered);
  life.SendThen("q", AckLevel::kWritten);
  life.SendAgain("p");
  life.Flush();
  life.Send("p", AckLevel::kWritten);
  life.Send("p", AckLevel::kBuffered);
  life.Die();
  life.Open();
  life.SendAgain("p");
  life.Send("p");
  life.Send("q", AckLevel::kBuffered);
  life.Flush();
  life.Put({{1, "x"}});
  life.Flush();
  life.SendAgain("q");
  life.SendAgain("p");
  life.Die();
  life.Open();
  life.SendAgain("p", AckLevel::kBuffered);
  life.SendThen("p", AckLevel::kDurable);
  life.SendThen("q", AckLevel::kBuffered);
  life.Close();
}

// Nearly nothing waits for the device: commits that are lost are the last ones, whatever was sealed
// and flushed meanwhile. The process dies with commits in its memory alone.
void Relaxed(Life& life) {
  life.Open();
  life.Create();
  life.Put({{1, "a"}, {2, "b"}}, AckLevel::kBuffered);
  life.Put({{3, "c"}}, AckLevel::kWritten);
  life.PutThen({{1, "aa"}}, AckLevel::kBuffered);  // sealed
  life.Put({{4, "d"}}, AckLevel::kBuffered);
  life.RunTasks();
  life.PutThen({{1, "aaa"}}, AckLevel::kWritten);
  life.PutThen({{5, "e"}}, AckLevel::kBuffered);
  life.Erase({2}, AckLevel::kBuffered);
  life.Die();
  life.Open();
  life.RunTasks();
  for (const char* value : {"f", "g", "h", "i", "j", "k", "l"}) {
    life.Put({{1, value}, {6, value}}, AckLevel::kBuffered);
  }
  life.RunTasks();
  life.Put({{7, "m"}}, AckLevel::kWritten);
  life.Put({{7, "n"}}, AckLevel::kBuffered);
  life.Die();
  life.Open();
  life.PutThen({{8, "o"}}, AckLevel::kBuffered);
  life.PutThen({{8, "p"}}, AckLevel::kWritten);
  life.Sync();
  life.Put({{1, "q"}}, AckLevel::kBuffered);
  life.Put({{9, "r"}}, AckLevel::kBuffered);
  life.Flush();
  life.Put({{1, "s"}}, AckLevel::kWritten);
  life.Put({{1, "t"}}, AckLevel::kBuffered);
  life.Close();
}

// Somebody follows the changes and keeps what came with the position: while commits are on their
// way, beside flushes, over the death of the process, and in the middle of a commit.
void Followed(Life& life) {
  life.Open();
  life.Create();
  life.Follow();
  life.Put({{1, "a"}, {2, "b"}, {3, "c"}});
  life.Poll();
  life.Put({{2, "B"}}, AckLevel::kBuffered);
  life.Poll();
  life.Put({{4, "d"}}, AckLevel::kWritten);
  life.Poll();
  life.Erase({1});
  life.Poll();
  life.Flush();
  life.Put({{5, "e"}, {2, "BB"}}, AckLevel::kBuffered);
  life.RunTasks();
  life.Poll();
  life.Put({{5, "E"}}, AckLevel::kWritten);
  life.Die();
  life.Open();
  life.Follow();
  life.Poll();
  life.Put({{1, "back"}, {6, "f"}, {7, "g"}, {8, "h"}, {9, "i"}});
  life.Put({{2, "BBB"}}, AckLevel::kBuffered);
  life.RunTasks();
  life.Follow();
  life.Poll();
  life.EraseRange(5, 8);
  life.Rename("u");
  life.Put({{5, "again"}});
  life.Poll();
  life.Put({{1, "lost, or not"}}, AckLevel::kBuffered);
  life.Poll();
  life.Die();
  life.Open();
  life.Put({{3, "C"}}, AckLevel::kBuffered);
  life.Follow();
  life.Poll();
  life.Flush();
  life.Poll();
  life.Close();
}

// The table goes back, to commits and tags, from the log and from runs, and back again; beside tags
// that move, commits that nobody waited for, and a column that got another name.
void Restored(Life& life) {
  life.Open();
  life.Create();
  life.Put({{1, "a"}, {2, "b"}, {3, "c"}});
  life.Tag("good", 1);
  life.Put({{2, "bad"}, {4, "bad"}});
  life.Erase({1});
  life.Restore(TagName{"good"}, 1);
  life.Flush();
  life.Put({{9, "z"}}, AckLevel::kBuffered);
  life.Restore(CommitNumber{2}, 2, AckLevel::kBuffered);
  life.Put({{1, "aa"}}, AckLevel::kWritten);
  life.Tag("good", 3);
  life.Sync();
  life.Restore(CommitNumber{6}, 6);
  life.Tag("moves", 8);
  life.Die();
  life.Open();
  life.Restore(TagName{"good"}, 3, AckLevel::kWritten);
  life.Flush();
  life.Put({{5, "e"}});
  life.Restore(CommitNumber{0}, 0);
  life.Untag("good");
  life.Restore(CommitNumber{10}, 10);
  life.RenameValues("w");
  life.Tag("moves", 12);
  life.Restore(CommitNumber{5}, 5, AckLevel::kWritten);
  life.Kill();
  life.Open();
  life.Restore(TagName{"moves"}, 12);
  life.Close();
}

// Overwrites and deletes in several files, compacted in the background and by hand, read as of each
// commit; columns and a name change in between.
void Compacted(Life& life) {
  life.Open();
  life.Create();
  life.Put({{1, "a"}, {2, "b"}, {3, "c"}});
  life.Flush();
  life.Put({{2, "B"}, {4, "d"}});
  life.Flush();
  life.Erase({1, 3});
  life.Flush();
  life.Put({{3, "again"}});
  life.Tag("before", 3);
  life.Flush();
  life.RunTasks();
  life.Put({{5, "e"}, {1, "back"}});
  life.Compact();
  life.Kill();
  life.Open();
  life.Erase({5});
  life.Compact();
  life.Put({{2, "bb"}});
  life.Close();
  life.Open();
  life.Compact();
  life.Close();
}

// Versions are let go, in between and again after a kill; a tag keeps one, and is taken away.
void LetGo(Life& life) {
  life.Open();
  life.Create();
  life.Put({{1, "a"}, {2, "b"}});
  life.Flush();
  life.Put({{2, "B"}, {3, "c"}});
  life.Tag("kept", 2);
  life.Flush();
  life.Erase({1});
  life.Compact();
  life.Retire();
  life.Put({{1, "back"}});
  life.Kill();
  life.Open();
  life.Compact();
  life.Retire();
  life.Restore(TagName{"kept"}, 2);
  life.Untag("kept");
  life.Compact();
  life.Retire();
  life.Close();
}

// Another process reads beside it, also what was let go of meanwhile.
void ReadElsewhere(Life& life) {
  life.Open();
  life.Create();
  life.Put({{1, "a"}, {2, "b"}});
  life.LookElsewhere();
  life.Put({{2, "B"}}, AckLevel::kWritten);
  life.LookElsewhere();
  life.HoldElsewhere();
  life.Flush();
  life.Erase({1});
  life.Compact();
  life.Put({{3, "c"}});
  life.Compact();
  life.LookAtHeld();
  life.LookElsewhere();
  life.EndElsewhere();
  life.Retire();
  life.Put({{4, "d"}});
  life.LookElsewhere();
  life.Kill();
  life.Open();
  life.LookElsewhere();
  life.Put({{1, "back"}}, AckLevel::kBuffered);
  life.Compact();
  life.LookElsewhere();
  life.Retire();
  life.LookElsewhere();
  life.Close();
}

}  // namespace

NamedScript RetriedLife() { return {"retried", {.create_if_missing = true}, Retried}; }

std::vector<NamedScript> AllLives() {
  OpenOptions plain{.create_if_missing = true};
  OpenOptions small{.create_if_missing = true, .memtable_bytes_max = 1 << 20};
  OpenOptions secret{.create_if_missing = true, .keys = &Keys()};
  OpenOptions sealing{.create_if_missing = true, .seal_policy = SealAt({.commits_max = 3})};
  OpenOptions parts{.create_if_missing = true, .compaction_threads = 2};
  const CompactionCuts cut{.part_bytes_min = 1}, passes{.part_bytes_min = 1, .runs_open_max = 2};
  return {{"plain", plain, Plain},         {"rough", plain, Rough},
          {"once", plain, Once},           {"changing", plain, Changing},
          {"versioned", plain, Versioned}, {"busy", small, Busy},
          {"together", plain, Together},   RetriedLife(),
          {"relaxed", sealing, Relaxed},   {"followed", sealing, Followed},
          {"restored", plain, Restored},   {"shaped", plain, Shaped},
          {"compacted", plain, Compacted}, {"let_go", plain, LetGo},
          {"compacted_in_parts", parts, Compacted, cut},
          {"compacted_in_passes", parts, Compacted, passes},
          {"secret", secret, Secret},      {"read_elsewhere", plain, ReadElsewhere}};
}

}  // namespace varve::testing
