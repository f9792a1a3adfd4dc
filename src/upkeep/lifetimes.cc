// SPDX-License-Identifier: Apache-2.0
#include "upkeep/lifetimes.h"

#include <algorithm>
#include <functional>
#include <queue>
#include <set>
#include <utility>

#include "base/result.h"
#include "run/open_run.h"

namespace varve {
namespace {

struct KeySource {
  const RunMeta* run;
  std::unique_ptr<VersionCursor> cursor;
  RunExpiry expiry;  // the columns of its cursor are those that these are of, in order

  bool MayHaveExpired() const {
    if (cursor->kind() == RowKind::kDelete) return false;
    for (std::size_t i = 0; i < expiry.by.size(); ++i) {
      const auto& times = *cursor->batch()->column(static_cast<int>(i));
      if (expiry.by[i].Has(times, cursor->row())) return true;
    }
    return expiry.any;
  }
};

struct OneVersion {
  const RunMeta* run;
  std::uint64_t commit;
  RowKind kind;
  bool expired;  // perhaps
};

// The runs' cursors, smallest key first.
class KeySources {
 public:
  Status Start(const std::vector<std::shared_ptr<const Run>>& runs, const ExpiryOf& expiry_of) {
    for (const auto& run : runs) {
      VARVE_ASSIGN(const OpenRun open, run->Open());
      RunExpiry expiry = expiry_of ? expiry_of(run->meta()) : RunExpiry{};
      std::vector<int> columns;
      for (const Expiry& one : expiry.by) columns.push_back(one.column());
      sources_.push_back({&run->meta(), open.NewCursor(columns, KeyBounds{}), std::move(expiry)});
    }
    for (KeySource& source : sources_) VARVE_TRY(Advance(&source));
    return {};
  }

  // All entries of the next key, which are none at the end.
  Status Next(std::string* key, std::vector<OneVersion>* entries) {
    entries->clear();
    if (heap_.empty()) return {};
    key->assign(heap_.top()->cursor->key());
    while (!heap_.empty() && heap_.top()->cursor->key() == *key) {
      KeySource* const source = heap_.top();
      heap_.pop();
      do {
        entries->push_back({source->run, source->cursor->commit(), source->cursor->kind(),
                            source->MayHaveExpired()});
        VARVE_TRY(source->cursor->Next());
      } while (source->cursor->valid() && source->cursor->key() == *key);
      if (source->cursor->valid()) heap_.push(source);
    }
    return {};
  }

 private:
  struct Later {
    bool operator()(const KeySource* a, const KeySource* b) const {
      return a->cursor->key() > b->cursor->key();
    }
  };

  Status Advance(KeySource* source) {
    VARVE_TRY(source->cursor->Next());
    if (source->cursor->valid()) heap_.push(source);
    return {};
  }

  std::vector<KeySource> sources_;
  std::priority_queue<KeySource*, std::vector<KeySource*>, Later> heap_;
};

// The newest of those that a reader as of `as_of` may see, of those runs that it takes or of all.
const OneVersion* NewestOf(const std::vector<OneVersion>& entries, std::uint64_t as_of,
                           bool shown_only) {
  const OneVersion* newest = nullptr;
  for (const OneVersion& entry : entries) {
    if (entry.commit > as_of || (shown_only && !entry.run->IsShownAt(as_of))) continue;
    if (newest == nullptr || entry.commit > newest->commit) newest = &entry;
  }
  return newest;
}

}  // namespace

Status FindLostVersions(const std::vector<std::shared_ptr<const Run>>& runs, CommitNumber oldest,
                        const std::function<void(const LostVersion&)>& found,
                        const ExpiryOf& expiry_of) {
  if (std::ranges::none_of(runs, [](const auto& run) { return run->meta().hidden_from != 0; })) {
    return {};
  }
  KeySources sources;
  VARVE_TRY(sources.Start(runs, expiry_of));
  std::set<std::uint64_t> reported;
  std::string key;
  for (std::vector<OneVersion> entries;;) {
    VARVE_TRY(sources.Next(&key, &entries));
    if (entries.empty()) return {};
    for (const OneVersion& hidden : entries) {
      const std::uint64_t as_of = hidden.run->hidden_from;
      if (as_of == 0 || as_of <= oldest.value) continue;
      const OneVersion* const written = NewestOf(entries, as_of, false);
      const OneVersion* const seen = NewestOf(entries, as_of, true);
      if (written == nullptr) continue;
      const std::uint64_t seen_commit = seen == nullptr ? 0 : seen->commit;
      if (seen_commit == written->commit) continue;
      const bool gone = written->kind == RowKind::kDelete || written->expired;
      if (seen == nullptr && gone) continue;
      if (!reported.insert(written->run->id).second) continue;
      found({written->run->id, key, written->commit, as_of, seen_commit});
    }
  }
}

}  // namespace varve
