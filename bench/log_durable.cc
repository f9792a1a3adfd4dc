// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "bench/bare_commits.h"
#include "bench/log_committer.h"
#include "bench/log_groups.h"
#include "bench/peer.h"
#include "bench/raw_file.h"
#include "varve/log.h"

namespace varve::bench {
namespace {

constexpr std::size_t kTickets = 64;

// One thread that always has kTickets commits on their way: an operation sends one off and waits
// for the oldest.
class PipelinedCommitter final : public LogCommitter {
 public:
  using LogCommitter::LogCommitter;

  void Before() override {
    LogCommitter::Before();
    for (next_ = 0; next_ + 1 < kTickets; ++next_) tickets_[next_] = Send();
  }

  void Commit(int) override {
    tickets_[next_++ % kTickets] = Send();
    Must(log_->Wait(tickets_[next_ % kTickets]));
  }

  void After(Slice* slice) override {
    for (const auto& ticket : tickets_) Must(log_->Wait(ticket));
    LogCommitter::After(slice);
  }

 private:
  LogTicket Send() {
    const LogRecord records[] = {record_};
    return Must(log_->Enqueue(records, AckLevel::kDurable));
  }

  std::array<LogTicket, kTickets> tickets_;
  std::size_t next_ = 0;
};

struct DurableCase {
  std::string name;
  int writers;
  Committer* committer;
};

class DurableGroup {
 public:
  explicit DurableGroup(const Settings& settings)
      : settings_(settings), raw_(settings.dir + "/raw", settings.prepared_bytes) {
    AddLog();
    AddBare();
    AddPeers();
  }

  void Run() {
    for (int round = 0; round <= settings_.rounds; ++round) {
      for (const auto& durable : cases_) RunCase(round, durable);
      PrintFlushes(round);
      PrintOtherMethods(round);
    }
  }

 private:
  void AddLog() {
    const LogOptions options{.segment_bytes_max = settings_.prepared_bytes};
    auto own = std::make_unique<LogCommitter>(settings_.dir + "/log", options);
    method_ = own->sync_method();
    auto* log = Own(std::move(own));
    for (const int writers : {1, 8, 16, 64}) {
      cases_.push_back({fmt::format("varve N={}", writers), writers, log});
    }
    auto* pipelined =
        Own(std::make_unique<PipelinedCommitter>(settings_.dir + "/pipelined", options));
    cases_.push_back({"varve one thread, 64 tickets", 1, pipelined});
  }

  void AddBare() {
    for (const auto& [name, waking] : {std::pair("bare", Waking::kAll),
                                       std::pair("bare chain", Waking::kChain)}) {
      auto* bare = Own(std::make_unique<BareCommitter>(&raw_, method_, waking));
      for (const int writers : {8, 16, 64}) {
        cases_.push_back({fmt::format("{} N={}", name, writers), writers, bare});
      }
    }
  }

  void AddPeers() {
    const auto ahead = settings_.prepared_bytes;
    for (const bool pipelined : {false, true}) {
      const std::string name = pipelined ? "RocksDB pipelined" : "RocksDB";
      AddPeer(name, {1, 8, 16, 64},
              [=, this] { return OpenRocksDb(settings_.dir + "/" + name, pipelined, ahead); });
    }
    AddPeer("SQLite", {1}, [=, this] { return OpenSqlite(settings_.dir + "/sqlite", ahead); });
    AddPeer("LMDB", {1}, [this] { return OpenLmdb(settings_.dir + "/lmdb"); });
  }

  void AddPeer(const std::string& name, std::initializer_list<int> writers,
               const std::function<CommitterPtr()>& open) {
    if (!settings_.peers) return PrintMissing(name, "left out with --no-peers");
    auto peer = open();
    if (!peer) return PrintMissing(name, "its library was not there when bench_log was built");
    auto* committer = Own(std::move(peer));
    for (const int n : writers) {
      cases_.push_back({fmt::format("{} N={}", name, n), n, committer});
    }
  }

  Committer* Own(CommitterPtr committer) {
    committers_.push_back(std::move(committer));
    return committers_.back().get();
  }

  void RunCase(int round, const DurableCase& durable) {
    if (!settings_.only.empty() && durable.name != settings_.only) return;
    WaitForCalm(settings_.patience_seconds);
    PrintFlushes(round);
    durable.committer->Before();
    auto slice = ClosedLoop(durable.writers, settings_.slice_seconds,
                            [&](int thread) { durable.committer->Commit(thread); });
    durable.committer->After(&slice);
    Print(round, durable.name, std::move(slice));
  }

  void PrintFlushes(int round) {
    Print(round, "F", raw_.Flushes(settings_.flush_seconds, method_));
  }

  // For information: what another sync method would cost on this device.
  void PrintOtherMethods(int round) {
    for (const auto method : {LogSyncMethod::kFdatasync, LogSyncMethod::kFsync,
                              LogSyncMethod::kDsync, LogSyncMethod::kDirectDsync}) {
      Print(round, "F by " + NameOf(method), raw_.Flushes(settings_.flush_seconds, method));
    }
  }

  const Settings settings_;
  PreparedFile raw_;
  LogSyncMethod method_ = LogSyncMethod::kFdatasync;
  std::vector<CommitterPtr> committers_;
  std::vector<DurableCase> cases_;
};

Slice CountedCommits(Committer* committer, std::int64_t commits) {
  Slice slice;
  const Bystanders watch;
  const auto start = Nanos();
  for (auto now = start; slice.operations < commits; ++slice.operations) {
    committer->Commit(0);
    const auto end = Nanos();
    slice.nanos.push_back(static_cast<std::uint32_t>(end - now));
    now = end;
  }
  slice.seconds = static_cast<double>(Nanos() - start) / 1e9;
  slice.counts["others"] = watch.Share();
  return slice;
}

}  // namespace

void MeasureDurable(const Settings& settings) { DurableGroup(settings).Run(); }

void MeasureSegmentChanges(const Settings& settings) {
  constexpr std::int64_t kChanges = 10;
  const auto commits = static_cast<std::int64_t>(settings.change_bytes >> 12) * kChanges;
  PreparedFile raw(settings.dir + "/raw", settings.prepared_bytes);
  LogCommitter log(settings.dir + "/changes", {.segment_bytes_max = settings.change_bytes});
  for (int round = 0; round <= std::min(settings.rounds, 4); ++round) {
    WaitForCalm(settings.patience_seconds);
    Print(round, "F, as many as commits", raw.FlushesCounted(commits, log.sync_method()));
    log.Before();
    auto slice = CountedCommits(&log, commits);
    log.After(&slice);
    Print(round, "commits across segment changes", std::move(slice));
  }
}

}  // namespace varve::bench
