// SPDX-License-Identifier: Apache-2.0
// Text and JSON into Arrow builders: the reverse of format_cell.h. Nothing is cut, and nothing is
// rounded but fractions on their way into floats: what its type cannot hold is refused, and so is
// an integer that is no double.
#pragma once

#include <arrow/builder.h>
#include <arrow/type.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "json_value.h"

namespace varve::cli {

// The type whose builder is filled for a column of `type`: dictionaries and extensions, at any
// depth, are filled as what they stand for and wrapped by RestoreColumn afterwards.
std::shared_ptr<arrow::DataType> PlainType(const std::shared_ptr<arrow::DataType>& type);
arrow::Result<std::shared_ptr<arrow::Array>> RestoreColumn(
    const std::shared_ptr<arrow::Array>& plain, const std::shared_ptr<arrow::DataType>& type);
// The type with string in place of null, at any depth: a column of nulls could hold nothing else.
std::shared_ptr<arrow::DataType> WithoutNullType(const std::shared_ptr<arrow::DataType>& type);

// Appends a text to a builder that was made for the type, a plain one. False when the text is no
// value of it; then nothing was appended.
using TextAppender = bool (*)(const arrow::DataType& type, std::string_view text,
                              arrow::ArrayBuilder* builder);
// Null for types that no single text stands for. Choose it once a column.
TextAppender TextAppenderOf(const arrow::DataType& type);

// Why a JSON value does not fit, for a person, or nothing when it was appended. After a failure the
// builder is good for nothing.
std::optional<std::string> AppendParsedJson(const arrow::DataType& type, const JsonValue& value,
                                            arrow::ArrayBuilder* builder);

// Whether values of the type are written as JSON inside CSV.
bool IsNested(const arrow::DataType& type);
bool IsString(const arrow::DataType& type);

}  // namespace varve::cli
