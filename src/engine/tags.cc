// SPDX-License-Identifier: Apache-2.0
// Tags: names for commits, kept in the manifest.
//
// What a tag names must still be there after a power cut: so it is a visible, thereby durable
// commit, and the manifest that has the tag also says how far the log was durable. A log that lost
// the commit is then known as damaged, and a later commit never takes the tag over.
#include <fmt/format.h>

#include <algorithm>

#include "base/result.h"
#include "engine/engine.h"

namespace varve {
namespace {

TagInfo InfoOf(const std::string& name, const TagState& tag) {
  return {.name = name, .commit = tag.commit, .time = tag.commit_time, .made = tag.made};
}

}  // namespace

Result<TagInfo> Database::Impl::Tag(const std::string& name, const AsOf& as_of,
                                    const TagOptions& options) {
  VARVE_TRY(CheckWritable());
  VARVE_TRY(CheckTagName(name));
  std::lock_guard flush_lock(flush_mutex_);
  const Moment now = Now(as_of);
  TagState tag{.made = environment_.clock()->Now()};
  VARVE_ASSIGN(tag.commit, Resolve(as_of, now));
  if (tag.commit == CommitNumber{}) {
    return Fail(ErrorKind::kNotFound,
                fmt::format("'{}' has no commit that tag '{}' could name", path_, name));
  }
  VARVE_ASSIGN(tag.commit_time, TimeOf(tag.commit, now));
  const auto state = manifest_->state();
  std::vector<Edit> edits;
  if (const auto old = state->tags.find(name); old != state->tags.end()) {
    if (!options.replace) {
      return Fail(ErrorKind::kConflict,
                  fmt::format("tag '{}' exists already: it names commit {} of {}; replace it, or "
                              "choose another name",
                              name, old->second.commit.value, TimeText(old->second.commit_time)),
                  ErrorReason::kAlreadyExists);
    }
    edits.push_back(UntagEdit{name});
  }
  edits.push_back(TagEdit{name, tag});
  edits.push_back(AdvanceEdit{.commit = state->commit,
                              .commit_time = {},
                              .floor = state->log_floor,
                              .durable = std::max(state->log_durable, log_->positions().durable)});
  VARVE_TRY(PublishTags(edits));
  return InfoOf(name, tag);
}

Result<TagInfo> Database::Impl::Untag(const std::string& name) {
  VARVE_TRY(CheckWritable());
  std::lock_guard flush_lock(flush_mutex_);
  const auto state = manifest_->state();
  VARVE_ASSIGN(const TagState* tag, FindTag(*state, name));
  VARVE_TRY(PublishTags({UntagEdit{name}}));
  return InfoOf(name, *tag);
}

Status Database::Impl::PublishTags(const std::vector<Edit>& edits) {
  VARVE_TRY(CheckOpen());
  VARVE_ASSIGN(auto published, manifest_->Commit(edits, environment_.clock()->Now()));
  std::lock_guard lock(commit_mutex_);
  official_ = std::move(published);
  InstallView();
  return {};
}

std::vector<TagInfo> Database::Impl::Tags() const {
  std::shared_ptr<const ManifestState> flushed;
  {
    std::lock_guard lock(view_mutex_);
    flushed = flushed_;
  }
  std::vector<TagInfo> tags;
  for (const auto& [name, tag] : flushed->tags) tags.push_back(InfoOf(name, tag));
  return tags;
}

}  // namespace varve
