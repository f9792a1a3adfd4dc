// SPDX-License-Identifier: Apache-2.0
// varve log append: each line of stdin becomes a record. Lines are read while earlier ones are on
// their way to the device.
#include <fmt/format.h>

#include <algorithm>

#include "commands.h"
#include "format_cell.h"
#include "line_batches.h"
#include "log_appender.h"
#include "log_folder.h"
#include "process.h"
#include "progress.h"

namespace varve::cli {
namespace {

constexpr std::uint64_t kAppendThreadsMax = 256;
constexpr std::uint64_t kLineBytesMax = 1 << 30;
constexpr std::uint64_t kCapWaitMillis = 5000;

struct LogAppendArguments {
  LogFolder folder;
  std::string sync;
  std::string sync_method;
  std::string ack;
  std::string records_per_unit = "1";
  std::string threads = "1";
  std::string compress;
  bool acks = false;
  bool metrics = false;
};

// The options, checked before anything is touched.
struct AppendPlan {
  LogOptions log;
  LogAppender::Options appender;
};

Outcome<AppendPlan> MakePlan(const Session& session, const LogAppendArguments& options) {
  AppendPlan plan{session.environment.log, {}};
  if (!options.sync.empty()) CLI_TRY(ParseSyncPolicy("--sync", options.sync, &plan.log));
  if (!options.sync_method.empty()) {
    CLI_ASSIGN(plan.log.sync_method, ParseSyncMethod("--sync-method", options.sync_method));
  }
  if (!options.compress.empty()) {
    CLI_ASSIGN(plan.log.compression, ParseCompression("--compress", options.compress));
  }
  plan.appender.ack = session.environment.ack;
  if (!options.ack.empty()) {
    CLI_ASSIGN(plan.appender.ack, ParseAckLevel("--ack", options.ack));
  }
  CLI_ASSIGN(plan.appender.records_per_unit,
             ParseCount("--records-per-unit", options.records_per_unit, 1));
  CLI_ASSIGN(const auto threads, ParseCount("--threads", options.threads, 1));
  if (threads > kAppendThreadsMax) {
    return WrongUsage(
        fmt::format("--threads: expected at most {}, found {}", kAppendThreadsMax, threads));
  }
  plan.appender.threads = static_cast<int>(threads);
  plan.appender.print_acks = options.acks;
  // This process holds the log, so nobody can truncate it while it waits at the cap.
  auto& wait_ms = plan.log.queue_wait_ms_max;
  if (plan.log.log_bytes_max > 0 && wait_ms == LogOptions().queue_wait_ms_max) {
    wait_ms = kCapWaitMillis;
  }
  return plan;
}

Done AppendAll(const AppendPlan& plan, LogAppender* appender) {
  LineBatches batches(ReadStdin, plan.appender.records_per_unit, kLineBytesMax);
  Progress progress("append");
  Done done;
  while (done) {
    auto batch = batches.Next();
    if (!batch) {
      done = std::unexpected(std::move(batch).error());
    } else if (batch->lines.empty()) {
      break;
    } else {
      const auto bytes = batch->bytes_read;
      done = appender->Add(*std::move(batch));
      progress.Update(bytes, 0, appender->appended().records);
    }
  }
  // What was handed over is waited for, whatever became of what came after it.
  if (Done finished = appender->Finish(); !finished) done = std::move(finished);
  progress.Clear();
  return done;
}

// The failure, and what is kept nevertheless.
Failure WithKept(const Failure& failure, const Appended& appended) {
  const std::string kept =
      appended.units == 0
          ? "no line was acknowledged"
          : fmt::format("{} lines were acknowledged, in {} units; the last is at LSN {}",
                        appended.records, appended.units, appended.last.value);
  const Error& error = failure.error;
  return Failure(Error(error.kind(), error.message() + "\n" + kept, error.reason()), failure.exit);
}

Done Report(const Session& session, const LogAppendArguments& options, const Appended& appended,
            Log* log, double seconds) {
  const Lsn end = log->positions().appended;
  const Json document = {{"log", options.folder.path},
                         {"records", appended.records},
                         {"units", appended.units},
                         {"first_lsn", appended.first.value},
                         {"last_lsn", appended.last.value},
                         {"end", end.value},
                         {"torn_bytes", log->recovery().torn_bytes},
                         {"seconds", seconds}};
  const std::string text = fmt::format(
      "appended {} records in {} units (last LSN {}), {:.2f} s; the log ends at LSN {}\n",
      WithThousands(appended.records), WithThousands(appended.units), appended.last.value, seconds,
      end.value);
  if (!options.acks) return PrintResult(session, document, text);
  // stdout holds the acks and nothing else.
  PrintError(session.json ? document.dump() + "\n" : text);
  return {};
}

Outcome<ExitCode> Run(const Session& session, const LogAppendArguments& options) {
  const double start = SteadySeconds();
  CLI_ASSIGN(const AppendPlan plan, MakePlan(session, options));
  CLI_ASSIGN(const OpenedLog opened, OpenLogToWrite(options.folder, plan.log, /*create=*/true));
  Log& log = *opened.log;
  NoteTornTail(session, log.recovery().torn_bytes);
  CLI_ASSIGN(const auto appender, LogAppender::Make(&log, plan.appender));
  Done done = AppendAll(plan, appender.get());
  const Appended appended = appender->appended();
  if (options.metrics) PrintError(log.PrometheusText());
  // Also when it was interrupted: what came last need not have been acknowledged as durable.
  auto closed = log.Close();
  if (done && !closed) done = std::unexpected(Failure(std::move(closed).error()));
  if (!done) return std::unexpected(WithKept(done.error(), appended));
  CLI_TRY(Report(session, options, appended, &log, SteadySeconds() - start));
  return kExitDone;
}

void AddFlags(VerbLine verb, LogAppendArguments* options) {
  verb.Add("--sync", &options->sync,
           "When what nobody waits for is synced: group, interval=50ms, bytes=1048576 or "
           "never (group)");
  verb.Add("--sync-method", &options->sync_method,
           "How: auto, fdatasync, fsync, dsync or direct_dsync (auto: what is fastest)");
  verb.Add("--ack", &options->ack,
           "Count a unit when it is durable, written or buffered (durable)");
  verb.Add("--records-per-unit", &options->records_per_unit,
           "Lines that are kept or lost together (1)")
      .Type("N");
  verb.Add("--threads", &options->threads,
           "Threads that append (1); with more, the order of lines is open")
      .Type("N");
  verb.Add("--compress", &options->compress, "none, lz4 or zstd (none)");
  verb.AddFlag("--acks", &options->acks, "Print a line of JSON for each unit, after its ack");
  verb.AddFlag("--metrics", &options->metrics,
               "Print counts and times to stderr at the end, in Prometheus' text form");
}

}  // namespace

void AddLogAppend(CLI::App* app, Session* session) {
  auto [verb, options] = AddLogVerb<LogAppendArguments>(
      app, session, /*takes_keys=*/true, "append",
      "Append each line of stdin as a record; makes the log if need be",
      "seq 1 100000 | varve log append my.log --acks | tail -1\n"
      "\n"
      "A record is a line without its newline: any bytes, at most 1 GiB, also none. With\n"
      "--key-file what is appended is encrypted. An ack looks so; lsn is the unit's position,\n"
      "total counts the records acknowledged so far:\n"
      "  {\"lsn\":8256,\"records\":1,\"total\":17}\n"
      "first_lsn and last_lsn of --json are the positions of the first and the last unit; end is\n"
      "where the log ends behind it, which stat, verify and rotate call last_lsn.\n"
      "An interrupt (exit 130) keeps what was acknowledged. When the reader of the acks goes\n"
      "away the lines are appended nevertheless. A log that has reached VARVE_LOG_LOG_BYTES_MAX\n"
      "refuses lines (exit 7) after 5 s, or VARVE_LOG_QUEUE_WAIT_MS_MAX.",
      Run);
  AddFlags(verb, options.get());
}

}  // namespace varve::cli
