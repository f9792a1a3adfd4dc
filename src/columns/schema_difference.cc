// SPDX-License-Identifier: Apache-2.0
#include "columns/schema_difference.h"

#include <arrow/type.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <vector>

#include "columns/expiry.h"

namespace varve {
namespace {

std::string TypeOf(const arrow::Field& field) {
  return field.type()->ToString() + (field.nullable() ? "" : " not null");
}

}  // namespace

std::string DescribeDifference(const TableSchema& table, const TableSchema& expected) {
  std::vector<std::string> differences;
  for (const auto& field : expected.schema()->fields()) {
    const auto found = table.schema()->GetFieldByName(field->name());
    if (found == nullptr) {
      differences.push_back(
          fmt::format("column '{}' ({}) is not in the table", field->name(), TypeOf(*field)));
    } else if (!found->type()->Equals(*field->type()) || found->nullable() != field->nullable()) {
      differences.push_back(fmt::format("column '{}': the table has {}, expected {}", field->name(),
                                        TypeOf(*found), TypeOf(*field)));
    }
  }
  for (const auto& field : table.schema()->fields()) {
    if (expected.schema()->GetFieldIndex(field->name()) >= 0) continue;
    differences.push_back(fmt::format("the table has a column '{}' ({}) that is not expected",
                                      field->name(), TypeOf(*field)));
  }
  if (table.key_names() != expected.key_names()) {
    differences.push_back(fmt::format("the table's key is {}, expected {}",
                                      fmt::join(table.key_names(), ", "),
                                      fmt::join(expected.key_names(), ", ")));
  }
  if (table.time_to_live() != expected.time_to_live()) {
    differences.push_back(fmt::format("the table's time to live is {}, expected {}",
                                      DescribeTimeToLive(table), DescribeTimeToLive(expected)));
  }
  return fmt::format("{}", fmt::join(differences, "; "));
}

}  // namespace varve
