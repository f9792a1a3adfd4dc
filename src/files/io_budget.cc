// SPDX-License-Identifier: Apache-2.0
#include "files/io_budget.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/futex.h"
#include "base/result.h"

namespace varve {

IoBudget::IoBudget(Clock* clock, std::uint64_t bytes_per_second, std::function<bool()> is_lifted)
    : clock_(clock),
      micros_per_byte_(1e6 / static_cast<double>(bytes_per_second)),
      is_lifted_(std::move(is_lifted)) {
  VARVE_CHECK(bytes_per_second > 0);
}

std::int64_t IoBudget::DueAt(Work work, std::int64_t now) const {
  if (work == Work::kFlush) return flushes_paid_at_;
  return flushes_waiting_ > 0 ? std::max(all_paid_at_, now + kLookMicros) : all_paid_at_;
}

void IoBudget::Owe(Work work, std::uint64_t bytes, std::int64_t now) {
  const auto time = static_cast<std::int64_t>(static_cast<double>(bytes) * micros_per_byte_);
  all_paid_at_ = std::max(all_paid_at_, now - kKeptMicros) + time;
  if (work == Work::kFlush) flushes_paid_at_ = std::max(flushes_paid_at_, now - kKeptMicros) + time;
}

void IoBudget::Take(Work work, std::uint64_t bytes, const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  UsedBy(work).bytes += bytes;
  const std::int64_t now = clock_->SteadyMicros();
  if (DueAt(work, now) <= now) return Owe(work, bytes, now);
  if (work == Work::kFlush) ++flushes_waiting_;
  if (AwaitTurn(work, stop, &lock)) Owe(work, bytes, clock_->SteadyMicros());
  UsedBy(work).waited_micros += static_cast<std::uint64_t>(clock_->SteadyMicros() - now);
  if (work == Work::kFlush && --flushes_waiting_ == 0) WakeAll();
}

// False: it may go on though it is not its turn.
bool IoBudget::AwaitTurn(Work work, const std::stop_token& stop,
                         std::unique_lock<std::mutex>* lock) {
  while (!ended_ && !stop.stop_requested()) {
    const std::int64_t now = clock_->SteadyMicros();
    const std::int64_t left = DueAt(work, now) - now;
    if (left <= 0) return true;
    const std::uint32_t seen = changed_.load(std::memory_order_acquire);
    lock->unlock();
    const bool lifted = is_lifted_();
    if (!lifted) clock_->WaitWord(changed_, seen, std::min(left, kLookMicros));
    lock->lock();
    if (lifted) return false;
  }
  return false;
}

void IoBudget::End() {
  const std::lock_guard lock(mutex_);
  ended_ = true;
  WakeAll();
}

void IoBudget::WakeAll() {
  changed_.fetch_add(1, std::memory_order_release);
  FutexWakeAll(changed_);
}

IoBudget::Used IoBudget::used(Work work) const {
  const std::lock_guard lock(mutex_);
  return work == Work::kFlush ? flushes_ : compactions_;
}

namespace {

// What Take needs to know, beside the bytes.
struct Taker {
  void operator()(std::uint64_t bytes) const { budget->Take(work, bytes, stop); }
  IoBudget* budget;
  IoBudget::Work work;
  std::stop_token stop;
};

class BudgetedReader final : public ObjectReader {
 public:
  BudgetedReader(std::unique_ptr<ObjectReader> reader, Taker take)
      : reader_(std::move(reader)), take_(std::move(take)) {}
  std::uint64_t size() const override { return reader_->size(); }
  Status ReadAt(std::uint64_t offset, std::uint64_t size, char* into) override {
    take_(size);
    return reader_->ReadAt(offset, size, into);
  }

 private:
  const std::unique_ptr<ObjectReader> reader_;
  const Taker take_;
};

class BudgetedWriter final : public ObjectWriter {
 public:
  BudgetedWriter(std::unique_ptr<ObjectWriter> writer, Taker take)
      : writer_(std::move(writer)), take_(std::move(take)) {}
  Status Append(std::string_view bytes) override {
    take_(bytes.size());
    return writer_->Append(bytes);
  }
  Status Finish() override { return writer_->Finish(); }

 private:
  const std::unique_ptr<ObjectWriter> writer_;
  const Taker take_;
};

class BudgetedStore final : public ObjectStore {
 public:
  BudgetedStore(ObjectStore* store, Taker take) : store_(store), take_(std::move(take)) {}

  Status Put(const std::string& name, std::string_view bytes) override {
    take_(bytes.size());
    return store_->Put(name, bytes);
  }
  Status PutIfAbsent(const std::string& name, std::string_view bytes) override {
    take_(bytes.size());
    return store_->PutIfAbsent(name, bytes);
  }
  Result<std::unique_ptr<ObjectWriter>> NewWriter(const std::string& name) override {
    VARVE_ASSIGN(auto writer, store_->NewWriter(name));
    return std::unique_ptr<ObjectWriter>(
        std::make_unique<BudgetedWriter>(std::move(writer), take_));
  }
  Result<std::string> Get(const std::string& name) override {
    VARVE_ASSIGN(const ObjectInfo info, store_->Head(name));
    take_(info.size);
    return store_->Get(name);
  }
  Result<std::string> GetRange(const std::string& name, std::uint64_t offset,
                               std::uint64_t size) override {
    take_(size);
    return store_->GetRange(name, offset, size);
  }
  Result<std::unique_ptr<ObjectReader>> OpenReader(const std::string& name) override {
    VARVE_ASSIGN(auto reader, store_->OpenReader(name));
    return std::unique_ptr<ObjectReader>(
        std::make_unique<BudgetedReader>(std::move(reader), take_));
  }
  Result<ObjectInfo> Head(const std::string& name) override { return store_->Head(name); }
  Result<std::vector<ObjectInfo>> List(const std::string& prefix,
                                       const std::string& start_after) override {
    return store_->List(prefix, start_after);
  }
  Status Delete(const std::string& name) override { return store_->Delete(name); }
  std::string Describe(const std::string& name) const override { return store_->Describe(name); }

 private:
  ObjectStore* const store_;
  const Taker take_;
};

}  // namespace

std::unique_ptr<ObjectStore> NewBudgetedStore(ObjectStore* store, IoBudget* budget,
                                              IoBudget::Work work, std::stop_token stop) {
  return std::make_unique<BudgetedStore>(store, Taker{budget, work, std::move(stop)});
}

}  // namespace varve
