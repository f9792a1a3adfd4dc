// SPDX-License-Identifier: Apache-2.0
#include "columns/arrow_errors.h"

#include <arrow/util/io_util.h>

#include <cerrno>
#include <memory>
#include <string>

#include "base/check.h"

namespace varve {
namespace {

constexpr char kDetailId[] = "varve::Error";

class ErrorDetail final : public arrow::StatusDetail {
 public:
  explicit ErrorDetail(Error error) : error_(std::move(error)) {}
  const char* type_id() const override { return kDetailId; }
  std::string ToString() const override { return std::string(varve::ToString(error_.kind())); }
  const Error& error() const { return error_; }

 private:
  Error error_;
};

// The code that callers who know only Arrow can branch on.
arrow::StatusCode CodeOf(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kInvalid: return arrow::StatusCode::Invalid;
    case ErrorKind::kNotFound: return arrow::StatusCode::KeyError;
    case ErrorKind::kConflict: return arrow::StatusCode::AlreadyExists;
    case ErrorKind::kUnavailable: return arrow::StatusCode::IOError;
    case ErrorKind::kCorruption: return arrow::StatusCode::IOError;
    case ErrorKind::kInternal: return arrow::StatusCode::UnknownError;
  }
  return arrow::StatusCode::UnknownError;
}

ErrorReason ReasonOfErrno(int number) {
  switch (number) {
    case ENOSPC:
    case EDQUOT: return ErrorReason::kNoSpace;
    case EACCES:
    case EPERM:
    case EROFS: return ErrorReason::kPermission;
    default: return ErrorReason::kIo;
  }
}

}  // namespace

arrow::Status ToArrow(const Error& error) {
  return arrow::Status(CodeOf(error.kind()), error.message(),
                       std::make_shared<ErrorDetail>(error));
}

bool CarriesError(const arrow::Status& status) {
  return status.detail() && std::string_view(status.detail()->type_id()) == kDetailId;
}

Error ErrorFromArrow(const arrow::Status& status) {
  VARVE_CHECK(!status.ok());
  if (CarriesError(status)) return static_cast<const ErrorDetail&>(*status.detail()).error();
  if (status.IsIOError()) {
    return Error(ErrorKind::kUnavailable, status.message(),
                 ReasonOfErrno(arrow::internal::ErrnoFromStatus(status)));
  }
  if (status.IsCancelled()) {  // by a stop token, whose reader has ended
    return Error(ErrorKind::kInvalid, status.message(), ErrorReason::kClosed);
  }
  if (status.IsOutOfMemory()) {
    return Error(ErrorKind::kUnavailable, "out of memory: " + status.message());
  }
  return Error(ErrorKind::kInternal, status.ToString());
}

}  // namespace varve
