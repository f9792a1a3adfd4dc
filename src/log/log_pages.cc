// SPDX-License-Identifier: Apache-2.0
// PageLog. The order of commits is fixed where a unit gets its place, by one at a time, together
// with the check for conflicts: two transactions that saw the same page cannot both be kept.
// Whoever finds his commit durable applies it and all before it, which are durable too.
#include "varve/log_pages.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/out_of_memory.h"
#include "base/result.h"

namespace varve {
namespace {

constexpr std::size_t kImageHeaderBytes = 24;
constexpr std::uint32_t kHasBefore = 1;
constexpr std::uint64_t kPageBytesMax = 1ull << 30;

std::unexpected<Error> NoImage(std::string what) {
  return Fail(ErrorKind::kCorruption, "page image: " + std::move(what));
}

std::unexpected<Error> NoTransaction(LogTransaction transaction) {
  return Fail(ErrorKind::kNotFound,
              fmt::format("there is no open transaction {} of pages", transaction.value));
}

// All images of a unit, or what is wrong with one of them.
Result<std::vector<PageImage>> DecodeUnit(const LogUnit& unit, std::uint64_t page_bytes) {
  std::vector<PageImage> images;
  for (const auto& record : unit.records) {
    if (record.kind != LogKind::kPageImage) continue;
    VARVE_ASSIGN(const auto image, DecodePageImage(record.bytes, page_bytes));
    if (!images.empty() && image.transaction != images.front().transaction) {
      return NoImage(fmt::format("expected transaction {} as before in this unit, found {}",
                                 images.front().transaction, image.transaction));
    }
    images.push_back(image);
  }
  return images;
}

}  // namespace

std::string EncodePageImage(const PageImage& image) {
  std::string bytes;
  const auto before = image.before.value_or(std::string_view());
  bytes.reserve(kImageHeaderBytes + before.size() + image.after.size());
  AppendLittle(&bytes, image.transaction);
  AppendLittle(&bytes, image.page.value);
  AppendLittle(&bytes, image.before ? kHasBefore : 0u);
  AppendLittle(&bytes, static_cast<std::uint32_t>(before.size()));
  bytes.append(before).append(image.after);
  return bytes;
}

Result<PageImage> DecodePageImage(std::string_view bytes, std::uint64_t page_bytes) {
  if (bytes.size() < kImageHeaderBytes) {
    return NoImage(fmt::format("expected at least {} bytes, found {}", kImageHeaderBytes,
                               bytes.size()));
  }
  PageImage image;
  image.transaction = LoadLittle<std::uint64_t>(bytes.data());
  image.page = {LoadLittle<std::uint64_t>(bytes.data() + 8)};
  const auto flags = LoadLittle<std::uint32_t>(bytes.data() + 16);
  const auto before_bytes = LoadLittle<std::uint32_t>(bytes.data() + 20);
  if ((flags & ~kHasBefore) != 0) return NoImage(fmt::format("unknown flags {:x}", flags));
  const bool has_before = (flags & kHasBefore) != 0;
  const auto images = bytes.substr(kImageHeaderBytes);
  const auto expected_before = has_before ? page_bytes : 0;
  if (before_bytes != expected_before || images.size() != expected_before + page_bytes) {
    return NoImage(fmt::format("expected {} bytes before and {} after, found {} and {} in all",
                               expected_before, page_bytes, before_bytes, images.size()));
  }
  if (has_before) image.before = images.substr(0, before_bytes);
  image.after = images.substr(before_bytes);
  return image;
}

LogReplay RecoverPages(PageSink* sink, std::uint64_t page_bytes) {
  return [sink, page_bytes](const LogUnit& unit) -> Status {
    const auto images = DecodeUnit(unit, page_bytes);
    if (!images) {
      return std::unexpected(images.error().Within(fmt::format("at LSN {}", unit.lsn.value)));
    }
    for (const auto& image : *images) VARVE_TRY(sink->Apply(image.page, image.after));
    return {};
  };
}

struct PageLog::Impl {
  Impl(Log* log, PageSink* sink, const PageLogOptions& options)
      : log_(log), sink_(sink), options_(options) {}

  // As those of PageLog.
  Result<LogTransaction> Begin();
  Status Put(LogTransaction transaction, PageNumber page, std::string_view after,
             std::optional<std::string_view> before);
  Result<LogAck> Commit(LogTransaction transaction);
  Status Abort(LogTransaction transaction);
  Status Checkpoint();

  struct Open {
    std::uint64_t began = 0;                   // the number of commits that it saw
    std::map<PageNumber, std::string> images;  // as stored
  };
  using Images = std::map<PageNumber, std::string>;
  using Map = std::unordered_map<std::uint64_t, Open>;

  Result<Map::node_type> TakeToCommit(LogTransaction transaction);
  Result<LogTicket> Enqueue(LogTransaction transaction);
  void ForgetCommitsIfIdle();
  Status CheckConflict(const Open& open) const;
  Status ApplyUpTo(Lsn lsn);
  Status ApplyEnqueued();
  std::unexpected<Error> SinkFailed(const Error& error, const char* context);

  Log* const log_;
  PageSink* const sink_;
  const PageLogOptions options_;

  std::mutex checkpointing_;         // before the other two; held by Checkpoint
  std::mutex applying_;              // before mutex_; held while the sink is called
  std::optional<Error> sink_failure_;  // guarded by applying_

  std::mutex placing_one_;           // before mutex_; held while the log is given a commit

  std::mutex mutex_;                 // guards all below
  std::uint64_t last_transaction_ = 0;
  std::uint64_t commits_ = 0;
  Map open_;
  std::optional<Lsn> placing_;       // the commit that the log is given gets no place before it
  std::map<Lsn, Images> unapplied_;  // in the log, not with the sink
  std::map<PageNumber, std::uint64_t> committed_;  // which commit had the page last
};

Result<LogTransaction> PageLog::Impl::Begin() {
  if (options_.page_bytes == 0 || options_.page_bytes > kPageBytesMax) {
    return Fail(ErrorKind::kInvalid, fmt::format("page_bytes: expected 1 to {}, found {}",
                                                 kPageBytesMax, options_.page_bytes));
  }
  std::lock_guard lock(mutex_);
  const LogTransaction transaction{++last_transaction_};
  open_[transaction.value].began = commits_ - unapplied_.size();  // the others nobody can see yet
  return transaction;
}

Status PageLog::Impl::Put(LogTransaction transaction, PageNumber page, std::string_view after,
                          std::optional<std::string_view> before) {
  const auto wrong = before && before->size() != options_.page_bytes ? *before : after;
  if (wrong.size() != options_.page_bytes) {
    return Fail(ErrorKind::kInvalid, fmt::format("image of page {}: expected {} bytes, found {}",
                                                 page.value, options_.page_bytes, wrong.size()));
  }
  auto image = EncodePageImage({transaction.value, page, before, after});
  std::lock_guard lock(mutex_);
  const auto open = open_.find(transaction.value);
  if (open == open_.end()) return NoTransaction(transaction);
  open->second.images[page] = std::move(image);
  return {};
}

Status PageLog::Impl::CheckConflict(const Open& open) const {
  for (const auto& [page, image] : open.images) {
    const auto last = committed_.find(page);
    if (last == committed_.end() || last->second <= open.began) continue;
    return Fail(ErrorKind::kConflict,
                fmt::format("page {} was committed by another transaction since this one began",
                            page.value));
  }
  return {};
}

// Takes the transaction, unless somebody else committed one of its pages since it began. What notes
// its commit needs no memory afterwards.
Result<PageLog::Impl::Map::node_type> PageLog::Impl::TakeToCommit(LogTransaction transaction) {
  std::lock_guard lock(mutex_);
  const auto open = open_.find(transaction.value);
  if (open == open_.end()) return NoTransaction(transaction);
  if (auto conflict = CheckConflict(open->second); !conflict) {
    open_.erase(open);
    return std::unexpected(std::move(conflict).error());
  }
  for (const auto& [page, image] : open->second.images) committed_.try_emplace(page, 0);
  placing_ = log_->positions().appended;
  return open_.extract(open);
}

// The log may let it wait for a truncation, which needs a checkpoint: so mutex_ is not held here,
// and placing_ tells the checkpoint that a commit may come behind it.
Result<LogTicket> PageLog::Impl::Enqueue(LogTransaction transaction) {
  std::lock_guard one_at_a_time(placing_one_);
  std::map<Lsn, Images> applied_later;
  applied_later.try_emplace({});
  VARVE_ASSIGN(auto open, TakeToCommit(transaction));
  auto& images = open.mapped().images;
  auto ticket = OrOutOfMemory([&] {
    std::vector<LogRecord> records;
    for (const auto& [page, image] : images) records.emplace_back(image, LogKind::kPageImage);
    return log_->Enqueue(records, AckLevel::kDurable);
  });
  std::lock_guard lock(mutex_);
  placing_.reset();
  if (!ticket) {
    open_.insert(std::move(open));
    return ticket;
  }
  ++commits_;
  for (const auto& [page, image] : images) committed_.find(page)->second = commits_;
  auto unapplied = applied_later.extract(applied_later.begin());
  unapplied.key() = ticket->lsn;
  unapplied.mapped() = std::move(images);
  unapplied_.insert(std::move(unapplied));
  return ticket;
}

// Nobody is left who could conflict, and who begins now has seen all.
void PageLog::Impl::ForgetCommitsIfIdle() {
  if (open_.empty() && !placing_ && unapplied_.empty()) committed_.clear();
}

Result<LogAck> PageLog::Impl::Commit(LogTransaction transaction) try {
  auto ticket = OrOutOfMemory([&] { return Enqueue(transaction); });
  if (!ticket) {
    // Whoever begins again sees no more than this one while that other commit is not applied.
    if (ticket.error().kind() == ErrorKind::kConflict) VARVE_TRY(ApplyEnqueued());
    return std::unexpected(std::move(ticket).error());
  }
  VARVE_ASSIGN(const auto ack, log_->Wait(*ticket, AckLevel::kDurable));
  std::lock_guard lock(applying_);
  VARVE_TRY(ApplyUpTo(ack.lsn));
  return ack;
} catch (const std::bad_alloc&) {  // it is in the log
  return std::unexpected(OutOfMemory(ErrorReason::kUnknownOutcome));
}

Status PageLog::Impl::ApplyUpTo(Lsn lsn) {
  if (sink_failure_) return std::unexpected(*sink_failure_);
  while (true) {
    const Images* images = nullptr;  // only who holds applying_ erases, and nobody changes them
    {
      std::lock_guard lock(mutex_);
      if (unapplied_.empty() || unapplied_.begin()->first > lsn) return {};
      images = &unapplied_.begin()->second;
    }
    for (const auto& [page, stored] : *images) {
      VARVE_ASSIGN(const auto image, DecodePageImage(stored, options_.page_bytes));
      if (auto applied = sink_->Apply(page, image.after); !applied) {
        return SinkFailed(applied.error(), "applying a durable commit; reopen to apply it");
      }
    }
    std::lock_guard lock(mutex_);
    unapplied_.erase(unapplied_.begin());
    ForgetCommitsIfIdle();
  }
}

// Applies all that has its place in the log by now; or says why that cannot be.
Status PageLog::Impl::ApplyEnqueued() {
  auto applied = OrOutOfMemory([this]() -> Status {
    Lsn last;
    {
      std::lock_guard lock(mutex_);
      if (unapplied_.empty()) return {};
      last = unapplied_.rbegin()->first;
    }
    VARVE_TRY(log_->Sync());  // so that all up to `last` is durable
    std::lock_guard lock(applying_);
    return ApplyUpTo(last);
  });
  if (applied) return {};
  return OrOutOfMemory([&]() -> Status {
    return std::unexpected(applied.error().Within(
        "an earlier commit of the page is not applied, and nothing of this one is kept"));
  });
}

// Noted also without the memory to say more: nothing is asked of a sink that failed.
std::unexpected<Error> PageLog::Impl::SinkFailed(const Error& error, const char* context) {
  sink_failure_ = CopyOf(error);
  (void)HadMemory([&] { sink_failure_ = error.Within(context); });
  return std::unexpected(CopyOf(*sink_failure_));
}

Status PageLog::Impl::Abort(LogTransaction transaction) {
  std::lock_guard lock(mutex_);
  if (open_.erase(transaction.value) == 0) return NoTransaction(transaction);
  ForgetCommitsIfIdle();
  return {};
}

// One at a time: the newest checkpoint must not lie before what another one let be truncated.
Status PageLog::Impl::Checkpoint() {
  std::lock_guard one_at_a_time(checkpointing_);
  Lsn fence;
  {
    std::lock_guard applying(applying_);
    if (sink_failure_) return std::unexpected(*sink_failure_);
    {
      std::lock_guard lock(mutex_);
      fence = log_->positions().durable;
      if (!unapplied_.empty()) fence = std::min(fence, unapplied_.begin()->first);
      if (placing_) fence = std::min(fence, *placing_);
    }
    if (auto flushed = sink_->Flush(); !flushed) {  // a second one would prove nothing
      return SinkFailed(flushed.error(), "flushing pages; reopen to apply them again");
    }
  }
  VARVE_TRY(log_->Checkpoint(fence));
  VARVE_TRY(log_->TruncateBefore(fence));
  return {};
}

PageLog::PageLog(Log* log, PageSink* sink, const PageLogOptions& options)
    : impl_(std::make_unique<Impl>(log, sink, options)) {}

PageLog::~PageLog() = default;

Result<LogTransaction> PageLog::Begin() { return impl_->Begin(); }

Status PageLog::Put(LogTransaction transaction, PageNumber page, std::string_view after,
                    std::optional<std::string_view> before) {
  return impl_->Put(transaction, page, after, before);
}

Result<LogAck> PageLog::Commit(LogTransaction transaction) { return impl_->Commit(transaction); }

Status PageLog::Abort(LogTransaction transaction) { return impl_->Abort(transaction); }

Status PageLog::Checkpoint() { return impl_->Checkpoint(); }

}  // namespace varve
