// SPDX-License-Identifier: Apache-2.0
// Arrow's Parquet writer, set up so that the columns of a row group are encoded at once.
//
// Arrow does that for "buffered" row groups: each column is encoded into memory of its own, and the
// group is written when it is closed. Its writer closes a group only when the next one begins or
// the file ends, but our footer needs the checksums of all groups: so this keeps hold of the group.
#pragma once

#include <arrow/io/interfaces.h>
#include <arrow/result.h>

#include <memory>

namespace arrow {
class KeyValueMetadata;
class RecordBatch;
class Schema;
}  // namespace arrow
namespace parquet {
class WriterProperties;
}  // namespace parquet
namespace parquet::arrow {
class FileWriter;
}  // namespace parquet::arrow

namespace varve {

// Not thread-safe. What it throws are Parquet's exceptions.
class GroupEncoder {
 public:
  // `threads`: Arrow's, of its pool for computing; else all is done in the caller's.
  static ::arrow::Result<std::unique_ptr<GroupEncoder>> Open(
      const ::arrow::Schema& schema, const std::shared_ptr<::arrow::io::OutputStream>& sink,
      const std::shared_ptr<parquet::WriterProperties>& properties, bool threads);
  ~GroupEncoder();

  // All of these rows, and no others, become a row group, which is in the sink on return.
  ::arrow::Status WriteGroup(const ::arrow::RecordBatch& rows);
  // The file's tail, with these among its metadata.
  ::arrow::Status Close(const std::shared_ptr<const ::arrow::KeyValueMetadata>& metadata);

 private:
  class File;
  GroupEncoder() = default;

  std::unique_ptr<parquet::arrow::FileWriter> writer_;
  File* file_ = nullptr;  // the writer's
};

}  // namespace varve
