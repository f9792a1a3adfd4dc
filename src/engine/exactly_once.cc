// SPDX-License-Identifier: Apache-2.0
// Commits that are made exactly once. A producer's newest sequence is noted when its commit gets
// its number, under the same lock, so of two commits of one sequence the second finds the first.
// The log keeps it with the commit, the manifest from the flush on.
#include <fmt/format.h>

#include "base/result.h"
#include "engine/engine.h"

namespace varve {

Result<Submitted> Database::Impl::Submit(std::vector<TablePart> parts, const CommitOptions& options,
                                         CommitGuard guard, WriteWatch* watch) {
  VARVE_ASSIGN(const auto repeat, Repeat(options, *watch));
  if (repeat) return *repeat;
  auto submitted = SubmitNew(std::move(parts), options, guard, watch);
  if (submitted) return submitted;
  // A twin that was faster may be why it was refused: then it is no error, or another one.
  VARVE_ASSIGN(const auto twin, Repeat(options, *watch));
  if (twin) return *twin;
  if (guard.winner == nullptr) NoteFailure(submitted.error());  // else it is tried again
  return submitted;
}

Result<std::optional<CommitNumber>> Database::Impl::FindRepeat(const CommitOptions& options) const {
  if (!options.producer) return std::optional<CommitNumber>();
  const Producer& producer = *options.producer;
  const auto last = producers_.Find(producer.id);
  if (!last || producer.sequence > last->sequence) return std::optional<CommitNumber>();
  if (producer.sequence == last->sequence) return last->commit;
  return Fail(ErrorKind::kConflict,
              fmt::format("producer {}: sequence {} comes after its sequence {} was committed "
                          "(commit {}); nothing was kept: go on after {}, and see who else "
                          "commits under this id",
                          producer.id, producer.sequence, last->sequence, last->commit.value,
                          last->sequence),
              ErrorReason::kStaleSequence);
}

// When this sequence was committed before.
Result<std::optional<Submitted>> Database::Impl::Repeat(const CommitOptions& options,
                                                        const WriteWatch& watch) {
  if (!options.producer) return std::optional<Submitted>();
  VARVE_TRY(CheckProducerId(options.producer->id));
  std::optional<CommitNumber> commit;
  {
    const std::lock_guard lock(commit_mutex_);
    VARVE_ASSIGN(commit, FindRepeat(options));
  }
  if (!commit) return std::optional<Submitted>();
  environment_.telemetry()->metrics.Add("commit_repeats_total");
  return RepeatOf(*commit, options.ack, watch);
}

// To be waited for as if this call had made the commit. Not when it is visible already.
Submitted Database::Impl::RepeatOf(CommitNumber commit, AckLevel ack,
                                   const WriteWatch& watch) const {
  Submitted repeat{
      .info = {.commit = commit, .repeat = true}, .ticket = {}, .ack = ack, .watch = watch};
  const std::lock_guard lock(view_mutex_);
  repeat.ticket = order_.TicketOf(commit);
  return repeat;
}

ReadyMarks Database::Impl::MakeMarksReady(const Producer& producer) const {
  return {producers_.MakeReady(producer.id), active_->producers.MakeReady(producer.id)};
}

void Database::Impl::NoteProducer(ReadyMarks ready, std::uint64_t sequence,
                                  CommitNumber commit) noexcept {
  const ProducerMark mark{.sequence = sequence, .commit = commit};
  producers_.Note(std::move(ready.of_all), mark);
  active_->producers.Note(std::move(ready.of_active), mark);
}

Result<std::optional<ProducerMark>> Database::Impl::LastOf(std::string_view producer) {
  VARVE_TRY(CheckOpen());
  VARVE_TRY(CheckProducerId(producer));
  std::optional<ProducerMark> last;
  {
    const std::lock_guard lock(commit_mutex_);
    last = producers_.Find(producer);
  }
  if (last) {
    if (auto kept = Await(RepeatOf(last->commit, AckLevel::kDurable,
                                   WriteWatch(environment_.clock(), false))); !kept) {
      return std::unexpected(std::move(kept).error());
    }
  }
  return last;
}

}  // namespace varve
