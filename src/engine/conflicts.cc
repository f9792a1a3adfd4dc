// SPDX-License-Identifier: Apache-2.0
// Which transactions are open, and whether a commit since its snapshot touched what one wrote or
// read. First committer wins: a commit counts from the moment it has its number.
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/check.h"
#include "base/result.h"
#include "engine/engine.h"
#include "view/expiring.h"
#include "view/scan.h"

namespace varve {
namespace {

constexpr CommitNumber kNever{std::numeric_limits<std::uint64_t>::max()};

const TableView* FindById(const Superversion& view, std::uint32_t id) {
  for (const auto& [name, table] : view.tables) {
    if (table->id == id) return table.get();
  }
  return nullptr;
}

// A lookup takes ten times the memory of a key: not of all at once.
constexpr std::int64_t kLookUpAtOnce = 16384;

// Of keys that ascend: EncodedKeys or a KeySet.
template <typename Keys>
Result<std::optional<Newer>> FindNewerOf(const TableView& table, const Keys& keys,
                                         CommitNumber than) {
  std::vector<std::string_view> some;
  for (std::int64_t i = 0; i < keys.size();) {
    some.clear();
    for (; i < keys.size() && std::ssize(some) < kLookUpAtOnce; ++i) some.push_back(keys[i]);
    VARVE_ASSIGN(auto found, FindNewer(table, some, than));
    if (found) return found;
  }
  return std::optional<Newer>();
}

// What the data itself shows to be newer.
Result<std::optional<Newer>> FindNewerIn(const TableView& table,
                                         const Footprint::OfTable& footprint, CommitNumber than) {
  VARVE_ASSIGN(auto found, FindNewerOf(table, footprint.keys(), than));
  if (found) return found;
  for (const EncodedKeys* const keys : footprint.written()) {
    VARVE_ASSIGN(found, FindNewerOf(table, *keys, than));
    if (found) return found;
  }
  for (const KeyBounds& range : footprint.ranges()) {
    VARVE_ASSIGN(found, FindNewer(table, range, than));
    if (found) return found;
  }
  return found;
}

}  // namespace

Result<BegunTransaction> Database::Impl::BeginTransaction() {
  VARVE_TRY(CheckWritable());
  AdvanceVisible();
  std::lock_guard lock(commit_mutex_);
  std::lock_guard view_lock(view_mutex_);
  BegunTransaction begun{order_.visible(), WithoutExpired(view_)};  // before it counts as open
  open_transactions_.insert(begun.commit);
  return begun;
}

void Database::Impl::EndTransaction(CommitNumber snapshot) {
  std::lock_guard lock(commit_mutex_);
  const auto at = open_transactions_.find(snapshot);
  VARVE_CHECK(at != open_transactions_.end());
  open_transactions_.erase(at);
  std::lock_guard view_lock(view_mutex_);
  NoteKeys(nullptr, order_.visible());
}

// Keeps the keys of a new commit, if there is one, and lets go of those that nobody will ask for.
void Database::Impl::NoteKeys(std::shared_ptr<const KeysOfCommit> keys,
                              CommitNumber visible) noexcept {
  if (keys != nullptr) recent_keys_.Add(std::move(keys));
  const bool none = open_transactions_.empty();
  recent_keys_.Forget(none ? kNever : *open_transactions_.begin(), visible);
}

// Without the lock, so that a large footprint holds nobody up; what comes meanwhile is left to
// Place.
Status Database::Impl::CheckConflicts(CommitGuard* guard) {
  if (guard->footprint == nullptr) return {};
  guard->footprint->MakeReady();
  const auto from = std::max(guard->snapshot, guard->checked);
  std::vector<KeysOfCommitPtr> recent;
  CommitNumber floor;
  {
    std::lock_guard lock(commit_mutex_);
    floor = recent_keys_.floor();
    recent = recent_keys_.After(std::max(from, floor));
    guard->checked = last_commit_;
  }
  VARVE_TRY(CheckRecent(*guard, recent));
  return from < floor ? CheckData(*guard) : Status();
}

Status Database::Impl::CheckRecent(const CommitGuard& guard,
                                   const std::vector<KeysOfCommitPtr>& commits) const {
  for (const auto& commit : commits) {
    if (const auto clash = FindClash(*guard.footprint, *commit)) return Conflict(guard, *clash);
  }
  return {};
}

// Commits whose keys are not remembered any more are visible: their versions are in the memtables
// and runs.
Status Database::Impl::CheckData(const CommitGuard& guard) const {
  std::shared_ptr<const Superversion> view;
  {
    std::lock_guard lock(view_mutex_);
    view = view_;
  }
  for (const auto& [id, footprint] : guard.footprint->tables) {
    const TableView* table = FindById(*view, id);
    if (table == nullptr) continue;
    VARVE_ASSIGN(const auto newer, FindNewerIn(*table, footprint, guard.snapshot));
    if (newer) return Conflict(guard, {id, newer->key, newer->commit});
  }
  return {};
}

std::unexpected<Error> Database::Impl::Conflict(const CommitGuard& guard,
                                                const Clash& clash) const {
  if (guard.winner != nullptr) *guard.winner = clash.commit;
  const auto state = manifest_->state();
  const TableState* table = state->FindTable(clash.table);
  std::string gone;
  if (table == nullptr) {
    const auto dropped = state->dropped.find(clash.table);
    VARVE_CHECK(dropped != state->dropped.end());
    table = dropped->second.get();
    gone = fmt::format(", and commit {} dropped the table", table->dropped.value);
  }
  return Fail(ErrorKind::kConflict,
              fmt::format("table '{}', key {}: commit {} wrote it after this transaction began "
                          "(at commit {}){}; nothing was kept, begin again",
                          table->name, table->schema->key_codec().ToText(clash.key),
                          clash.commit.value, guard.snapshot.value, gone));
}

}  // namespace varve
