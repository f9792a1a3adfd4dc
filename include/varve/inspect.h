// SPDX-License-Identifier: Apache-2.0
// Looking inside a database and its files, sound or damaged. Nothing here changes a byte.
//
// Thread safety: any function from any thread, also at once; callbacks come from the caller's.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "varve/error.h"
#include "varve/options.h"
#include "varve/types.h"

namespace varve {

// One finding: where, and what was expected and found there.
struct Damage {
  std::string file;
  std::uint64_t offset = 0;
  std::string message;
};

struct Verification {
  std::vector<Damage> damages;  // empty: sound
  CommitNumber commit;          // newest commit that is readable
  std::uint64_t manifests = 0;
  std::uint64_t runs = 0;
  std::uint64_t log_segments = 0;
  std::uint64_t log_units = 0;
  std::uint64_t rows = 0;        // read with deep
  std::uint64_t bytes = 0;       // read
  std::uint64_t torn_bytes = 0;  // unacknowledged tail of the log; no damage
  // Of those manifests, older than what is needed, under keys that were let go of: of them only the
  // checksums were looked at.
  std::uint64_t manifests_without_key = 0;
};

struct VerifyOptions {
  // Also decode every row of every run and check order, bounds, counts, null keys and checksums.
  bool deep = false;
  KeyProvider* keys = nullptr;  // as OpenOptions
  // Called now and then with the bytes read so far and the bytes to read.
  std::function<void(std::uint64_t, std::uint64_t)> progress;
};

// Reads everything the database must trust: manifests, runs (size, footer, statistics), commit
// times, log.
// Damage is a result, not an error. Errors: NotFound, Unavailable; of keys, as Database::Open.
Result<Verification> VerifyDatabase(const std::string& path, const VerifyOptions& options = {},
                                    const Components& components = {});

enum class FileKind : std::uint8_t { kUnknown, kLogSegment, kManifest, kRun, kTimes };
std::string_view ToString(FileKind kind);

// Says what a file is and calls `line` for each line of a description of its content, up to the
// first damage. Damage to a manifest, run or commit times is Corruption; where a log segment stops
// making sense may be a torn tail, and is its last line. An encrypted file is described as far as
// that goes with these keys, or without; a run and commit times, whose keys the manifest has, must
// lie in their database. Errors: also of keys, as Database::Open.
Result<FileKind> InspectFile(const std::string& path,
                             const std::function<void(std::string_view)>& line,
                             const Components& components = {}, KeyProvider* keys = nullptr);

// The key of 32 bytes that a run's file is encrypted with, for other readers of Parquet: a footer
// key, which is that of all columns. Whoever has it can read this file, for ever. Errors: NotFound
// (no such file in the newest manifest of its database; it is not encrypted); as Database::Open.
Result<std::string> DataKeyOf(const std::string& path, KeyProvider* keys,
                              const Components& components = {});

}  // namespace varve
