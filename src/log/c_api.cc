// SPDX-License-Identifier: Apache-2.0
// varve_log.h over varve::Log: checks what C passes, and changes the form of values.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "log/c_error.h"
#include "log/c_keys.h"
#include "log/c_options.h"
#include "varve/log.h"
#include "varve_log.h"

namespace {

using namespace varve;

constexpr std::size_t kRecordBytesMost = 0x7fff'ffff;  // so that sums cannot wrap

static_assert(VARVE_LOG_DURABLE == static_cast<int>(AckLevel::kDurable));
static_assert(VARVE_LOG_CHECKPOINT_KIND == static_cast<int>(LogKind::kCheckpoint) &&
              VARVE_LOG_PAGE_IMAGE_KIND == static_cast<int>(LogKind::kPageImage));
// Of ABI 1: members may be added behind, and these numbers stay.
constexpr std::size_t kFirstRecoveryBytes = 96;
constexpr std::size_t kFirstStatsBytes = 152;
static_assert(sizeof(void*) != 8 || (sizeof(varve_log_recovery) == kFirstRecoveryBytes &&
                                     sizeof(varve_log_stats) == kFirstStatsBytes));

Result<AckLevel> LevelOf(int level) { return EnumOf("level", level, AckLevel::kDurable); }

// The records of one call in the form of C++. Few need no memory.
class Records {
 public:
  static Status Make(const varve_log_record* records, std::size_t count, Records* to) {
    if (count > 0) VARVE_TRY(Need(records, "records"));
    if (count > kRecordBytesMost) {
      return Fail(ErrorKind::kInvalid, fmt::format("count: {} records are too many", count));
    }
    if (count > to->few_.size()) to->many_.resize(count);
    to->count_ = count;
    for (std::size_t i = 0; i < count; ++i) {
      VARVE_TRY(Check(i, records[i]));
      to->data()[i] = LogRecord(
          std::string_view(static_cast<const char*>(records[i].data), records[i].size),
          static_cast<LogKind>(records[i].kind));
    }
    return {};
  }
  LogRecords span() { return {data(), count_}; }

 private:
  static Status Check(std::size_t index, const varve_log_record& record) {
    if (record.size > kRecordBytesMost) {
      return Fail(ErrorKind::kInvalid, fmt::format("record {}: {} bytes are more than the {} that "
                                                   "a record may have",
                                                   index, record.size, kRecordBytesMost));
    }
    if (record.size > 0) VARVE_TRY(Need(record.data, fmt::format("data of record {}", index)));
    if (record.kind <= static_cast<int>(LogKind::kUserLast) ||
        record.kind == VARVE_LOG_PAGE_IMAGE_KIND) {
      return {};
    }
    return Fail(ErrorKind::kInvalid, fmt::format("kind of record {}: expected 0 to 239, or 241, "
                                                 "found {}", index, record.kind));
  }
  LogRecord* data() { return many_.empty() ? few_.data() : many_.data(); }

  std::array<LogRecord, 8> few_;
  std::vector<LogRecord> many_;
  std::size_t count_ = 0;
};

void InC(const LogAck& ack, varve_log_ack* to) {
  if (to == nullptr) return;
  *to = {ack.lsn.value, ack.end.value, ack.bytes, ack.group_units, ack.wait_micros};
}

// Calls `visit` with each unit in the form of C.
LogReplay ReplayBy(varve_log_replay visit, void* context) {
  if (visit == nullptr) return {};
  return [visit, context, records = std::vector<varve_log_record>()](const LogUnit& unit) mutable {
    records.clear();
    for (const auto& record : unit.records) {
      records.push_back({record.bytes.data(), record.bytes.size(),
                         static_cast<std::uint8_t>(record.kind)});
    }
    const varve_log_unit lent{unit.lsn.value, unit.end.value, records.data(), records.size()};
    const int code = visit(context, &lent);
    if (code == VARVE_LOG_OK) return Status();
    return Status(std::unexpected(FromCode(
        code, fmt::format("the replay callback gave code {} for the unit at LSN {}", code,
                          unit.lsn.value))));
  };
}

// Calls back once, or never after Cancel.
class Callback {
 public:
  Callback(varve_log_done done, void* context) : done_(done), context_(context) {}
  // Whether it was not called before.
  bool Cancel() { return !used_.exchange(true); }
  void Call(const Result<LogAck>& result) noexcept {
    if (!Cancel()) return;
    varve_log_error* error = nullptr;
    const int code = result ? VARVE_LOG_OK : Give(&error, result.error());
    varve_log_ack ack{};
    if (result) InC(*result, &ack);
    try {
      done_(context_, code, result ? &ack : nullptr, error);
    } catch (...) {  // the callback's: there is nobody to tell
    }
    FreeError(error);
  }

 private:
  const varve_log_done done_;
  void* const context_;
  std::atomic<bool> used_ = false;
};

}  // namespace

struct varve_log {
  std::unique_ptr<CallbackKeys> keys;  // outlives the log
  std::unique_ptr<Log> log;
};
struct varve_log_pin {
  LogPin pin;
};

namespace {

// As Guarded, for a call that needs a log.
template <typename Call>
int WithLog(varve_log* log, varve_log_error** error, const Call& call,
            int no_memory_code = VARVE_LOG_UNAVAILABLE) noexcept {
  return Guarded(
      error,
      [&]() -> Status {
        VARVE_TRY(Need(log, "log"));
        return call(*log->log);
      },
      no_memory_code);
}

Result<std::unique_ptr<varve_log>> Open(const char* dir, const varve_log_options* given,
                                        const LogReplay& replay) {
  VARVE_TRY(Need(dir, "dir"));
  VARVE_ASSIGN(const auto known, KnownOptions(given));
  VARVE_ASSIGN(auto options, ToCpp(known));
  VARVE_ASSIGN(const auto recovery, RecoveryOf(known));
  auto opened = std::make_unique<varve_log>();
  if (known.key != nullptr) {
    opened->keys = std::make_unique<CallbackKeys>(known.current_key, known.key, known.key_context);
    options.keys = opened->keys.get();
  }
  VARVE_ASSIGN(opened->log, Log::Open(dir, options, replay, recovery));
  return opened;
}

varve_log_stats StatsInC(const LogStats& from) {
  varve_log_stats to{};
  std::memcpy(to.id, from.id.data(), std::min(from.id.size(), sizeof to.id - 1));
  to.positions = {from.positions.appended.value, from.positions.written.value,
                  from.positions.durable.value};
  to.first = from.first.value;
  to.units = from.units;
  to.records = from.records;
  to.groups = from.groups;
  to.syncs = from.syncs;
  to.bytes_written = from.bytes_written;
  to.segments = from.segments.size();
  for (const auto& segment : from.segments) to.segment_bytes += segment.file_bytes;
  to.open_transactions = from.open_transactions;
  to.sync_method = static_cast<std::int32_t>(from.sync_method);
  to.encode_mode = static_cast<std::int32_t>(from.encode_mode);
  return to;
}

varve_log_recovery RecoveryInC(const RecoveryReport& from) {
  varve_log_recovery to{};
  to.segments = from.segments;
  to.units = from.units;
  to.records = from.records;
  to.bytes = from.bytes;
  to.torn_bytes = from.torn_bytes;
  to.end = from.end.value;
  to.micros = from.micros;
  if (!from.checkpoint) return to;
  to.checkpoint_lsn = from.checkpoint->lsn.value;
  to.checkpoint_replay_from = from.checkpoint->replay_from.value;
  to.note = from.checkpoint->note.data();
  to.note_size = from.checkpoint->note.size();
  return to;
}

}  // namespace

extern "C" {

int varve_log_abi(void) { return VARVE_LOG_ABI; }

int varve_log_options_init(varve_log_options* options, size_t size, int preset) {
  return Guarded(nullptr, [&]() -> Status {
    VARVE_TRY(Need(options, "options"));
    VARVE_TRY(CheckSize("options", size, kFirstOptionsBytes));
    if (preset < VARVE_LOG_DEFAULT || preset > VARVE_LOG_FULL_SYNC) {
      return Fail(ErrorKind::kInvalid, "there is no such preset");
    }
    const LogOptions presets[] = {{}, LogOptions::Throughput(), LogOptions::Latency(),
                                  LogOptions::Durable()};
    varve_log_options filled{};
    ToC(presets[preset], &filled);
    options->size = size;
    return GiveSized("options", options, filled, kFirstOptionsBytes);
  });
}

int varve_log_options_from_environment(varve_log_options* options, varve_log_error** error) {
  return Guarded(error, [&]() -> Status {
    VARVE_TRY(Need(options, "options"));
    VARVE_ASSIGN(auto known, KnownOptions(options));
    VARVE_ASSIGN(const auto base, ToCpp(known));
    VARVE_ASSIGN(const auto changed, LogOptions::FromEnvironment(base));
    ToC(changed, &known);
    return GiveSized("options", options, known, kFirstOptionsBytes);
  });
}

const char* varve_log_error_message(const varve_log_error* error) {
  return error == nullptr ? "" : error->message.c_str();
}

int varve_log_error_code(const varve_log_error* error) {
  return error == nullptr ? VARVE_LOG_OK : error->code;
}

void varve_log_error_free(varve_log_error* error) { FreeError(error); }

const char* varve_log_kind_name(int code) {
  if (code == VARVE_LOG_OK) return "OK";
  return IsCode(code) ? ToString(FromCode(code, {}).kind()).data() : "unknown";
}

const char* varve_log_reason_name(int code) {
  if (code == VARVE_LOG_OK) return "None";
  return IsCode(code) ? ToString(FromCode(code, {}).reason()).data() : "unknown";
}

int varve_log_open(const char* dir, const varve_log_options* options, varve_log_replay replay,
                   void* context, varve_log** log, varve_log_error** error) {
  if (log != nullptr) *log = nullptr;
  return Guarded(error, [&]() -> Status {
    VARVE_TRY(Need(log, "log"));
    VARVE_ASSIGN(auto opened, Open(dir, options, ReplayBy(replay, context)));
    *log = opened.release();
    return {};
  });
}

int varve_log_close(varve_log* log, varve_log_error** error) {
  return WithLog(log, error, [](Log& open) { return open.Close(); });
}

void varve_log_free(varve_log* log) { delete log; }

int varve_log_append(varve_log* log, const varve_log_record* records, size_t count, int level,
                     varve_log_ack* ack, varve_log_error** error) {
  return WithLog(
      log, error,
      [&](Log& open) -> Status {
        VARVE_ASSIGN(const auto wanted, LevelOf(level));
        Records unit;
        VARVE_TRY(Records::Make(records, count, &unit));
        VARVE_ASSIGN(const auto done, open.Append(unit.span(), wanted));
        InC(done, ack);
        return {};
      },
      kUnknownOutcomeCode);
}

int varve_log_append_then(varve_log* log, const varve_log_record* records, size_t count,
                          int level, varve_log_done done, void* context,
                          varve_log_error** error) {
  std::shared_ptr<Callback> callback;
  const int code = WithLog(
      log, error,
      [&](Log& open) -> Status {
        VARVE_ASSIGN(const auto wanted, LevelOf(level));
        VARVE_TRY(Need(reinterpret_cast<const void*>(done), "done"));
        Records unit;
        VARVE_TRY(Records::Make(records, count, &unit));
        callback = std::make_shared<Callback>(done, context);
        open.AppendThen(unit.span(), wanted,
                        [callback](const Result<LogAck>& result) { callback->Call(result); });
        return {};
      },
      kUnknownOutcomeCode);
  if (code == VARVE_LOG_OK || callback == nullptr || callback->Cancel()) return code;
  if (error != nullptr) varve_log_error_free(std::exchange(*error, nullptr));
  return VARVE_LOG_OK;  // it was called before something was thrown
}

int varve_log_enqueue(varve_log* log, const varve_log_record* records, size_t count, int to_come,
                      varve_log_ticket* ticket, varve_log_error** error) {
  return WithLog(
      log, error,
      [&](Log& open) -> Status {
        VARVE_ASSIGN(const auto wanted, LevelOf(to_come));
        VARVE_TRY(Need(ticket, "ticket"));
        Records unit;
        VARVE_TRY(Records::Make(records, count, &unit));
        VARVE_ASSIGN(const auto given, open.Enqueue(unit.span(), wanted));
        *ticket = {given.lsn.value, given.end.value, given.enqueued_micros};
        return {};
      },
      kUnknownOutcomeCode);
}

int varve_log_wait(varve_log* log, const varve_log_ticket* ticket, int level, varve_log_ack* ack,
                   varve_log_error** error) {
  return WithLog(log, error, [&](Log& open) -> Status {
    VARVE_ASSIGN(const auto wanted, LevelOf(level));
    VARVE_TRY(Need(ticket, "ticket"));
    const LogTicket place{{ticket->lsn}, {ticket->end}, ticket->enqueued_micros};
    VARVE_ASSIGN(const auto done, open.Wait(place, wanted));
    InC(done, ack);
    return {};
  });
}

int varve_log_begin(varve_log* log, uint64_t* transaction, varve_log_error** error) {
  return WithLog(log, error, [&](Log& open) -> Status {
    VARVE_TRY(Need(transaction, "transaction"));
    VARVE_ASSIGN(const auto begun, open.Begin());
    *transaction = begun.value;
    return {};
  });
}

int varve_log_append_to(varve_log* log, uint64_t transaction, const varve_log_record* records,
                        size_t count, varve_log_error** error) {
  return WithLog(log, error, [&](Log& open) -> Status {
    Records unit;
    VARVE_TRY(Records::Make(records, count, &unit));
    return open.AppendTo({transaction}, unit.span());
  });
}

int varve_log_commit(varve_log* log, uint64_t transaction, int level, varve_log_ack* ack,
                     varve_log_error** error) {
  return WithLog(
      log, error,
      [&](Log& open) -> Status {
        VARVE_ASSIGN(const auto wanted, LevelOf(level));
        VARVE_ASSIGN(const auto done, open.Commit({transaction}, wanted));
        InC(done, ack);
        return {};
      },
      kUnknownOutcomeCode);
}

int varve_log_abort(varve_log* log, uint64_t transaction, varve_log_error** error) {
  return WithLog(log, error, [&](Log& open) { return open.Abort({transaction}); });
}

int varve_log_wait_until(varve_log* log, uint64_t position, int level, uint64_t timeout_ms,
                         varve_log_error** error) {
  return WithLog(log, error, [&](Log& open) -> Status {
    VARVE_ASSIGN(const auto wanted, LevelOf(level));
    std::optional<std::uint64_t> timeout;
    if (timeout_ms <= kWaitMsMost) timeout = timeout_ms;
    return open.WaitUntil({position}, wanted, timeout);
  });
}

int varve_log_sync(varve_log* log, varve_log_error** error) {
  return WithLog(log, error, [](Log& open) { return open.Sync(); });
}

int varve_log_rotate(varve_log* log, varve_log_error** error) {
  return WithLog(log, error, [](Log& open) { return open.Rotate(); });
}

int varve_log_truncate(varve_log* log, uint64_t fence, int dry_run,
                       varve_log_truncation* truncated, varve_log_error** error) {
  return WithLog(log, error, [&](Log& open) -> Status {
    VARVE_ASSIGN(const auto done, open.TruncateBefore({fence}, dry_run != 0));
    if (truncated != nullptr) {
      *truncated = {done.segments, done.bytes, done.first.value, done.held_at.value};
    }
    return {};
  });
}

int varve_log_pin_at(varve_log* log, uint64_t position, varve_log_pin** pin,
                     varve_log_error** error) {
  return WithLog(log, error, [&](Log& open) -> Status {
    VARVE_TRY(Need(pin, "pin"));
    auto held = std::make_unique<varve_log_pin>();
    VARVE_ASSIGN(held->pin, open.Pin({position}));
    *pin = held.release();
    return {};
  });
}

void varve_log_unpin(varve_log_pin* pin) { delete pin; }

int varve_log_checkpoint(varve_log* log, uint64_t replay_from, const void* note, size_t note_size,
                         varve_log_ack* ack, varve_log_error** error) {
  return WithLog(
      log, error,
      [&](Log& open) -> Status {
        if (note_size > 0) VARVE_TRY(Need(note, "note"));
        const std::string_view text(static_cast<const char*>(note), note_size);
        if (note_size > kRecordBytesMost) return Fail(ErrorKind::kInvalid, "the note is too large");
        VARVE_ASSIGN(const auto done, open.Checkpoint({replay_from}, text));
        InC(done, ack);
        return {};
      },
      kUnknownOutcomeCode);
}

int varve_log_positions(varve_log* log, varve_log_position* positions, varve_log_error** error) {
  return WithLog(log, error, [&](Log& open) -> Status {
    VARVE_TRY(Need(positions, "positions"));
    const auto now = open.positions();
    *positions = {now.appended.value, now.written.value, now.durable.value};
    return {};
  });
}

int varve_log_get_recovery(varve_log* log, varve_log_recovery* recovery,
                           varve_log_error** error) {
  return WithLog(log, error, [&](Log& open) -> Status {
    VARVE_TRY(Need(recovery, "recovery"));
    return GiveSized("recovery", recovery, RecoveryInC(open.recovery()), kFirstRecoveryBytes);
  });
}

int varve_log_get_stats(varve_log* log, varve_log_stats* stats, varve_log_error** error) {
  return WithLog(log, error, [&](Log& open) -> Status {
    VARVE_TRY(Need(stats, "stats"));
    return GiveSized("stats", stats, StatsInC(open.stats()), kFirstStatsBytes);
  });
}

int varve_log_prometheus(varve_log* log, const char* prefix, char** text,
                         varve_log_error** error) {
  return WithLog(log, error, [&](Log& open) -> Status {
    VARVE_TRY(Need(text, "text"));
    const auto made = prefix == nullptr ? open.PrometheusText() : open.PrometheusText(prefix);
    auto* const copy = static_cast<char*>(std::malloc(made.size() + 1));
    if (copy == nullptr) throw std::bad_alloc();
    std::memcpy(copy, made.c_str(), made.size() + 1);
    *text = copy;
    return {};
  });
}

void varve_log_text_free(char* text) { std::free(text); }

}  // extern "C"
