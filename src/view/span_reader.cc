// SPDX-License-Identifier: Apache-2.0
#include "view/span_reader.h"

#include <arrow/record_batch.h>

#include <utility>

#include "varve/snapshot.h"

namespace varve {
namespace {

class SpanReader final : public arrow::RecordBatchReader {
 public:
  SpanReader(Span span, std::shared_ptr<arrow::RecordBatchReader> reader)
      : span_(std::move(span)), reader_(std::move(reader)) {}

  std::shared_ptr<arrow::Schema> schema() const override { return reader_->schema(); }

  arrow::Status ReadNext(std::shared_ptr<arrow::RecordBatch>* out) override {
    const auto status = reader_->ReadNext(out);
    if (!status.ok()) {
      span_.SetError(ErrorFromArrow(status));
      span_.End();
    } else if (*out == nullptr) {
      span_.End();
    } else {
      rows_ += static_cast<std::uint64_t>((*out)->num_rows());
      span_.Set("db.response.returned_rows", rows_);
    }
    return status;
  }

  arrow::Status Close() override {
    span_.End();
    return reader_->Close();
  }

 private:
  Span span_;
  std::uint64_t rows_ = 0;
  const std::shared_ptr<arrow::RecordBatchReader> reader_;
};

}  // namespace

Result<std::shared_ptr<arrow::RecordBatchReader>> UntilItEnds(
    Span span, Result<std::shared_ptr<arrow::RecordBatchReader>> made) {
  if (!span.on()) return made;
  if (!made) return span.Watch(std::move(made));
  span.Set("db.response.returned_rows", 0);
  return std::shared_ptr<arrow::RecordBatchReader>(
      std::make_shared<SpanReader>(std::move(span), *std::move(made)));
}

}  // namespace varve
