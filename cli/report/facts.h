// SPDX-License-Identifier: Apache-2.0
// What a report tells of a database, gathered before a line of it is written.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "observation.h"
#include "session.h"

namespace varve::cli {

struct RunFacts {
  RunInfo info;
  std::string first_key;  // for people
  std::string last_key;
  // Where it lies in its table: the places of its first and last key among all first and last keys
  // of the table's runs.
  std::size_t first_place = 0;
  std::size_t last_place = 0;
  std::size_t lane = 0;  // runs of one level whose keys overlap lie in different ones
};

struct TableFacts {
  std::string name;
  std::vector<std::string> key;
  std::shared_ptr<arrow::Schema> schema;
  std::optional<TableStats> stats;  // of the table as it is now; none of an earlier version
  std::vector<RunFacts> runs;       // by level, then by first key
  std::size_t places = 0;

  std::uint64_t bytes() const;
  std::uint64_t rows() const;  // versions, in files
};

struct ReportFacts {
  std::string path;
  WallTime made;
  CommitNumber as_of;
  std::string asked_as_of;  // the V of --at; empty: as it is now
  DatabaseStats stats;
  std::vector<TableFacts> tables;
  std::vector<Version> versions;  // oldest first; the newest kVersionsMax
  bool versions_left_out = false;
  MetricSamples published;        // by the last process that did; may be empty
};

inline constexpr std::size_t kVersionsMax = 5000;

// `at`: the V of --at; empty: now. Errors: as GetSnapshot.
Outcome<ReportFacts> GatherFacts(const std::string& path, const std::string& at,
                                 const Database& database);

// The same as a document, for programs.
Json Document(const ReportFacts& facts);

}  // namespace varve::cli
