// SPDX-License-Identifier: Apache-2.0
// What the files behind varve_db.h share: the handles, and what C gives and gets in the form of
// C++.
#pragma once

#include <arrow/c/bridge.h>
#include <arrow/record_batch.h>
#include <fmt/format.h>

#include <atomic>
#include <memory>
#include <stop_token>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "log/c_error.h"
#include "varve/database.h"
#include "varve_db.h"

struct varve_db {
  std::unique_ptr<varve::KeyProvider> keys;  // outlives the database; null: not encrypted
  std::unique_ptr<varve::Database> database;
};
struct varve_db_snapshot {
  std::shared_ptr<varve::Snapshot> snapshot;
};
struct varve_db_cursor {
  std::unique_ptr<varve::ChangeCursor> cursor;
  varve::CommitNumber position;  // of what was handed over
  bool lost = false;             // a batch was read and could not be
};
struct varve_db_stop {
  std::stop_source source;
};
struct varve_db_transaction {
  std::unique_ptr<varve::Transaction> transaction;
  std::shared_ptr<varve::Snapshot> schemas;  // as of its begin
};

namespace varve {

// What a caller gave to a call is released, whatever becomes of the call.
template <typename T>
class Given {
 public:
  explicit Given(T* given) : given_(given) {}
  ~Given() {
    if (given_ != nullptr && given_->release != nullptr) given_->release(given_);
  }
  Given(const Given&) = delete;
  Given& operator=(const Given&) = delete;
  Status Check(std::string_view what) const {
    VARVE_TRY(Need(given_, what));
    if (given_->release != nullptr) return {};
    return Fail(ErrorKind::kInvalid, fmt::format("{} was released already", what));
  }
  T* get() const { return given_; }

 private:
  T* const given_;
};

// What the caller's struct says; NULL says nothing.
template <typename T>
Result<T> Sized(std::string_view name, const T* given, std::size_t least) {
  T known{};
  if (given != nullptr) VARVE_TRY(TakeSized(name, *given, least, &known));
  return known;
}

class ArrowRows {
 public:
  ArrowRows(ArrowArray* array, ArrowSchema* schema) : array_(array), schema_(schema) {}
  Result<std::shared_ptr<arrow::RecordBatch>> Take() {
    VARVE_TRY(array_.Check("the array"));
    VARVE_TRY(schema_.Check("the schema"));
    auto batch = arrow::ImportRecordBatch(array_.get(), schema_.get());
    if (!batch.ok()) {
      return Fail(ErrorKind::kInvalid,
                  "what was given is no batch of Arrow: " + batch.status().message());
    }
    return *std::move(batch);
  }

 private:
  Given<ArrowArray> array_;
  Given<ArrowSchema> schema_;
};

// Invalid/kClosed after Close, for calls that have no error of their own in C++.
inline Status CheckOpen(const varve_db& db) {
  const auto snapshot = db.database->GetSnapshot();
  return snapshot ? Status() : std::unexpected(snapshot.error());
}

// Of what it reads nothing but codes comes out, whatever is thrown.
Status ExportReader(std::shared_ptr<arrow::RecordBatchReader> reader, ArrowArrayStream* out);

inline Result<CommitOptions> OptionsOf(int level) {
  VARVE_ASSIGN(const auto ack, EnumOf("level", level, AckLevel::kDurable));
  return CommitOptions{.ack = ack};
}

inline void Tell(varve_db_commit* to, const CommitInfo& info) {
  if (to == nullptr) return;
  *to = {info.commit.value, info.lsn.value,   info.rows,
         info.log_bytes,    info.group_units, info.repeat ? 1u : 0u};
}

// Calls back once, or never after Cancel.
class DoneInC {
 public:
  DoneInC(varve_db_done done, void* context) : done_(done), context_(context) {}
  // As in varve_db_write_options; before anybody may call.
  void TellRowsPassed(std::uint64_t* to) { rows_passed_ = to; }
  // Whether it was not called before.
  bool Cancel() { return !used_.exchange(true); }
  void Call(const Result<CommitInfo>& result) noexcept {
    if (!Cancel()) return;
    varve_error* error = nullptr;
    const int code = result ? VARVE_LOG_OK : Give(&error, result.error());
    varve_db_commit commit{};
    if (result) Tell(&commit, *result);
    if (result && rows_passed_ != nullptr) *rows_passed_ = result->rows_passed;
    try {
      done_(context_, code, result ? &commit : nullptr, error);
    } catch (...) {  // the callback's: there is nobody to tell
    }
    FreeError(error);
  }

 private:
  const varve_db_done done_;
  void* const context_;
  std::uint64_t* rows_passed_ = nullptr;
  std::atomic<bool> used_ = false;
};

inline CommitCallback InCpp(const std::shared_ptr<DoneInC>& done) {
  return [done](const Result<CommitInfo>& info) { done->Call(info); };
}

// Runs `call` with what calls `done`. A code other than VARVE_LOG_OK means that `done` was not
// called, and never will be.
template <typename Call>
int CallingBack(varve_db_done done, void* context, varve_error** error, const Call& call) noexcept {
  std::shared_ptr<DoneInC> callback;
  const int code = Guarded(
      error,
      [&]() -> Status {
        VARVE_TRY(Need(reinterpret_cast<const void*>(done), "done"));
        callback = std::make_shared<DoneInC>(done, context);
        return call(callback);
      },
      kUnknownOutcomeCode);
  if (code == VARVE_LOG_OK || callback == nullptr || callback->Cancel()) return code;
  if (error != nullptr) varve_log_error_free(std::exchange(*error, nullptr));
  return VARVE_LOG_OK;  // it was called before something was thrown
}

}  // namespace varve
