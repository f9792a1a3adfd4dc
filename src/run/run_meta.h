// SPDX-License-Identifier: Apache-2.0
// RunMeta: what the manifest says of a run; enough to plan with and to check the file against.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/shared_list.h"

namespace varve {

// One Parquet object of a run. `data_bytes` is where the row groups end; the rest (page index,
// bloom filters, footer) has the checksum `tail_crc32c`. The footer carries the checksums of the
// row groups in blocks of 64 KiB (key "varve.block_crc32c"), so every byte is covered.
struct RunObject {
  std::string name;  // empty: no such object
  std::uint64_t bytes = 0;
  std::uint64_t rows = 0;
  std::uint64_t data_bytes = 0;
  std::uint32_t tail_crc32c = 0;
  std::string file_key;  // secret: the data key that the file is encrypted with; empty: it is not
};

inline constexpr std::uint32_t kLevelMax = 63;

struct RunMeta {
  std::uint64_t id = 0;
  std::uint32_t table_id = 0;
  std::uint32_t schema_id = 0;
  std::uint32_t level = 0;
  RunObject data;     // upserts: the table's columns and kCommitColumn
  RunObject deletes;  // deletes: the key columns and kCommitColumn; may be absent, as may data
  std::string min_key;  // encoded keys of the first and last version, deletes included
  std::string max_key;
  std::uint64_t min_commit = 0;
  std::uint64_t max_commit = 0;
  // Every key occurs in one version only, deletes included.
  bool distinct_keys = false;
  // Which readers take it: those as of commits from `shown_from` on, up to the one before
  // `hidden_from` (0: all after). What a flush wrote is shown from 0 on, and hidden once others
  // show all of it that is visible; a compaction's is shown from where its inputs are hidden. So
  // for each reader each version that it sees is in exactly one run (docs/design/0017).
  std::uint64_t shown_from = 0;
  std::uint64_t hidden_from = 0;

  bool IsShownAt(std::uint64_t as_of) const {
    return as_of >= shown_from && (hidden_from == 0 || as_of < hidden_from);
  }
  // It has every version that its commits wrote: changes, and what a transaction may conflict with,
  // are looked for in such runs alone, hidden or not.
  bool HoldsAllVersions() const { return shown_from == 0; }
  bool IsEncrypted() const { return !data.file_key.empty() || !deletes.file_key.empty(); }
};

using RunMetaList = SharedList<std::shared_ptr<const RunMeta>>;

}  // namespace varve
