// SPDX-License-Identifier: Apache-2.0
// varve_db_versions.h over varve::Database.
#include <string>
#include <vector>

#include "engine/c_database.h"
#include "varve_db_versions.h"

namespace varve {
namespace {

constexpr std::size_t kFirstAsOfBytes = 40;
constexpr std::size_t kFirstRestoreBytes = 32;
static_assert(sizeof(void*) != 8 || (sizeof(varve_db_as_of) == kFirstAsOfBytes &&
                                     sizeof(varve_db_restore_options) == kFirstRestoreBytes));

Status CheckUnused(bool used, bool set, std::string_view what) {
  if (used || !set) return {};
  return Fail(ErrorKind::kInvalid,
              fmt::format("varve_db_as_of: {} is set, which its kind does not use; leave it 0, or "
                          "set the kind",
                          what));
}

Result<AsOf> AsOfOf(const varve_db_as_of* given) {
  VARVE_ASSIGN(const auto as_of, Sized("varve_db_as_of", given, kFirstAsOfBytes));
  const int kind = as_of.kind;
  VARVE_TRY(CheckUnused(kind == VARVE_DB_AT_COMMIT, as_of.commit != 0, "`commit`"));
  VARVE_TRY(CheckUnused(kind == VARVE_DB_AT_TIME, as_of.time_micros != 0, "`time_micros`"));
  VARVE_TRY(CheckUnused(kind == VARVE_DB_AT_TAG, as_of.tag != nullptr, "`tag`"));
  switch (kind) {
    case VARVE_DB_NEWEST:
      return AsOf();
    case VARVE_DB_AT_COMMIT:
      return AsOf(CommitNumber{as_of.commit});
    case VARVE_DB_AT_TIME:
      return AsOf(WallTime{as_of.time_micros});
    case VARVE_DB_AT_TAG: {
      VARVE_TRY(Need(as_of.tag, "tag"));
      return AsOf(TagName{as_of.tag});
    }
    default:
      return Fail(ErrorKind::kInvalid, fmt::format("varve_db_as_of: kind: expected 0 to {}, found "
                                                   "{}",
                                                   static_cast<int>(VARVE_DB_AT_TAG), kind));
  }
}

varve_db_tag_info InC(const TagInfo& tag, const char* name) {
  return {name, tag.commit.value, tag.time.micros, tag.made.micros};
}

// Calls `each` with the version in the form of C; what it gives.
int Visit(const Version& version, varve_db_each_version each, void* context) {
  std::vector<const char*> tags;
  for (const std::string& tag : version.tags) tags.push_back(tag.c_str());
  const varve_db_version lent = {
      version.commit.value, version.time.micros,       version.runs, version.rows,
      version.bytes,        version.flushed ? 1u : 0u, tags.data(),  tags.size()};
  return each(context, &lent);
}

}  // namespace
}  // namespace varve

using namespace varve;

extern "C" {

int varve_db_snapshot_as_of(varve_db* db, const varve_db_as_of* as_of, varve_db_snapshot** snapshot,
                            varve_error** error) {
  if (snapshot != nullptr) *snapshot = nullptr;
  return Guarded(error, [&]() -> Status {
    VARVE_TRY(Need(db, "db"));
    VARVE_TRY(Need(snapshot, "snapshot"));
    VARVE_ASSIGN(const auto which, AsOfOf(as_of));
    auto handle = std::make_unique<varve_db_snapshot>();
    VARVE_ASSIGN(handle->snapshot, db->database->GetSnapshot(which));
    *snapshot = handle.release();
    return {};
  });
}

int varve_db_versions(varve_db* db, std::uint64_t limit, varve_db_each_version each, void* context,
                      varve_error** error) {
  return Guarded(error, [&]() -> Status {
    VARVE_TRY(Need(db, "db"));
    VARVE_TRY(Need(reinterpret_cast<const void*>(each), "each"));
    VARVE_TRY(CheckOpen(*db));
    for (const Version& version : db->database->Versions(limit == 0 ? UINT64_MAX : limit)) {
      if (Visit(version, each, context) != 0) break;
    }
    return {};
  });
}

int varve_db_tag(varve_db* db, const char* name, const varve_db_as_of* as_of, int replace,
                 varve_db_tag_info* info, varve_error** error) {
  return Guarded(error, [&]() -> Status {
    VARVE_TRY(Need(db, "db"));
    VARVE_TRY(Need(name, "name"));
    VARVE_ASSIGN(const auto which, AsOfOf(as_of));
    VARVE_ASSIGN(const auto tag, db->database->Tag(name, which, {.replace = replace != 0}));
    if (info != nullptr) *info = InC(tag, nullptr);
    return {};
  });
}

int varve_db_untag(varve_db* db, const char* name, varve_db_tag_info* info, varve_error** error) {
  return Guarded(error, [&]() -> Status {
    VARVE_TRY(Need(db, "db"));
    VARVE_TRY(Need(name, "name"));
    VARVE_ASSIGN(const auto tag, db->database->Untag(name));
    if (info != nullptr) *info = InC(tag, nullptr);
    return {};
  });
}

int varve_db_tags(varve_db* db, varve_db_each_tag each, void* context, varve_error** error) {
  return Guarded(error, [&]() -> Status {
    VARVE_TRY(Need(db, "db"));
    VARVE_TRY(Need(reinterpret_cast<const void*>(each), "each"));
    VARVE_TRY(CheckOpen(*db));
    for (const TagInfo& tag : db->database->Tags()) {
      const varve_db_tag_info lent = InC(tag, tag.name.c_str());
      if (each(context, &lent) != 0) break;
    }
    return {};
  });
}

int varve_db_restore_table(varve_db* db, const char* table, const varve_db_as_of* as_of,
                           const varve_db_restore_options* given, varve_db_restored* restored,
                           varve_error** error) {
  return Guarded(
      error,
      [&]() -> Status {
        VARVE_TRY(Need(db, "db"));
        VARVE_TRY(Need(table, "table"));
        VARVE_ASSIGN(const auto which, AsOfOf(as_of));
        VARVE_ASSIGN(const auto options,
                     Sized("varve_db_restore_options", given, kFirstRestoreBytes));
        VARVE_ASSIGN(auto commit, OptionsOf(given == nullptr ? VARVE_LOG_DURABLE : options.level));
        if (options.producer != nullptr) {
          commit.producer = Producer{options.producer, options.sequence};
        }
        VARVE_ASSIGN(const auto info, db->database->RestoreTable(
                                          table, which, {.dry_run = options.dry_run != 0}, commit));
        if (restored == nullptr) return {};
        *restored = {info.as_of.value, info.rows_written, info.rows_deleted, {}};
        Tell(&restored->commit, info.commit);
        return {};
      },
      kUnknownOutcomeCode);
}

}  // extern "C"
