// SPDX-License-Identifier: Apache-2.0
// A varve::Log for page stores: a B-tree or a pager writes images of whole pages, and after any
// crash its pages are those of an unbroken prefix of its commits.
//
//   MyPages pages(...);                                       // a PageSink
//   auto log = varve::Log::Open("pages.log", {}, varve::RecoverPages(&pages, 4096),
//                               {.from_checkpoint = true});
//   varve::PageLog page_log(log->get(), &pages, {.page_bytes = 4096});
//   auto transaction = page_log.Begin();
//   page_log.Put(*transaction, 7, new_bytes);
//   page_log.Commit(*transaction);            // durable, and applied to `pages`
//   page_log.Checkpoint();                    // pages flushed, log shortened
//
// A commit is one unit of the log, with one record of kind LogKind::kPageImage per page. Nothing of
// a transaction is in the log before its commit: what was aborted never is, and a checkpoint may
// fall between the beginning of a transaction and its commit. Other kinds may stand beside.
// Payload of a record, little-endian:
//    0  8  transaction: the same in all records of a unit
//    8  8  page number
//   16  4  flags: 1 there is a before image
//   20  4  bytes of the before image: the page size, or 0 without one
//   24     before image, then the after image, which has the page size
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "varve/error.h"
#include "varve/log.h"
#include "varve/types.h"

namespace varve {

struct PageNumber {
  std::uint64_t value = 0;
  auto operator<=>(const PageNumber&) const = default;
};

// The caller's pages. Never called by two threads at once by one PageLog. An image is a whole page,
// so applying one again does no harm.
class PageSink {
 public:
  virtual ~PageSink() = default;
  // The page has these bytes from now on. It need not be durable yet.
  virtual Status Apply(PageNumber page, std::string_view bytes) = 0;
  // Everything applied so far is durable when it returns.
  virtual Status Flush() = 0;
};

// For Log::Open: applies the after images of each unit in the order of commits, a unit only when
// all of it is sound. `sink` outlives the opening. Corruption when a record is no image, or one of
// another page size. Open with RecoveryOptions::from_checkpoint.
LogReplay RecoverPages(PageSink* sink, std::uint64_t page_bytes);

// One page image as stored. Lends the bytes.
struct PageImage {
  std::uint64_t transaction = 0;
  PageNumber page;
  std::optional<std::string_view> before;
  std::string_view after;
};
std::string EncodePageImage(const PageImage& image);
// Corruption when `bytes` cannot be one with pages of this size.
Result<PageImage> DecodePageImage(std::string_view bytes, std::uint64_t page_bytes);

struct PageLogOptions {
  std::uint64_t page_bytes = 4096;  // 1 to 2^30; the same for the life of the log
};

// Thread-safe. `log` and `sink` outlive it.
class PageLog {
 public:
  PageLog(Log* log, PageSink* sink, const PageLogOptions& options);
  ~PageLog();

  // Any number may be open at once; each is kept in memory until its end.
  Result<LogTransaction> Begin();
  // The page has `after` when the transaction is committed; a later Put of the same page wins.
  // `before` is kept in the log for whoever reads it, for example to undo.
  // Errors: Invalid when an image has not the page size; NotFound: no such open transaction.
  Status Put(LogTransaction transaction, PageNumber page, std::string_view after,
             std::optional<std::string_view> before = {});
  // Makes the transaction durable, then applies it: commits reach the sink in the order in which
  // they are in the log. Ends the transaction, but on Invalid and on an error of the log after
  // which the unit is certainly not kept (see Log::Append).
  // Errors: Invalid when nothing was put; Conflict when another transaction that put one of the
  // pages was committed and not yet applied when this one began, or since (nothing is kept; begin
  // again: that one is applied by then); Unavailable as Log::Append, and when the sink failed:
  // kept, reopen to have it applied, or not kept, which it says, for an earlier one is not applied.
  Result<LogAck> Commit(LogTransaction transaction);
  Status Abort(LogTransaction transaction);

  // Flushes the sink; then notes in the log that replay may start behind what was applied; then
  // lets the log remove what lies before. In this order, and no step after one that failed.
  Status Checkpoint();

 private:
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace varve
