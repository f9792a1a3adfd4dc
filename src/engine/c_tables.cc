// SPDX-License-Identifier: Apache-2.0
// The part of varve_db.h that changes tables.
#include <arrow/api.h>

#include <string>
#include <utility>
#include <vector>

#include "engine/c_database.h"

namespace varve {
namespace {

constexpr std::size_t kFirstChangeBytes = 48;
static_assert(sizeof(void*) != 8 || sizeof(varve_db_column_change) == kFirstChangeBytes + 8);

void TellNumber(std::uint64_t* to, CommitNumber commit) {
  if (to != nullptr) *to = commit.value;
}

Result<std::shared_ptr<arrow::Field>> FieldOf(const Given<ArrowSchema>& given) {
  VARVE_TRY(given.Check("field"));
  auto field = arrow::ImportField(given.get());
  if (!field.ok()) {
    return Fail(ErrorKind::kInvalid,
                "what was given is no field of Arrow: " + field.status().message());
  }
  return *std::move(field);
}

Result<std::shared_ptr<arrow::Scalar>> ValueOf(const Given<ArrowArray>& given,
                                               const std::shared_ptr<arrow::DataType>& type) {
  if (given.get() == nullptr) return nullptr;
  VARVE_TRY(given.Check("value"));
  const auto values = arrow::ImportArray(given.get(), type);
  if (!values.ok() || !(*values)->ValidateFull().ok()) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("what was given as `value` is no array of {}", type->ToString()));
  }
  if ((*values)->length() != 1) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("`value` has {} values; expected one", (*values)->length()));
  }
  return (*values)->GetScalar(0).ValueOrDie();  // there is one
}

Status CheckUnused(bool used, const void* pointer, std::string_view what) {
  if (used || pointer == nullptr) return {};
  return Fail(ErrorKind::kInvalid, fmt::format("{} is set, which a change of this kind does not "
                                               "use; leave it NULL",
                                               what));
}

Result<ColumnChange> ChangeOf(const varve_db_column_change& change) {
  const Given field(change.field);
  const Given value(change.value);
  const int kind = change.kind;
  const bool adds = kind == VARVE_DB_ADD_COLUMN;
  const bool lives = kind == VARVE_DB_SET_TTL;
  const bool names = kind == VARVE_DB_DROP_COLUMN || kind == VARVE_DB_RENAME_COLUMN || lives;
  VARVE_TRY(CheckUnused(names, change.name, "`name`"));
  VARVE_TRY(CheckUnused(kind == VARVE_DB_RENAME_COLUMN, change.to, "`to`"));
  VARVE_TRY(CheckUnused(adds || kind == VARVE_DB_WIDEN_COLUMN, change.field, "`field`"));
  VARVE_TRY(CheckUnused(adds, change.value, "`value`"));
  if (names) VARVE_TRY(Need(change.name, "name"));
  if (!lives && (change.unit != 0 || change.ttl_micros != 0)) {
    return Fail(ErrorKind::kInvalid, "`unit` or `ttl_micros` is set, which a change of this kind "
                                     "does not use; leave it 0");
  }
  switch (kind) {
    case VARVE_DB_ADD_COLUMN: {
      AddColumn add;
      VARVE_ASSIGN(add.field, FieldOf(field));
      VARVE_ASSIGN(add.value, ValueOf(value, add.field->type()));
      return add;
    }
    case VARVE_DB_DROP_COLUMN:
      return DropColumn{change.name};
    case VARVE_DB_RENAME_COLUMN: {
      VARVE_TRY(Need(change.to, "to"));
      return RenameColumn{change.name, change.to};
    }
    case VARVE_DB_WIDEN_COLUMN: {
      WidenColumn widen;
      VARVE_ASSIGN(widen.field, FieldOf(field));
      return widen;
    }
    case VARVE_DB_SET_TTL:
      if (change.unit < 0 || change.unit > static_cast<int>(EpochUnit::kNanos)) {
        return Fail(ErrorKind::kInvalid,
                    fmt::format("unit: expected 0 to 3 (us, ms, s, ns), found {}", change.unit));
      }
      return SetTimeToLive{{.column = change.name,
                            .micros = change.ttl_micros,
                            .unit = static_cast<EpochUnit>(change.unit)}};
    case VARVE_DB_DROP_TTL:
      return DropTimeToLive{};
    default:
      return Fail(ErrorKind::kInvalid, fmt::format("kind: expected 0 to {}, found {}",
                                                   static_cast<int>(VARVE_DB_DROP_TTL), kind));
  }
}

// All of them are taken, also when one is refused.
Result<std::vector<ColumnChange>> ChangesOf(const varve_db_column_change* const* given,
                                            std::size_t size) {
  std::vector<ColumnChange> changes;
  Status refused;
  if (size > 0) VARVE_TRY(Need(given, "changes"));
  for (std::size_t i = 0; i < size; ++i) {
    const std::string what = fmt::format("change {}", i);
    auto known = Sized("varve_db_column_change", given[i], kFirstChangeBytes);
    if (known && given[i] == nullptr) known = std::unexpected(Need(nullptr, "it").error());
    auto change = known ? ChangeOf(*known) : std::unexpected(known.error());
    if (change) {
      changes.push_back(*std::move(change));
    } else if (refused) {
      refused = std::unexpected(change.error().Within(what));
    }
  }
  if (!refused) return std::unexpected(std::move(refused).error());
  return changes;
}

}  // namespace
}  // namespace varve

using namespace varve;

extern "C" {

int varve_db_drop_table(varve_db* db, const char* table, std::uint64_t* commit,
                        varve_error** error) {
  return Guarded(
      error,
      [&]() -> Status {
        VARVE_TRY(Need(db, "db"));
        VARVE_TRY(Need(table, "table"));
        VARVE_ASSIGN(const auto done, db->database->DropTable(table));
        TellNumber(commit, done);
        return {};
      },
      kUnknownOutcomeCode);
}

int varve_db_rename_table(varve_db* db, const char* table, const char* to, std::uint64_t* commit,
                          varve_error** error) {
  return Guarded(
      error,
      [&]() -> Status {
        VARVE_TRY(Need(db, "db"));
        VARVE_TRY(Need(table, "table"));
        VARVE_TRY(Need(to, "to"));
        VARVE_ASSIGN(const auto done, db->database->RenameTable(table, to));
        TellNumber(commit, done);
        return {};
      },
      kUnknownOutcomeCode);
}

int varve_db_alter_table(varve_db* db, const char* table,
                         const varve_db_column_change* const* changes, std::size_t changes_size,
                         std::uint64_t* commit, varve_error** error) {
  return Guarded(
      error,
      [&]() -> Status {
        VARVE_ASSIGN(const auto all, ChangesOf(changes, changes_size));
        VARVE_TRY(Need(db, "db"));
        VARVE_TRY(Need(table, "table"));
        VARVE_ASSIGN(const auto done, db->database->AlterTable(table, all));
        TellNumber(commit, done);
        return {};
      },
      kUnknownOutcomeCode);
}

}  // extern "C"
