// SPDX-License-Identifier: Apache-2.0
// The bytes, told apart by the schema:
//   without dictionaries   one encapsulated Arrow IPC record batch
//   with                   a whole Arrow IPC stream: schema, dictionaries, one record batch
#include "columns/batch_codec.h"

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/api.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/result.h"
#include "columns/array_cast.h"
#include "columns/arrow_errors.h"
#include "columns/arrow_pool.h"
#include "columns/compact.h"
#include "columns/packed_rows.h"
#include "columns/plain_layout.h"

namespace varve {
namespace {

using BatchPtr = std::shared_ptr<arrow::RecordBatch>;

bool HasDictionary(const arrow::Schema& schema) {
  return std::ranges::any_of(schema.fields(), [](const auto& field) {
    return WithoutDictionaries(field->type()) != field->type();
  });
}

arrow::Result<std::shared_ptr<arrow::Buffer>> Write(const arrow::RecordBatch& batch, bool stream) {
  auto options = arrow::ipc::IpcWriteOptions::Defaults();
  options.memory_pool = ArrowPool();
  options.use_threads = false;
  if (!stream) return arrow::ipc::SerializeRecordBatch(batch, options);
  ARROW_ASSIGN_OR_RAISE(auto sink, arrow::io::BufferOutputStream::Create());
  ARROW_ASSIGN_OR_RAISE(auto writer, arrow::ipc::MakeStreamWriter(sink, batch.schema(), options));
  ARROW_RETURN_NOT_OK(writer->WriteRecordBatch(batch));
  ARROW_RETURN_NOT_OK(writer->Close());
  return sink->Finish();
}

std::unexpected<Error> NotABatch(std::string_view what) {
  return Fail(ErrorKind::kCorruption, fmt::format("stored batch: {}", what));
}

// Whatever Arrow finds wrong with the bytes is their fault, except a lack of memory.
std::unexpected<Error> Unreadable(const arrow::Status& status) {
  if (status.IsOutOfMemory()) return std::unexpected(ErrorFromArrow(status));
  return NotABatch(status.ToString());
}

arrow::Result<BatchPtr> Read(bool stream, const std::shared_ptr<arrow::Schema>& schema,
                             arrow::io::BufferReader* source) {
  auto options = arrow::ipc::IpcReadOptions::Defaults();
  options.use_threads = false;
  if (!stream) {
    const arrow::ipc::DictionaryMemo no_dictionaries;
    return arrow::ipc::ReadRecordBatch(schema, &no_dictionaries, options, source);
  }
  ARROW_ASSIGN_OR_RAISE(auto reader, arrow::ipc::RecordBatchStreamReader::Open(source, options));
  BatchPtr batch, end;
  ARROW_RETURN_NOT_OK(reader->ReadNext(&batch));
  if (!batch) return arrow::Status::Invalid("expected one batch, found none");
  ARROW_RETURN_NOT_OK(reader->ReadNext(&end));
  if (end) return arrow::Status::Invalid("expected one batch, found more");
  return batch;
}

Status CheckBatch(const arrow::RecordBatch& batch, const arrow::Schema& schema) {
  if (!batch.schema()->Equals(schema, /*check_metadata=*/false)) {
    return NotABatch(fmt::format("expected the columns\n{}\nfound\n{}", schema.ToString(),
                                 batch.schema()->ToString()));
  }
  const auto valid = batch.ValidateFull();
  if (!valid.ok()) return Unreadable(valid);
  return {};
}

}  // namespace

Result<std::shared_ptr<arrow::Buffer>> EncodeBatch(const arrow::RecordBatch& batch) {
  if (batch.num_rows() > 0) {
    if (const auto layout = PlainLayout::Of(batch.schema())) return layout->Encode(batch);
  }
  VARVE_ASSIGN(const auto compact, FromArrow(CompactBatch(batch)));
  return FromArrow(Write(*compact, HasDictionary(*batch.schema())));
}

Result<BatchPtr> ViewBatch(const std::shared_ptr<arrow::Buffer>& bytes,
                           const std::shared_ptr<arrow::Schema>& schema) {
  if (auto layout = PlainLayout::Of(schema); layout && layout->Made(*bytes)) {
    if (layout->Rows(*bytes) > kPackedRowsMax) return layout->View(bytes, schema);
    return std::make_shared<PackedRows>(schema, std::move(layout), bytes);
  }
  arrow::io::BufferReader source(bytes);
  VARVE_ASSIGN(const auto batch, FromArrow(Read(HasDictionary(*schema), schema, &source)));
  return arrow::RecordBatch::Make(schema, batch->num_rows(), batch->columns());
}

Result<BatchPtr> DecodeBatch(std::string_view bytes, const std::shared_ptr<arrow::Schema>& schema) {
  VARVE_ASSIGN(auto own, FromArrow(arrow::AllocateBuffer(std::ssize(bytes), ArrowPool())));
  std::memcpy(own->mutable_data(), bytes.data(), bytes.size());
  arrow::io::BufferReader source(std::shared_ptr<arrow::Buffer>(std::move(own)));
  auto batch = Read(HasDictionary(*schema), schema, &source);
  if (!batch.ok()) return Unreadable(batch.status());
  VARVE_TRY(CheckBatch(**batch, *schema));
  if (const auto end = source.Tell(); !end.ok() || *end != std::ssize(bytes)) {
    return NotABatch("expected no bytes after the batch");
  }
  return arrow::RecordBatch::Make(schema, (*batch)->num_rows(), (*batch)->columns());
}

}  // namespace varve
