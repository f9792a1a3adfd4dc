// SPDX-License-Identifier: Apache-2.0
#include "engine/repair_runs.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/result.h"
#include "run/run.h"
#include "upkeep/lifetimes.h"
#include "upkeep/retire.h"

namespace varve {
namespace {

using RunMetaPtr = std::shared_ptr<const RunMeta>;

RunMetaPtr Shown(const RunMeta& run) {
  auto shown = std::make_shared<RunMeta>(run);
  shown->hidden_from = 0;
  return shown;
}

class Repair {
 public:
  Repair(ObjectStore* store, const ManifestState& state, const TableState& table,
         const std::map<std::uint64_t, std::string>& damaged)
      : store_(store), state_(state), table_(table), damaged_(damaged) {}

  Result<RepairedTable> Run() {
    const std::uint64_t back_to = BackTo();
    for (const RunMetaPtr& run : table_.runs) {
      const bool is_damaged = damaged_.contains(run->id);
      const bool is_newer = back_to != 0 && run->shown_from >= back_to;
      if (is_damaged) {
        lost_.push_back({run, is_newer});
      } else if (is_newer) {
        result_.not_needed.push_back(run);
      } else if (back_to != 0 && run->hidden_from >= back_to) {
        result_.runs.push_back(Shown(*run));
      } else {
        result_.runs.push_back(run);
      }
    }
    for (const auto& [run, replaced] : lost_) Note(*run, replaced, back_to);
    VARVE_TRY(ShowWhatIsLeft());
    for (LostRun& lost : result_.lost) lost.shows_older = ShowsOlder(lost);
    return std::move(result_);
  }

 private:
  struct Lost {
    RunMetaPtr run;
    bool replaced;
  };

  // The commit of the first compaction that is to be undone; zero: none. Of those before the oldest
  // readable commit the inputs may be gone.
  std::uint64_t BackTo() const {
    std::uint64_t back_to = 0;
    for (const RunMetaPtr& run : table_.runs) {
      const bool can_go_back = run->shown_from > state_.oldest.value;
      if (!damaged_.contains(run->id) || !can_go_back) continue;
      if (back_to == 0 || run->shown_from < back_to) back_to = run->shown_from;
    }
    return back_to;
  }

  void Note(const RunMeta& run, bool replaced, std::uint64_t back_to) {
    const bool hidden = run.hidden_from != 0 && (back_to == 0 || run.hidden_from < back_to);
    const auto& codec = table_.FindSchema(run.schema_id)->key_codec();
    LostRun lost{.table = table_.name,
                 .id = run.id,
                 .files = ObjectsOf(run),
                 .why = damaged_.at(run.id),
                 .rows = run.data.rows + run.deletes.rows,
                 .deletes = run.deletes.rows,
                 .first = {run.min_commit},
                 .last = {run.max_commit},
                 .min_key = codec.ToText(run.min_key),
                 .max_key = codec.ToText(run.max_key),
                 .replaced = replaced,
                 .only_history = !replaced && hidden};
    if (lost.only_history) {
      // Whoever takes it, and could see one of its versions.
      result_.unreadable.emplace_back(CommitNumber{std::max(run.shown_from, run.min_commit)},
                                      CommitNumber{run.hidden_from});
      result_.oldest = std::max(result_.oldest, CommitNumber{run.hidden_from});
    }
    result_.lost.push_back(std::move(lost));
  }

  // What a flush hid behind a run that is lost is the newest there is now.
  Status ShowWhatIsLeft() {
    const CommitNumber oldest = std::max(state_.oldest, result_.oldest);
    for (bool changed = !lost_.empty(); changed;) {
      changed = false;
      std::vector<std::shared_ptr<const varve::Run>> runs;
      for (const RunMetaPtr& meta : result_.runs) {
        runs.push_back(varve::Run::Make(store_, table_.FindSchema(meta->schema_id), meta));
      }
      std::set<std::uint64_t> to_show;
      VARVE_TRY(FindLostVersions(runs, oldest,
                                 [&](const LostVersion& lost) { to_show.insert(lost.run_id); }));
      for (RunMetaPtr& run : result_.runs) {
        if (!to_show.contains(run->id) || run->hidden_from == 0) continue;
        run = Shown(*run);
        changed = true;
      }
    }
    return {};
  }

  bool ShowsOlder(const LostRun& lost) const {
    if (lost.replaced || lost.only_history) return false;
    const auto at = std::ranges::find(table_.runs, lost.id, &RunMeta::id);
    const RunMeta& gone = **at;
    return std::ranges::any_of(result_.runs, [&](const RunMetaPtr& run) {
      return run->hidden_from == 0 && run->min_commit < gone.max_commit &&
             run->min_key <= gone.max_key && run->max_key >= gone.min_key;
    });
  }

  ObjectStore* const store_;
  const ManifestState& state_;
  const TableState& table_;
  const std::map<std::uint64_t, std::string>& damaged_;
  std::vector<Lost> lost_;
  RepairedTable result_;
};

}  // namespace

Result<RepairedTable> RepairRuns(ObjectStore* store, const ManifestState& state,
                                 const TableState& table,
                                 const std::map<std::uint64_t, std::string>& damaged) {
  return Repair(store, state, table, damaged).Run();
}

}  // namespace varve
