// SPDX-License-Identifier: Apache-2.0
// MemoryBudget: who holds how much of a database's memory, and whether there is room for more.
//
// The simple version: a counter for each holder and their sum, with the highest that each ever was.
// Holders book what they hold; nobody is refused here. Who is about to take much asks first, and
// does with less when there is no room (docs/design/0026).
//
// Booking: one holder's part, given back when it ends.
//
// Thread safety: MemoryBudget any member from any thread. A Booking is for one thread at a time.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

namespace varve {

enum class MemoryHolder : std::uint8_t {
  kMemtables,     // that receive rows
  kSealed,        // that wait for their flush
  kSnapshots,     // flushed memtables that a snapshot or a read still shows
  kTransactions,  // rows of transactions that are not committed
  kRecentKeys,    // of commits, by which conflicts are told
  kPieces,        // the cache of decoded pieces
  kTails,         // footers, filters and first keys, in the cache or in use
  kReads,         // what scans and lookups decode and read ahead
  kFlush,         // row groups that a flush gathers and encodes
  kCompaction,    // the same, and what it decodes
  kReserve,       // set aside for what nobody counts: the log's queue, stacks, freed memory
};
inline constexpr std::size_t kMemoryHolders = 11;

// As metrics and `varve stats` call it.
std::string_view NameOf(MemoryHolder holder);

class MemoryBudget {
 public:
  explicit MemoryBudget(std::uint64_t bytes_max) : bytes_max_(bytes_max) {}
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  // So many bytes more, or less.
  void Book(MemoryHolder holder, std::int64_t more) noexcept {
    if (more == 0) return;
    counts_[static_cast<std::size_t>(holder)].Add(more);
    all_.Add(more);
  }

  struct Held {
    std::uint64_t bytes = 0;
    std::uint64_t peak = 0;
  };
  Held held(MemoryHolder holder) const {
    return counts_[static_cast<std::size_t>(holder)].held();
  }
  Held all() const { return all_.held(); }
  std::uint64_t bytes_max() const { return bytes_max_; }

  // How much of `more` bytes passes the budget; zero when there is room.
  std::uint64_t Lacking(std::uint64_t more) const {
    const std::uint64_t wanted = all_.held().bytes + more;
    return wanted - std::min(wanted, bytes_max_);
  }

 private:
  class Count {
   public:
    void Add(std::int64_t more) noexcept {
      const std::int64_t now = bytes_.fetch_add(more, std::memory_order_relaxed) + more;
      std::int64_t peak = peak_.load(std::memory_order_relaxed);
      while (now > peak && !peak_.compare_exchange_weak(peak, now, std::memory_order_relaxed)) {
      }
    }
    // What was given back may be seen before what was taken.
    Held held() const {
      const auto bytes = bytes_.load(std::memory_order_relaxed);
      return {static_cast<std::uint64_t>(std::max<std::int64_t>(bytes, 0)),
              static_cast<std::uint64_t>(peak_.load(std::memory_order_relaxed))};
    }

   private:
    std::atomic<std::int64_t> bytes_ = 0;
    std::atomic<std::int64_t> peak_ = 0;
  };

  const std::uint64_t bytes_max_;
  std::array<Count, kMemoryHolders> counts_;
  Count all_;
};

class Booking {
 public:
  Booking() = default;  // books nothing
  // `budget`: null books nothing.
  Booking(std::shared_ptr<MemoryBudget> budget, MemoryHolder holder, std::uint64_t bytes = 0)
      : budget_(std::move(budget)), holder_(holder) {
    Set(bytes);
  }
  Booking(Booking&& other) noexcept
      : budget_(std::move(other.budget_)),
        holder_(other.holder_),
        bytes_(std::exchange(other.bytes_, 0)) {}
  Booking& operator=(Booking&& other) noexcept {
    Set(0);
    budget_ = std::move(other.budget_);
    holder_ = other.holder_;
    bytes_ = std::exchange(other.bytes_, 0);
    return *this;
  }
  ~Booking() { Set(0); }

  void Set(std::uint64_t bytes) noexcept {
    if (budget_ == nullptr) return;
    budget_->Book(holder_, static_cast<std::int64_t>(bytes) - static_cast<std::int64_t>(bytes_));
    bytes_ = bytes;
  }
  // From now on another holder has it.
  void MoveTo(MemoryHolder holder) noexcept {
    if (budget_ != nullptr) {
      budget_->Book(holder, static_cast<std::int64_t>(bytes_));
      budget_->Book(holder_, -static_cast<std::int64_t>(bytes_));
    }
    holder_ = holder;
  }
  std::uint64_t bytes() const { return bytes_; }

 private:
  std::shared_ptr<MemoryBudget> budget_;
  MemoryHolder holder_ = MemoryHolder::kMemtables;
  std::uint64_t bytes_ = 0;
};

}  // namespace varve
