// SPDX-License-Identifier: Apache-2.0
// The bytes: one tag byte, seven zero bytes, then
//   kOneMessage   an encapsulated Arrow IPC record batch: for schemas without dictionaries
//   kStream       a whole Arrow IPC stream: schema, dictionaries, one record batch
// The prefix is as long as IPC's alignment, so that buffers are aligned where they are.
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
#include "columns/compact.h"

namespace varve {
namespace {

using BatchPtr = std::shared_ptr<arrow::RecordBatch>;

constexpr std::size_t kPrefixBytes = 8;
constexpr char kOneMessage = 1;
constexpr char kStream = 2;

bool HasDictionary(const arrow::Schema& schema) {
  return std::ranges::any_of(schema.fields(), [](const auto& field) {
    return WithoutDictionaries(field->type()) != field->type();
  });
}

arrow::Status Write(const arrow::RecordBatch& batch, bool stream, arrow::io::OutputStream* sink) {
  auto options = arrow::ipc::IpcWriteOptions::Defaults();
  options.use_threads = false;
  if (!stream) {
    ARROW_ASSIGN_OR_RAISE(auto message, arrow::ipc::SerializeRecordBatch(batch, options));
    return sink->Write(message);
  }
  ARROW_ASSIGN_OR_RAISE(auto writer, arrow::ipc::MakeStreamWriter(sink, batch.schema(), options));
  ARROW_RETURN_NOT_OK(writer->WriteRecordBatch(batch));
  return writer->Close();
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

Result<std::string> EncodeBatch(const arrow::RecordBatch& batch) {
  const bool stream = HasDictionary(*batch.schema());
  VARVE_ASSIGN(auto compact, FromArrow(CompactBatch(batch)));
  VARVE_ASSIGN(auto sink, FromArrow(arrow::io::BufferOutputStream::Create()));
  VARVE_TRY(FromArrow(Write(*compact, stream, sink.get())));
  VARVE_ASSIGN(auto body, FromArrow(sink->Finish()));
  std::string bytes;
  bytes.reserve(kPrefixBytes + static_cast<std::size_t>(body->size()));
  bytes.push_back(stream ? kStream : kOneMessage);
  bytes.resize(kPrefixBytes);
  bytes.append(std::string_view(*body));
  return bytes;
}

Result<BatchPtr> DecodeBatch(std::string_view bytes, const std::shared_ptr<arrow::Schema>& schema) {
  const bool stream = HasDictionary(*schema);
  std::string prefix(kPrefixBytes, '\0');
  prefix.front() = stream ? kStream : kOneMessage;
  if (!bytes.starts_with(prefix)) {
    return NotABatch(fmt::format("expected the tag {} and seven zero bytes", int{prefix.front()}));
  }
  VARVE_ASSIGN(auto whole, FromArrow(arrow::AllocateBuffer(std::ssize(bytes))));
  std::memcpy(whole->mutable_data(), bytes.data(), bytes.size());
  const std::shared_ptr<arrow::Buffer> shared = std::move(whole);
  arrow::io::BufferReader source(arrow::SliceBuffer(shared, kPrefixBytes));
  auto batch = Read(stream, schema, &source);
  if (!batch.ok()) return Unreadable(batch.status());
  VARVE_TRY(CheckBatch(**batch, *schema));
  const auto end = source.Tell();
  if (!end.ok() || *end != std::ssize(bytes) - static_cast<std::int64_t>(kPrefixBytes)) {
    return NotABatch("expected no bytes after the batch");
  }
  return arrow::RecordBatch::Make(schema, (*batch)->num_rows(), (*batch)->columns());
}

}  // namespace varve
