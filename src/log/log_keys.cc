// SPDX-License-Identifier: Apache-2.0
#include "log/log_keys.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/result.h"
#include "log/segment_cipher.h"
#include "log/segment_file.h"

namespace varve {
namespace {

// Nothing when there is no log. Damaged headers are left out. `used`: of those segments alone that
// hold something.
Result<std::vector<SegmentHeader>> Headers(Files* files, const std::string& dir, bool used) {
  std::vector<SegmentHeader> headers;
  auto segments = ListSegments(files, dir);
  if (!segments && segments.error().kind() == ErrorKind::kNotFound) return headers;
  if (!segments) return std::unexpected(std::move(segments).error());
  for (const SegmentOnDisk& segment : *segments) {
    if (segment.header && (segment.link || !used)) headers.push_back(*segment.header);
  }
  return headers;
}

}  // namespace

Status CheckKeysOfLog(Files* files, const std::string& dir, KeyProvider* keys) {
  const auto headers = Headers(files, dir, /*used=*/true);
  if (!headers) return {};
  for (const SegmentHeader& header : *headers) {
    VARVE_ASSIGN(const auto cipher, OpenSegmentCipher(keys, header));
    if (cipher != nullptr || keys == nullptr) continue;
    return Fail(ErrorKind::kInvalid,
                fmt::format("keys were given, but segment {} of the log in '{}' is not encrypted; "
                            "nothing was changed",
                            header.sequence, dir),
                ErrorReason::kNotEncrypted);
  }
  return {};
}

Result<std::vector<std::string>> KeyIdsOfLog(Files* files, const std::string& dir) {
  VARVE_ASSIGN(const auto headers, Headers(files, dir, /*used=*/false));
  std::vector<std::string> ids;
  for (auto header = headers.rbegin(); header != headers.rend(); ++header) {
    std::string id(header->key_id, header->key_id_bytes);
    if (header->cipher != 0 && std::ranges::find(ids, id) == ids.end()) {
      ids.push_back(std::move(id));
    }
  }
  return ids;
}

Result<std::string> KeyIdAt(Files* files, const std::string& dir, Lsn position) {
  VARVE_ASSIGN(const auto headers, Headers(files, dir, /*used=*/false));
  std::string id;
  for (const SegmentHeader& header : headers) {  // in order: the last that begins before it
    if (header.base <= position.value) id.assign(header.key_id, header.key_id_bytes);
  }
  return id;
}

}  // namespace varve
