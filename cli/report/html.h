// SPDX-License-Identifier: Apache-2.0
// Text of any origin inside a page: names of tables and tags, keys, paths.
#pragma once

#include <string>
#include <string_view>

#include "session.h"

namespace varve::cli {

// As text between tags, or as the value of an attribute in double quotes. Bytes that are no UTF-8,
// and control characters, become U+FFFD.
std::string EscapeHtml(std::string_view text);

// The document as it may stand in a <script> of type application/json: nothing in it can end the
// element or begin another one, and every reader of JSON gives the same values.
std::string JsonForScript(const Json& document);

// "sha256-<base64>", as a Content-Security-Policy names a script or style that stands in the page.
std::string PolicyHash(std::string_view text);

// At most so many characters of UTF-8, the last one an ellipsis when it was longer.
std::string Shortened(std::string_view text, std::size_t characters);

// 2026-11-20 12:00:00 UTC.
std::string ShortTime(WallTime time);

}  // namespace varve::cli
