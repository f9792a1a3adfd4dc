// SPDX-License-Identifier: Apache-2.0
// Text and JSON into Arrow builders: the reverse of format_cell.h. Nothing is rounded or cut: text
// with more fraction than its type holds is refused.
#pragma once

#include <arrow/builder.h>
#include <arrow/type.h>
#include <nlohmann/json_fwd.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace varve::cli {

// The type whose builder is filled for a column of `type`: dictionaries and extensions, at any
// depth, are filled as what they stand for and wrapped by RestoreColumn afterwards.
std::shared_ptr<arrow::DataType> PlainType(const std::shared_ptr<arrow::DataType>& type);
arrow::Result<std::shared_ptr<arrow::Array>> RestoreColumn(
    const std::shared_ptr<arrow::Array>& plain, const std::shared_ptr<arrow::DataType>& type);

// False when `text` is no value of the type; then nothing was appended. `builder` was made for
// `type`, a plain type.
bool AppendParsed(const arrow::DataType& type, std::string_view text, arrow::ArrayBuilder* builder);

// Why a JSON value does not fit, for a person, or nothing when it was appended. After a failure the
// builder is good for nothing.
std::optional<std::string> AppendParsedJson(const arrow::DataType& type,
                                            const nlohmann::json& value,
                                            arrow::ArrayBuilder* builder);

// Whether values of the type are written as JSON inside CSV.
bool IsNested(const arrow::DataType& type);
bool IsString(const arrow::DataType& type);

}  // namespace varve::cli
