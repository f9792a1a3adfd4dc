// SPDX-License-Identifier: Apache-2.0
// The narrowest type that every value of a column of text is an example of:
//
//   bool < string    int64 < double < string    date32 < timestamp[us] < string
//   timestamp[us, UTC] < string
//
// Numbers with leading zeros or a plus, integers over 64 bits, decimals of more than 17 digits, and
// integers among doubles that are no double themselves are text: they would not come out as they
// went in. A column without a value is string.
#pragma once

#include <arrow/type.h>

#include <cstdint>
#include <memory>
#include <string_view>

namespace varve::cli {

class InferredType {
 public:
  void Add(std::string_view text);
  std::shared_ptr<arrow::DataType> type() const;

 private:
  enum class Kind : std::uint8_t {
    kNone, kBool, kInteger, kDouble, kDate, kTimestamp, kMoment, kString
  };
  Kind Classify(std::string_view text);
  static Kind Join(Kind a, Kind b);

  Kind kind_ = Kind::kNone;
  bool inexact_ = false;  // holds an integer that a double would round
};

}  // namespace varve::cli
