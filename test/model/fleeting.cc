// SPDX-License-Identifier: Apache-2.0
#include "test/model/fleeting.h"

#include <arrow/api.h>
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "base/out_of_memory.h"
#include "test/model/batches.h"

namespace varve::testing {
namespace {

constexpr std::int64_t kLifeMicros = 700'000;
constexpr std::uint64_t kKeys = 12;

std::shared_ptr<arrow::Schema> FleetingSchema() {
  return arrow::schema({arrow::field("id", arrow::int64(), false),
                        arrow::field("at", arrow::timestamp(arrow::TimeUnit::MICRO)),
                        arrow::field("value", arrow::int64())});
}

}  // namespace

void Fleeting::Create(Database* db) {
  const TimeToLive live{.column = "at", .micros = kLifeMicros};
  Must(db->CreateTable(kFleetingName, FleetingSchema(), {"id"}, {.time_to_live = live}),
       "create fleeting");
}

std::int64_t Fleeting::Now() {
  const std::int64_t now = clock_->Now().micros;
  latest_ = std::max(latest_, now);
  return now;
}

Result<CommitNumber> Fleeting::Write(Database* db, Random* chance, AckLevel ack,
                                     std::string* what) {
  std::map<std::int64_t, std::optional<Row>> rows;
  const bool deletes = chance->Below(5) == 0;
  const std::int64_t now = Now();
  for (std::uint64_t i = 1 + chance->Below(6); i > 0; --i) {
    Row row{.at = now - kLifeMicros / 2 + static_cast<std::int64_t>(chance->Below(1'000'000)),
            .value = static_cast<std::int64_t>(chance->Below(1000))};
    if (chance->Below(8) == 0) row.at.reset();
    rows[static_cast<std::int64_t>(chance->Below(kKeys))] = deletes ? std::nullopt
                                                                   : std::optional(row);
  }
  arrow::Int64Builder ids, values;
  arrow::TimestampBuilder times(FleetingSchema()->field(1)->type(), arrow::default_memory_pool());
  for (const auto& [id, row] : rows) {
    const bool timed = row && row->at;
    Require(ids.Append(id).ok() && values.Append(row ? row->value : 0).ok() &&
                (timed ? times.Append(*row->at) : times.AppendNull()).ok(),
            "no memory for a batch");
  }
  const auto batch = arrow::RecordBatch::Make(
      FleetingSchema(), std::ssize(rows), {*ids.Finish(), *times.Finish(), *values.Finish()});
  *what = fmt::format("{} {} rows {} fleeting", deletes ? "delete" : "write", rows.size(),
                      deletes ? "of" : "into");
  const CommitOptions options{.ack = ack};
  const auto info = deletes ? db->Delete(kFleetingName, batch, options)
                            : db->Upsert(kFleetingName, batch, options);
  if (!info) return std::unexpected(CopyOf(info.error()));
  for (const auto& [id, row] : rows) versions_[id][info->commit.value] = row;
  return info->commit;
}

Fleeting::Taken Fleeting::Take(const Database& db, const AsOf& as_of) {
  const std::int64_t from = Now();
  auto snapshot = Must(db.GetSnapshot(as_of), "a snapshot for fleeting");
  const std::int64_t to = Now();
  return {std::move(snapshot), from, to, latest_};
}

void Fleeting::Check(const Database& db, const AsOf& as_of) { CheckTaken(Take(db, as_of)); }
void Fleeting::Hold(const Database& db) { held_.push_back(Take(db, AsOf())); }
void Fleeting::CheckHeld() const {
  for (const Taken& taken : held_) CheckTaken(taken);
}

// Of a row whose time came between two looks at the clock, or came once and is not there again
// since the clock went back, either will do: but it is its newest version, or none.
void Fleeting::CheckTaken(const Taken& taken) const {
  const std::uint64_t commit = taken.snapshot->commit().value;
  auto reader = Must(taken.snapshot->Scan(kFleetingName), "scan of fleeting");
  std::map<std::int64_t, Row> found;
  for (std::shared_ptr<arrow::RecordBatch> batch;;) {
    const auto read = reader->ReadNext(&batch);
    Require(read.ok(), "fleeting: " + read.ToString());
    if (batch == nullptr) break;
    for (std::int64_t i = 0; i < batch->num_rows(); ++i) {
      Row row{.at = {},
              .value = static_cast<const arrow::Int64Array&>(*batch->column(2)).Value(i)};
      const auto& times = static_cast<const arrow::TimestampArray&>(*batch->column(1));
      if (!times.IsNull(i)) row.at = times.Value(i);
      const auto id = static_cast<const arrow::Int64Array&>(*batch->column(0)).Value(i);
      Require(found.emplace(id, row).second, fmt::format("fleeting: key {} twice", id));
    }
  }
  const auto count = Must(taken.snapshot->Count(kFleetingName), "count of fleeting").rows;
  Require(count == found.size(),
          fmt::format("fleeting as of {}: counted {}, scanned {}", commit, count, found.size()));
  for (const auto& [id, of] : versions_) {
    const auto newer = of.upper_bound(commit);
    const auto row = newer == of.begin() ? std::nullopt : std::prev(newer)->second;
    const auto at = found.find(id);
    const auto what = fmt::format("fleeting as of {} at {}, key {}", commit, taken.from, id);
    if (!row || (row->at && *row->at + kLifeMicros < taken.from)) {
      Require(at == found.end(), what + " is there");
      continue;
    }
    const bool surely = !row->at || *row->at + kLifeMicros >= taken.latest;
    Require(at != found.end() || !surely, what + " is not there");
    if (at == found.end()) continue;
    Require(at->second.at == row->at && at->second.value == row->value, what + " is another row");
    found.erase(at);
  }
  Require(found.empty(), "fleeting has rows that nobody wrote");
}

void Fleeting::CutBack(std::uint64_t commit) {
  for (auto& [id, of] : versions_) of.erase(of.upper_bound(commit), of.end());
}

}  // namespace varve::testing
