// SPDX-License-Identifier: Apache-2.0
// What every implementation of Files shares: paths, folders, whole files.
#include "base/result.h"
#include "files/create_directories.h"
#include "files/files.h"

namespace varve {
namespace {

std::string_view WithoutTrailingSlashes(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  return path;
}

}  // namespace

std::string JoinPath(std::string_view directory, std::string_view name) {
  std::string path(directory);
  if (path.empty() || path.back() != '/') path += '/';
  return path.append(name);
}

std::string ParentPath(std::string_view path) {
  const auto trimmed = WithoutTrailingSlashes(path);
  const auto slash = trimmed.rfind('/');
  if (slash == std::string_view::npos) return ".";
  const auto parent = WithoutTrailingSlashes(trimmed.substr(0, slash));
  return parent.empty() ? "/" : std::string(parent);
}

Result<std::string> ReadWholeFile(Files* files, const std::string& path) {
  VARVE_ASSIGN(const auto file, files->Open(path, OpenMode::kRead));
  VARVE_ASSIGN(const auto size, file->Size());
  std::string bytes(size, '\0');
  VARVE_ASSIGN(const auto read, file->ReadAt(0, size, bytes.data()));
  bytes.resize(read);
  return bytes;
}

Status CreateDirectoriesWith(const std::string& directory,
                             const std::function<Result<bool>(const std::string&)>& make,
                             const std::function<Status(const std::string&)>& sync) {
  const std::string path(WithoutTrailingSlashes(directory));
  const auto parent = ParentPath(path);
  auto made = make(path);
  if (!made && made.error().kind() == ErrorKind::kNotFound && parent != path) {
    VARVE_TRY(CreateDirectoriesWith(parent, make, sync));
    made = make(path);
  }
  if (!made) return std::unexpected(std::move(made).error());
  auto synced = sync(parent);
  // Whoever may not even open the parent of a folder that was there has not made that folder.
  const bool was_there = !*made;
  if (!synced && was_there && synced.error().reason() == ErrorReason::kPermission) return {};
  return synced;
}

}  // namespace varve
