// SPDX-License-Identifier: Apache-2.0
// The C API, called as C would call it, on the real disk.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <future>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test/support/failing_memory.h"
#include "varve_log.h"

namespace {

using Strings = std::vector<std::string>;

varve_log_record RecordOf(std::string_view bytes, std::uint8_t kind = 0) {
  return {bytes.data(), bytes.size(), kind};
}

struct Seen {
  Strings records;
  std::vector<int> kinds;
  std::vector<std::uint64_t> lsns;
};

int Remember(void* context, const varve_log_unit* unit) {
  auto* const seen = static_cast<Seen*>(context);
  seen->lsns.push_back(unit->lsn);
  for (std::size_t i = 0; i < unit->record_count; ++i) {
    const auto& record = unit->records[i];
    seen->records.emplace_back(static_cast<const char*>(record.data), record.size);
    seen->kinds.push_back(record.kind);
  }
  return VARVE_LOG_OK;
}

class CLog : public ::testing::Test {
 protected:
  CLog() {
    std::string name = ::testing::TempDir() + "varve_c_XXXXXX";
    dir_ = ::mkdtemp(name.data());
    varve_log_options_init(&options_, sizeof options_, VARVE_LOG_DEFAULT);
    options_.sync_method = VARVE_LOG_FDATASYNC;
  }
  ~CLog() override {
    Free();
    varve_log_error_free(error_);
    std::filesystem::remove_all(dir_);
  }

  // Where the functions under test put their error.
  varve_log_error** Error() {
    varve_log_error_free(error_);
    error_ = nullptr;
    return &error_;
  }
  std::string Message() const { return varve_log_error_message(error_); }
  int TryOpen(varve_log_replay replay = Remember) {
    Free();
    seen_ = {};
    return varve_log_open(dir_.c_str(), &options_, replay, &seen_, &log_, Error());
  }
  void Open() { ASSERT_EQ(TryOpen(), VARVE_LOG_OK) << Message(); }
  varve_log_ack Append(const std::string& bytes, std::uint8_t kind = 0) {
    varve_log_ack ack = {};
    const auto record = RecordOf(bytes, kind);
    EXPECT_EQ(varve_log_append(log_, &record, 1, VARVE_LOG_DURABLE, &ack, Error()), VARVE_LOG_OK)
        << Message();
    return ack;
  }
  void Close() { ASSERT_EQ(varve_log_close(log_, Error()), VARVE_LOG_OK) << Message(); }
  void Free() {
    varve_log_free(log_);
    log_ = nullptr;
  }
  void ExpectInvalid(int code, const std::string& part) {
    EXPECT_EQ(VARVE_LOG_KIND(code), VARVE_LOG_INVALID) << Message();
    EXPECT_EQ(varve_log_error_code(error_), code);
    EXPECT_NE(Message().find(part), std::string::npos) << Message();
  }

  std::string dir_;
  varve_log_options options_;
  varve_log* log_ = nullptr;
  varve_log_error* error_ = nullptr;
  Seen seen_;
};

TEST_F(CLog, AUnitComesBackWithItsPositionBytesAndKinds) {
  Open();
  const std::string bytes("a\0b", 3);
  const varve_log_record records[] = {RecordOf(bytes), {nullptr, 0, 239}, RecordOf("page", 241)};
  varve_log_ack ack;
  ASSERT_EQ(varve_log_append(log_, records, 3, VARVE_LOG_DURABLE, &ack, Error()), VARVE_LOG_OK);
  Free();  // as a kill
  Open();
  EXPECT_EQ(seen_.records, (Strings{bytes, "", "page"}));
  EXPECT_EQ(seen_.kinds, (std::vector<int>{0, 239, 241}));
  EXPECT_EQ(seen_.lsns, std::vector<std::uint64_t>{ack.lsn});
}

TEST_F(CLog, EveryCodeHasTheNamesOfItsKindAndReason) {
  const auto name = [](int code) {
    return std::string(varve_log_kind_name(code)) + "/" + varve_log_reason_name(code);
  };
  EXPECT_EQ(name(VARVE_LOG_OK), "OK/None");
  EXPECT_EQ(name(VARVE_LOG_INVALID), "Invalid/None");
  EXPECT_EQ(name(VARVE_LOG_UNAVAILABLE | VARVE_LOG_LOCKED << 8), "Unavailable/Locked");
  EXPECT_EQ(name(VARVE_LOG_CONFLICT | VARVE_LOG_STALE_SEQUENCE << 8), "Conflict/StaleSequence");
  EXPECT_EQ(name(VARVE_LOG_INTERNAL | VARVE_LOG_WRONG_KEY << 8), "Internal/WrongKey");
  EXPECT_EQ(name(VARVE_LOG_INVALID | VARVE_LOG_EXPIRED_KEY << 8), "Invalid/ExpiredKey");
  EXPECT_EQ(name(VARVE_LOG_INVALID | VARVE_LOG_NOT_ENCRYPTED << 8), "Invalid/NotEncrypted");
  for (const int no_code : {-1, 7, 256, VARVE_LOG_INVALID | 16 << 8}) {
    EXPECT_EQ(name(no_code), "unknown/unknown");
  }
}

TEST_F(CLog, EveryFunctionRefusesANullLog) {
  const auto record = RecordOf("x");
  const varve_log_ticket ticket = {};
  std::uint64_t number = 0;
  varve_log_position positions;
  varve_log_ticket given;
  varve_log_pin* pin = nullptr;
  char* text = nullptr;
  varve_log_stats stats = {.size = sizeof stats};
  varve_log_recovery recovery = {.size = sizeof recovery};
  const auto done = [](void*, int, const varve_log_ack*, const varve_log_error*) { FAIL(); };
  auto** error = &error_;
  const auto expect = [&](int code) { ExpectInvalid(code, "log"); Error(); };
  expect(varve_log_append(nullptr, &record, 1, 2, nullptr, error));
  expect(varve_log_append_then(nullptr, &record, 1, 2, done, nullptr, error));
  expect(varve_log_enqueue(nullptr, &record, 1, 2, &given, error));
  expect(varve_log_wait(nullptr, &ticket, 2, nullptr, error));
  expect(varve_log_begin(nullptr, &number, error));
  expect(varve_log_append_to(nullptr, 1, &record, 1, error));
  expect(varve_log_commit(nullptr, 1, 2, nullptr, error));
  expect(varve_log_abort(nullptr, 1, error));
  expect(varve_log_wait_until(nullptr, 0, 2, 0, error));
  expect(varve_log_sync(nullptr, error));
  expect(varve_log_rotate(nullptr, error));
  expect(varve_log_truncate(nullptr, 0, 0, nullptr, error));
  expect(varve_log_pin_at(nullptr, 0, &pin, error));
  expect(varve_log_checkpoint(nullptr, 0, nullptr, 0, nullptr, error));
  expect(varve_log_positions(nullptr, &positions, error));
  expect(varve_log_get_stats(nullptr, &stats, error));
  expect(varve_log_get_recovery(nullptr, &recovery, error));
  expect(varve_log_prometheus(nullptr, nullptr, &text, error));
  expect(varve_log_close(nullptr, error));
  varve_log_free(nullptr);
  varve_log_unpin(nullptr);
  varve_log_text_free(nullptr);
  varve_log_error_free(nullptr);
}

TEST_F(CLog, MissingArgumentsAreNamed) {
  const varve_log_record empty = {nullptr, 3, 0};
  ExpectInvalid(varve_log_open(nullptr, &options_, nullptr, nullptr, &log_, Error()), "dir");
  ExpectInvalid(varve_log_open(dir_.c_str(), &options_, nullptr, nullptr, nullptr, Error()), "log");
  Open();
  ExpectInvalid(varve_log_append(log_, nullptr, 1, 2, nullptr, Error()), "records");
  ExpectInvalid(varve_log_append(log_, &empty, 1, 2, nullptr, Error()), "data of record 0");
  ExpectInvalid(varve_log_append(log_, nullptr, 0, 2, nullptr, Error()), "at least one record");
  ExpectInvalid(varve_log_append_then(log_, &empty, 0, 2, nullptr, nullptr, Error()), "done");
  ExpectInvalid(varve_log_enqueue(log_, &empty, 0, 2, nullptr, Error()), "ticket");
  ExpectInvalid(varve_log_wait(log_, nullptr, 2, nullptr, Error()), "ticket");
  ExpectInvalid(varve_log_begin(log_, nullptr, Error()), "transaction");
  ExpectInvalid(varve_log_pin_at(log_, 0, nullptr, Error()), "pin");
  ExpectInvalid(varve_log_checkpoint(log_, 0, nullptr, 1, nullptr, Error()), "note");
  ExpectInvalid(varve_log_positions(log_, nullptr, Error()), "positions");
  ExpectInvalid(varve_log_prometheus(log_, nullptr, nullptr, Error()), "text");
  EXPECT_EQ(varve_log_positions(log_, nullptr, nullptr), VARVE_LOG_INVALID);
}

TEST_F(CLog, ValuesThatCannotBeAreNamed) {
  Open();
  const std::string byte = "x";
  const varve_log_record checkpoint = RecordOf(byte, VARVE_LOG_CHECKPOINT_KIND);
  const varve_log_record huge[] = {{byte.data(), SIZE_MAX / 2, 0}, {byte.data(), SIZE_MAX / 2, 0}};
  const auto record = RecordOf(byte);
  ExpectInvalid(varve_log_append(log_, &checkpoint, 1, 2, nullptr, Error()), "kind of record 0");
  ExpectInvalid(varve_log_append(log_, huge, 2, 2, nullptr, Error()), "record 0");
  ExpectInvalid(varve_log_append(log_, &record, SIZE_MAX, 2, nullptr, Error()), "count");
  ExpectInvalid(varve_log_append(log_, &record, 1, 3, nullptr, Error()), "level");
  ExpectInvalid(varve_log_append(log_, &record, 1, -1, nullptr, Error()), "level");
  const varve_log_ticket forged = {1ull << 50, 1ull << 51, 0};
  ExpectInvalid(varve_log_wait(log_, &forged, 2, nullptr, Error()), "never given out");
  const varve_log_ticket none = {0, 0, 0};
  ExpectInvalid(varve_log_wait(log_, &none, 2, nullptr, Error()), "is of no unit");
  ExpectInvalid(varve_log_wait_until(log_, 1ull << 50, 2, VARVE_LOG_FOREVER, Error()), "never");
  ExpectInvalid(varve_log_truncate(log_, 1ull << 50, 0, nullptr, Error()), "durable");
  options_.sync_policy = 9;
  ExpectInvalid(TryOpen(), "sync_policy");
}

TEST_F(CLog, OptionsOfAnotherVersionAreReadAsFarAsBothKnowThem) {
  struct Later {
    varve_log_options options;
    std::uint64_t setting;
  } later;
  ASSERT_EQ(varve_log_options_init(&later.options, sizeof later, VARVE_LOG_LATENCY), VARVE_LOG_OK);
  EXPECT_EQ(later.options.group_bytes_max, 256u << 10);
  EXPECT_EQ(later.setting, 0u);
  ASSERT_EQ(varve_log_open(dir_.c_str(), &later.options, nullptr, nullptr, &log_, Error()),
            VARVE_LOG_OK) << Message();
  later.setting = 1;
  Free();
  ExpectInvalid(varve_log_open(dir_.c_str(), &later.options, nullptr, nullptr, &log_, Error()),
                "does not know");
  options_.size = 8;
  ExpectInvalid(TryOpen(), "options.size");
  EXPECT_EQ(varve_log_options_init(&options_, sizeof options_, 7), VARVE_LOG_INVALID);
  EXPECT_EQ(varve_log_options_init(nullptr, sizeof options_, 0), VARVE_LOG_INVALID);
}

TEST_F(CLog, TheEnvironmentChangesSettingsAndUnknownOnesAreNamed) {
  ::setenv("VARVE_LOG_LINGER_US", "77", 1);
  EXPECT_EQ(varve_log_options_from_environment(&options_, Error()), VARVE_LOG_OK) << Message();
  EXPECT_EQ(options_.linger_us, 77u);
  EXPECT_EQ(options_.sync_method, VARVE_LOG_FDATASYNC);
  ::setenv("VARVE_LOG_LINGER", "77", 1);
  ExpectInvalid(varve_log_options_from_environment(&options_, Error()), "VARVE_LOG_LINGER");
  ::unsetenv("VARVE_LOG_LINGER");
  ::unsetenv("VARVE_LOG_LINGER_US");
}

TEST_F(CLog, ASecondOpenIsToldWhoHoldsTheLog) {
  Open();
  varve_log* second = log_;
  const int code =
      varve_log_open(dir_.c_str(), &options_, nullptr, nullptr, &second, Error());
  EXPECT_EQ(VARVE_LOG_KIND(code), VARVE_LOG_UNAVAILABLE);
  EXPECT_EQ(VARVE_LOG_REASON(code), VARVE_LOG_LOCKED);
  EXPECT_EQ(second, nullptr);
  EXPECT_NE(Message().find(std::to_string(::getpid())), std::string::npos) << Message();
}

TEST_F(CLog, TheReplayCallbackEndsTheOpenWithItsCode) {
  Open();
  Append("x");
  const int code = TryOpen([](void*, const varve_log_unit*) -> int {
    return VARVE_LOG_CONFLICT | VARVE_LOG_ALREADY_EXISTS << 8;
  });
  EXPECT_EQ(code, VARVE_LOG_CONFLICT | VARVE_LOG_ALREADY_EXISTS << 8);
  EXPECT_EQ(log_, nullptr);
  ExpectInvalid(TryOpen([](void*, const varve_log_unit*) { return -1; }), "code -1");
}

TEST_F(CLog, NoExceptionComesOut) {
  Open();
  Append("x");
  EXPECT_EQ(TryOpen([](void*, const varve_log_unit*) -> int { throw std::runtime_error("oops"); }),
            VARVE_LOG_INTERNAL);
  EXPECT_NE(Message().find("oops"), std::string::npos);
  EXPECT_EQ(TryOpen([](void*, const varve_log_unit*) -> int { throw 7; }), VARVE_LOG_INTERNAL);
  EXPECT_EQ(TryOpen([](void*, const varve_log_unit*) -> int { throw std::bad_alloc(); }),
            VARVE_LOG_UNAVAILABLE);
  Open();
  EXPECT_EQ(seen_.records, Strings{"x"});
}

TEST_F(CLog, ATicketIsWaitedFor) {
  Open();
  const auto record = RecordOf("x");
  varve_log_ticket ticket;
  varve_log_ack ack;
  ASSERT_EQ(varve_log_enqueue(log_, &record, 1, VARVE_LOG_DURABLE, &ticket, Error()), 0);
  ASSERT_EQ(varve_log_wait(log_, &ticket, VARVE_LOG_DURABLE, &ack, Error()), 0) << Message();
  EXPECT_EQ(ack.lsn, ticket.lsn);
  EXPECT_EQ(varve_log_wait_until(log_, ticket.end, VARVE_LOG_DURABLE, 0, Error()), 0);
  varve_log_position positions;
  ASSERT_EQ(varve_log_positions(log_, &positions, Error()), 0);
  EXPECT_EQ(positions.durable, ticket.end);
}

struct Told {
  std::promise<int> code;
  std::string message;
};
void Tell(void* context, int code, const varve_log_ack* ack, const varve_log_error* error) {
  auto* const told = static_cast<Told*>(context);
  EXPECT_NE(ack == nullptr, error == nullptr);
  told->message = varve_log_error_message(error);
  told->code.set_value(code);
}

TEST_F(CLog, ACallbackIsToldOnce) {
  Open();
  const auto record = RecordOf("x");
  Told kept, late;
  ASSERT_EQ(varve_log_append_then(log_, &record, 1, VARVE_LOG_DURABLE, Tell, &kept, Error()), 0);
  EXPECT_EQ(kept.code.get_future().get(), VARVE_LOG_OK);
  Close();
  ASSERT_EQ(varve_log_append_then(log_, &record, 1, VARVE_LOG_DURABLE, Tell, &late, Error()), 0);
  EXPECT_EQ(late.code.get_future().get(), VARVE_LOG_INVALID | VARVE_LOG_CLOSED << 8);
  EXPECT_NE(late.message.find("closed"), std::string::npos);
}

TEST_F(CLog, TransactionsAreWholeOrGone) {
  Open();
  std::uint64_t kept = 0, gone = 0;
  ASSERT_EQ(varve_log_begin(log_, &kept, Error()), 0);
  ASSERT_EQ(varve_log_begin(log_, &gone, Error()), 0);
  for (const std::string text : {"a", "b"}) {
    const auto record = RecordOf(text);
    ASSERT_EQ(varve_log_append_to(log_, gone, &record, 1, Error()), 0);
    ASSERT_EQ(varve_log_append_to(log_, kept, &record, 1, Error()), 0);
  }
  ASSERT_EQ(varve_log_abort(log_, gone, Error()), 0);
  ASSERT_EQ(varve_log_commit(log_, kept, VARVE_LOG_DURABLE, nullptr, Error()), 0) << Message();
  EXPECT_EQ(varve_log_commit(log_, kept, VARVE_LOG_DURABLE, nullptr, Error()),
            VARVE_LOG_NOT_FOUND);
  Open();
  EXPECT_EQ(seen_.records, (Strings{"a", "b"}));
  EXPECT_EQ(seen_.lsns.size(), 1u);
}

TEST_F(CLog, TruncationStopsAtAPin) {
  Open();
  const auto first = Append("a");
  ASSERT_EQ(varve_log_rotate(log_, Error()), 0);
  const auto last = Append("b");
  varve_log_pin* pin = nullptr;
  varve_log_truncation truncated;
  ASSERT_EQ(varve_log_pin_at(log_, first.lsn, &pin, Error()), 0);
  ASSERT_EQ(varve_log_truncate(log_, last.lsn, 0, &truncated, Error()), 0) << Message();
  EXPECT_EQ(truncated.segments, 0u);
  EXPECT_EQ(truncated.held_at, first.lsn);
  varve_log_unpin(pin);
  ASSERT_EQ(varve_log_truncate(log_, last.lsn, 1, &truncated, Error()), 0);
  EXPECT_EQ(truncated.segments, 1u);
  ASSERT_EQ(varve_log_truncate(log_, last.lsn, 0, &truncated, Error()), 0);
  EXPECT_EQ(VARVE_LOG_KIND(varve_log_pin_at(log_, first.lsn, &pin, Error())),
            VARVE_LOG_NOT_FOUND);
}

TEST_F(CLog, ReplayStartsAtTheCheckpoint) {
  Open();
  Append("old");
  const auto ack = Append("new");
  ASSERT_EQ(varve_log_checkpoint(log_, ack.lsn, "note", 4, nullptr, Error()), 0) << Message();
  Free();
  options_.from_checkpoint = 1;
  Open();
  EXPECT_EQ(seen_.records[0], "new");
  varve_log_recovery recovery = {.size = sizeof recovery};
  ASSERT_EQ(varve_log_get_recovery(log_, &recovery, Error()), 0) << Message();
  EXPECT_EQ(recovery.checkpoint_replay_from, ack.lsn);
  EXPECT_EQ(std::string(recovery.note, recovery.note_size), "note");
}

// The code of `call`, whose n-th allocation fails if it makes so many.
template <typename Call>
int WithFailing(int nth, bool* failed, const Call& call) {
  const varve::testing::FailingAllocation allocation(nth);
  const int code = call();
  *failed = allocation.hit();
  return code;
}

TEST_F(CLog, WithoutMemoryTheErrorSaysWhatTheCodeSays) {
  Open();
  Close();
  const auto record = RecordOf("x");
  bool failed = true;
  for (int nth = 1; failed; ++nth) {
    auto** const error = Error();
    const int code = WithFailing(nth, &failed, [&] {
      return varve_log_append(log_, &record, 1, VARVE_LOG_DURABLE, nullptr, error);
    });
    EXPECT_NE(code, VARVE_LOG_OK);
    EXPECT_EQ(varve_log_error_code(error_), code) << Message() << ", allocation " << nth;
    EXPECT_FALSE(Message().empty());
    if (!failed) {
      EXPECT_EQ(VARVE_LOG_REASON(code), VARVE_LOG_CLOSED);
    }
  }
}

TEST_F(CLog, WithoutMemoryACallbackIsToldOnceOrTheCallFails) {
  Open();
  Close();
  const auto record = RecordOf("x");
  bool failed = true;
  for (int nth = 1; failed; ++nth) {
    struct Calls {
      int times = 0;
      int code = -1;
      int error_code = -1;
    } calls;
    const auto count = [](void* context, int code, const varve_log_ack*,
                          const varve_log_error* error) {
      *static_cast<Calls*>(context) = {static_cast<Calls*>(context)->times + 1, code,
                                       varve_log_error_code(error)};
    };
    auto** const error = Error();
    const int code = WithFailing(nth, &failed, [&] {
      return varve_log_append_then(log_, &record, 1, 2, count, &calls, error);
    });
    EXPECT_EQ(calls.times, code == VARVE_LOG_OK ? 1 : 0) << "allocation " << nth;
    EXPECT_EQ(calls.code, calls.error_code);
    EXPECT_EQ(varve_log_error_code(error_), code);
  }
}

struct Ring {
  unsigned char byte = 7;
  int code = VARVE_LOG_OK;
  std::atomic<int> throws = 0;  // 1: an exception; 2: no exception; 3: no memory
};
void MaybeThrow(const Ring& ring) {
  if (ring.throws == 1) throw std::runtime_error("the safe is shut");
  if (ring.throws == 2) throw 7;
  if (ring.throws == 3) throw std::bad_alloc();
}
int CurrentKey(void* context, char name[64], size_t* size) {
  MaybeThrow(*static_cast<Ring*>(context));
  name[0] = 'k';
  *size = 1;
  return static_cast<Ring*>(context)->code;
}
int KeyOf(void* context, const char* name, size_t size, unsigned char key[32]) {
  MaybeThrow(*static_cast<Ring*>(context));
  EXPECT_EQ(std::string(name, size), "k");
  std::fill_n(key, 32, static_cast<Ring*>(context)->byte);
  return static_cast<Ring*>(context)->code;
}

TEST_F(CLog, KeysComeByCallback) {
  Ring ring;
  options_.current_key = CurrentKey;
  ExpectInvalid(TryOpen(), "both of current_key and key");
  options_.key = KeyOf;
  options_.key_context = &ring;
  Open();
  Append("secret");
  Open();
  EXPECT_EQ(seen_.records, Strings{"secret"});
  ring.byte = 8;
  EXPECT_EQ(TryOpen(), VARVE_LOG_INVALID | VARVE_LOG_WRONG_KEY << 8) << Message();
  ring.code = VARVE_LOG_NOT_FOUND;
  EXPECT_EQ(TryOpen(), VARVE_LOG_NOT_FOUND | VARVE_LOG_MISSING_KEY << 8) << Message();
  options_.current_key = nullptr;
  options_.key = nullptr;
  EXPECT_EQ(TryOpen(), VARVE_LOG_NOT_FOUND | VARVE_LOG_MISSING_KEY << 8) << Message();
}

// A segment of its own needs a key: the appender's thread asks for it, and others ahead of need.
TEST_F(CLog, AKeyCallbackThatThrowsRefusesTheUnitAndStopsNothing) {
  Ring ring;
  options_.current_key = CurrentKey;
  options_.key = KeyOf;
  options_.key_context = &ring;
  options_.segment_bytes_max = 32 << 10;
  Open();
  const std::string large(40'000, 's');
  const auto record = RecordOf(large);
  for (const auto& [throws, expected] : {std::pair{1, VARVE_LOG_INTERNAL},
                                         std::pair{2, VARVE_LOG_INTERNAL},
                                         std::pair{3, VARVE_LOG_UNAVAILABLE}}) {
    ring.throws = throws;
    EXPECT_EQ(varve_log_append(log_, &record, 1, 2, nullptr, Error()), expected) << Message();
    if (throws == 1) {
      EXPECT_NE(Message().find("the safe is shut"), std::string::npos) << Message();
    }
    ring.throws = 0;
    Append(large);
  }
  ring.throws = 1;
  EXPECT_EQ(TryOpen(), VARVE_LOG_INTERNAL) << Message();
  ring.throws = 0;
  Open();
  EXPECT_EQ(seen_.records, Strings(3, large));
}

TEST_F(CLog, StatsAndMetricsTellWhatWasDone) {
  Open();
  Append("x");
  struct Later {
    varve_log_stats stats;
    std::uint64_t more = 5;
  } later;
  later.stats.size = sizeof later;
  ASSERT_EQ(varve_log_get_stats(log_, &later.stats, Error()), 0) << Message();
  EXPECT_EQ(later.stats.units, 1u);
  EXPECT_EQ(std::string(later.stats.id).size(), 32u);
  EXPECT_EQ(later.stats.sync_method, VARVE_LOG_FDATASYNC);
  EXPECT_EQ(later.more, 0u) << "a member that the library does not know";
  later.stats.size = 0;
  ExpectInvalid(varve_log_get_stats(log_, &later.stats, Error()), "stats.size");
  char* text = nullptr;
  ASSERT_EQ(varve_log_prometheus(log_, "my_", &text, Error()), 0);
  EXPECT_NE(std::string(text).find("my_units_total 1\n"), std::string::npos);
  varve_log_text_free(text);
}

TEST_F(CLog, AfterCloseEverythingSaysClosed) {
  Open();
  const auto record = RecordOf("x");
  Close();
  EXPECT_EQ(varve_log_append(log_, &record, 1, 2, nullptr, Error()),
            VARVE_LOG_INVALID | VARVE_LOG_CLOSED << 8);
  EXPECT_EQ(varve_log_close(log_, Error()), VARVE_LOG_INVALID | VARVE_LOG_CLOSED << 8);
  EXPECT_EQ(varve_log_sync(log_, Error()), VARVE_LOG_INVALID | VARVE_LOG_CLOSED << 8);
}

}  // namespace
