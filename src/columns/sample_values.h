// SPDX-License-Identifier: Apache-2.0
// Values out of nothing but a type.
#pragma once

#include <cstdint>
#include <memory>

#include <arrow/type_fwd.h>

namespace varve {

// `rows` values, none of them null at any depth: zeros and empty strings; lists of variable size
// hold elements. NotImplemented for a type that Arrow has no builder for.
arrow::Result<std::shared_ptr<arrow::ArrayData>> SampleValues(
    const std::shared_ptr<arrow::DataType>& type, std::int64_t rows);

}  // namespace varve
