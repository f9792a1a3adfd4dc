// SPDX-License-Identifier: Apache-2.0
// Precompiled for cli/: what most files here include and takes seconds to parse.
#pragma once
#include <arrow/api.h>
#include <arrow/io/api.h>
#include <arrow/util/value_parsing.h>
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>
