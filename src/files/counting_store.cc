// SPDX-License-Identifier: Apache-2.0
#include "files/counting_store.h"

#include <utility>

#include "base/result.h"

namespace varve {
namespace {

// The counters of one kind of object.
struct Counters {
  CounterId reads;
  CounterId read_bytes;
  CounterId puts;
  CounterId put_bytes;
};

const Counters& CountersOf(std::string_view name) {
  static constexpr Counters kRuns = {"store_reads_total/run", "store_read_bytes_total/run",
                                     "store_puts_total/run", "store_put_bytes_total/run"};
  static constexpr Counters kManifests = {
      "store_reads_total/manifest", "store_read_bytes_total/manifest", "store_puts_total/manifest",
      "store_put_bytes_total/manifest"};
  static constexpr Counters kTimes = {"store_reads_total/times", "store_read_bytes_total/times",
                                      "store_puts_total/times", "store_put_bytes_total/times"};
  if (name.starts_with("manifest/")) return kManifests;
  return name.starts_with("times/") ? kTimes : kRuns;
}

class Counts {
 public:
  explicit Counts(Metrics* metrics) : metrics_(metrics) {}

  // Gives `result` back.
  template <typename T>
  T Watched(T result) const {
    if (!result && result.error().kind() == ErrorKind::kUnavailable) {
      metrics_->Add("store_failures_total");
    }
    return result;
  }
  template <typename T>
  T Read(const Counters& of, std::uint64_t bytes, T result) const {
    if (result) {
      metrics_->Add(of.reads);
      metrics_->Add(of.read_bytes, bytes);
    }
    return Watched(std::move(result));
  }
  Status Put(const Counters& of, std::uint64_t bytes, Status result) const {
    if (result) {
      metrics_->Add(of.puts);
      metrics_->Add(of.put_bytes, bytes);
    }
    return Watched(std::move(result));
  }
  Status Deleted(Status result) const {
    if (result) metrics_->Add("store_deletes_total");
    return Watched(std::move(result));
  }

 private:
  Metrics* const metrics_;
};

class CountingReader final : public ObjectReader {
 public:
  CountingReader(std::unique_ptr<ObjectReader> reader, const Counters& counters, Counts counts)
      : reader_(std::move(reader)), counters_(counters), counts_(counts) {}
  std::uint64_t size() const override { return reader_->size(); }
  Status ReadAt(std::uint64_t offset, std::uint64_t size, char* into) override {
    return counts_.Read(counters_, size, reader_->ReadAt(offset, size, into));
  }

 private:
  const std::unique_ptr<ObjectReader> reader_;
  const Counters& counters_;
  const Counts counts_;
};

class CountingWriter final : public ObjectWriter {
 public:
  CountingWriter(std::unique_ptr<ObjectWriter> writer, const Counters& counters, Counts counts)
      : writer_(std::move(writer)), counters_(counters), counts_(counts) {}
  Status Append(std::string_view bytes) override {
    bytes_ += bytes.size();
    return counts_.Watched(writer_->Append(bytes));
  }
  Status Finish() override { return counts_.Put(counters_, bytes_, writer_->Finish()); }

 private:
  const std::unique_ptr<ObjectWriter> writer_;
  const Counters& counters_;
  const Counts counts_;
  std::uint64_t bytes_ = 0;
};

class CountingStore final : public ObjectStore {
 public:
  CountingStore(ObjectStore* store, Metrics* metrics) : store_(store), counts_(metrics) {}

  Status Put(const std::string& name, std::string_view bytes) override {
    return counts_.Put(CountersOf(name), bytes.size(), store_->Put(name, bytes));
  }
  Status PutIfAbsent(const std::string& name, std::string_view bytes) override {
    return counts_.Put(CountersOf(name), bytes.size(), store_->PutIfAbsent(name, bytes));
  }
  Result<std::unique_ptr<ObjectWriter>> NewWriter(const std::string& name) override {
    VARVE_ASSIGN(auto writer, counts_.Watched(store_->NewWriter(name)));
    return std::unique_ptr<ObjectWriter>(
        std::make_unique<CountingWriter>(std::move(writer), CountersOf(name), counts_));
  }
  Result<std::string> Get(const std::string& name) override {
    auto bytes = store_->Get(name);
    const std::uint64_t size = bytes ? bytes->size() : 0;
    return counts_.Read(CountersOf(name), size, std::move(bytes));
  }
  Result<std::string> GetRange(const std::string& name, std::uint64_t offset,
                               std::uint64_t size) override {
    auto bytes = store_->GetRange(name, offset, size);
    const std::uint64_t read = bytes ? bytes->size() : 0;
    return counts_.Read(CountersOf(name), read, std::move(bytes));
  }
  Result<std::unique_ptr<ObjectReader>> OpenReader(const std::string& name) override {
    VARVE_ASSIGN(auto reader, counts_.Watched(store_->OpenReader(name)));
    return std::unique_ptr<ObjectReader>(
        std::make_unique<CountingReader>(std::move(reader), CountersOf(name), counts_));
  }
  Result<ObjectInfo> Head(const std::string& name) override {
    return counts_.Watched(store_->Head(name));
  }
  Result<std::vector<ObjectInfo>> List(const std::string& prefix,
                                       const std::string& start_after) override {
    return counts_.Watched(store_->List(prefix, start_after));
  }
  Status Delete(const std::string& name) override {
    return counts_.Deleted(store_->Delete(name));
  }
  std::string Describe(const std::string& name) const override { return store_->Describe(name); }

 private:
  ObjectStore* const store_;
  const Counts counts_;
};

}  // namespace

std::unique_ptr<ObjectStore> NewCountingStore(ObjectStore* store, Metrics* metrics) {
  return std::make_unique<CountingStore>(store, metrics);
}

}  // namespace varve
