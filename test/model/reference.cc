// SPDX-License-Identifier: Apache-2.0
#include "test/model/reference.h"

#include <fmt/format.h>

namespace varve::testing {
namespace {

constexpr std::uint64_t kKeys = 24;
constexpr std::uint64_t kNumbers = 8;
constexpr const char* kWords[] = {"", "ant", "antler", "bee", "b_e", "%", "\xc3\xa9t\xc3\xa9"};
using Truth = std::optional<bool>;

std::string PickWord(Random* chance) { return kWords[chance->Below(std::size(kWords))]; }

Truth Not(Truth a) { return a ? Truth(!*a) : a; }
Truth And(Truth a, Truth b) {
  if ((a && !*a) || (b && !*b)) return false;
  return a && b ? Truth(true) : std::nullopt;
}
Truth Or(Truth a, Truth b) { return Not(And(Not(a), Not(b))); }

std::string KeyName(const std::string& table) { return table == "plain" ? "id" : "a"; }

Condition PickKeyCondition(const std::string& table, Random* chance) {
  const auto low = static_cast<std::int64_t>(chance->Below(kKeys));
  const auto high = low + static_cast<std::int64_t>(chance->Below(kKeys / 2));
  const auto name = KeyName(table);
  return {fmt::format("{} >= {} and {} < {}", name, low, name, high),
          [=](const Key& key, const Row&) { return Truth(key.a >= low && key.a < high); }};
}

Condition PickNumberCondition(Random* chance) {
  const auto number = static_cast<std::int64_t>(chance->Below(kNumbers));
  switch (chance->Below(4)) {
    case 0:
      return {"n is null", [](const Key&, const Row& row) { return Truth(!row.n.has_value()); }};
    case 1:
      return {fmt::format("n in ({}, {})", number, number + 2),
              [=](const Key&, const Row& row) {
                return row.n ? Truth(*row.n == number || *row.n == number + 2) : std::nullopt;
              }};
    case 2:
      return {fmt::format("n + 1 > {}", number), [=](const Key&, const Row& row) {
                return row.n ? Truth(*row.n + 1 > number) : std::nullopt;
              }};
    default:
      return {fmt::format("n = {}", number), [=](const Key&, const Row& row) {
                return row.n ? Truth(*row.n == number) : std::nullopt;
              }};
  }
}

Condition PickWordCondition(Random* chance) {
  const char* prefix = chance->Below(2) == 0 ? "ant" : "b";
  return {fmt::format("v like '{}%'", prefix), [=](const Key&, const Row& row) {
            return row.v ? Truth(row.v->starts_with(prefix)) : std::nullopt;
          }};
}

Condition PickSimple(const std::string& table, Random* chance) {
  switch (chance->Below(3)) {
    case 0: return PickKeyCondition(table, chance);
    case 1: return PickNumberCondition(chance);
    default: return PickWordCondition(chance);
  }
}

}  // namespace

std::string PickTable(Random* chance) { return kTables[chance->Below(std::size(kTables))]; }

Key PickKey(const std::string& table, Random* chance) {
  if (table == "plain") return {static_cast<std::int64_t>(chance->Below(kKeys)), ""};
  return {static_cast<std::int64_t>(chance->Below(kKeys / 4)), PickWord(chance)};
}

RowList PickRows(const std::string& table, Random* chance) {
  RowList rows;
  for (auto left = 1 + chance->Below(6); left > 0; --left) {
    Row row;
    if (chance->Below(5) > 0) row.v = PickWord(chance) + std::string(chance->Below(40), '.');
    if (chance->Below(5) > 0) row.n = static_cast<std::int64_t>(chance->Below(kNumbers));
    rows.emplace_back(PickKey(table, chance), std::move(row));
  }
  return rows;
}

Condition PickCondition(const std::string& table, Random* chance) {
  auto one = PickSimple(table, chance);
  const auto how = chance->Below(4);
  if (how == 3) return one;
  if (how == 2) {
    return {fmt::format("not ({})", one.text),
            [one](const Key& key, const Row& row) { return Not(one.holds(key, row)); }};
  }
  auto other = PickSimple(table, chance);
  const bool both = how == 0;
  return {fmt::format("({}) {} ({})", one.text, both ? "and" : "or", other.text),
          [=](const Key& key, const Row& row) {
            const auto a = one.holds(key, row);
            const auto b = other.holds(key, row);
            return both ? And(a, b) : Or(a, b);
          }};
}

TableRows Where(const TableRows& rows, const Condition& condition) {
  TableRows found;
  for (const auto& [key, row] : rows) {
    if (condition.holds(key, row).value_or(false)) found.emplace(key, row);
  }
  return found;
}

std::string Describe(const RowList& rows) {
  std::string text;
  for (const auto& [key, row] : rows) {
    text += fmt::format(" ({},'{}': {}, {})", key.a, key.b,
                        row.v ? fmt::format("'{}'", *row.v) : "null",
                        row.n ? std::to_string(*row.n) : "null");
  }
  return text.empty() ? " none" : text;
}

}  // namespace varve::testing
