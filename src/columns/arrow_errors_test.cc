// SPDX-License-Identifier: Apache-2.0
#include "columns/arrow_errors.h"

#include <arrow/util/io_util.h>
#include <gtest/gtest.h>

#include <cerrno>

namespace varve {
namespace {

TEST(ArrowErrors, EveryErrorComesBackUnchanged) {
  for (int kind = 0; kind <= static_cast<int>(ErrorKind::kInternal); ++kind) {
    for (int reason = 0; reason <= static_cast<int>(ErrorReason::kStaleSequence); ++reason) {
      const Error error(static_cast<ErrorKind>(kind), "what, where",
                        static_cast<ErrorReason>(reason));
      const arrow::Status status = ToArrow(error);
      ASSERT_FALSE(status.ok());
      const Error back = ErrorFromArrow(status);
      EXPECT_EQ(back.kind(), error.kind());
      EXPECT_EQ(back.reason(), error.reason());
      EXPECT_EQ(back.message(), error.message());
    }
  }
}

TEST(ArrowErrors, APlainArrowErrorIsInternalAndKeepsItsText) {
  const Error error = ErrorFromArrow(arrow::Status::Invalid("no such lane"));
  EXPECT_EQ(error.kind(), ErrorKind::kInternal);
  EXPECT_NE(error.message().find("no such lane"), std::string::npos);
}

TEST(ArrowErrors, AnInputOutputErrorIsUnavailableWithItsReason) {
  using arrow::internal::IOErrorFromErrno;
  EXPECT_EQ(ErrorFromArrow(arrow::Status::IOError("read")).kind(), ErrorKind::kUnavailable);
  EXPECT_EQ(ErrorFromArrow(arrow::Status::IOError("read")).reason(), ErrorReason::kIo);
  EXPECT_EQ(ErrorFromArrow(IOErrorFromErrno(ENOSPC, "w")).reason(), ErrorReason::kNoSpace);
  EXPECT_EQ(ErrorFromArrow(IOErrorFromErrno(EROFS, "w")).reason(), ErrorReason::kPermission);
}

TEST(ArrowErrors, WhatWasCancelledIsNoDefect) {
  const Error error = ErrorFromArrow(arrow::Status::Cancelled("by a stop token"));
  EXPECT_EQ(error.kind(), ErrorKind::kInvalid);
  EXPECT_EQ(error.reason(), ErrorReason::kClosed);
  EXPECT_EQ(error.message(), "by a stop token");
}

TEST(ArrowErrors, ResultsAreUnwrappedEitherWay) {
  EXPECT_EQ(*FromArrow(arrow::Result<int>(7)), 7);
  EXPECT_FALSE(FromArrow(arrow::Result<int>(arrow::Status::Invalid("x"))));
  EXPECT_TRUE(FromArrow(arrow::Status::OK()));
}

}  // namespace
}  // namespace varve
