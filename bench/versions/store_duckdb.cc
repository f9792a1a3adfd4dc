// SPDX-License-Identifier: Apache-2.0
// DuckDB: its appender with whole data chunks, flushed once a commit, which commits and syncs its
// WAL; a checkpoint when 64 MiB are in it.
#include <arrow/array.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "bench/slice.h"
#include "bench/versions/duckdb_api.h"
#include "bench/versions/store.h"

namespace varve::bench {
namespace {

using duckdb::Handle;
using duckdb::Type;

constexpr std::array kTypes = {Type::kBigint,    Type::kInteger,  Type::kBigint,  Type::kDouble,
                               Type::kFloat,     Type::kVarchar,  Type::kVarchar, Type::kVarchar,
                               Type::kTimestamp, Type::kTimestamp};

class DuckDbStore final : public Store {
 public:
  DuckDbStore(const std::string& dir, std::uint64_t budget_bytes, bool primary_key)
      : api_(*duckdb::Loaded()), primary_key_(primary_key), connection_(dir + ".duckdb") {
    connection_.Run(fmt::format("SET checkpoint_threshold='{}B'", budget_bytes));
    connection_.Run(std::string("CREATE TABLE orders(id BIGINT") +
                    (primary_key ? " PRIMARY KEY" : "") +
                    ", customer INTEGER, quantity BIGINT, price DOUBLE, discount FLOAT,"
                    " product VARCHAR, city VARCHAR, note VARCHAR, ordered TIMESTAMP,"
                    " shipped TIMESTAMP)");
    Check(api_.appender_create(connection_.handle(), nullptr, "orders", &appender_));
    std::array<Handle, kTypes.size()> types;
    std::ranges::transform(kTypes, types.begin(), api_.create_logical_type);
    chunk_ = api_.create_data_chunk(types.data(), types.size());
    for (auto& type : types) api_.destroy_logical_type(&type);
  }

  ~DuckDbStore() override {
    api_.destroy_data_chunk(&chunk_);
    api_.appender_destroy(&appender_);
  }

  std::string Settings() const override {
    return std::string(api_.library_version()) +
           ": C API, appender with data chunks, flushed (committed, synced) once a commit, "
           "checkpoint_threshold 64 MiB, " +
           (primary_key_ ? "PRIMARY KEY(id)" : "no primary key");
  }
  void Settle() override { connection_.Run("CHECKPOINT"); }

  void Commit(const BatchPtr& rows) override {
    const Columns columns(*rows);
    const auto capacity = static_cast<std::int64_t>(api_.vector_size());
    for (std::int64_t start = 0; start < columns.rows; start += capacity) {
      AppendChunk(columns, start, std::min(capacity, columns.rows - start));
    }
    Check(api_.appender_flush(appender_));
  }

  std::int64_t CountRows() override { return connection_.Number("SELECT count(*) FROM orders"); }

 private:
  void AppendChunk(const Columns& from, std::int64_t start, std::int64_t rows) {
    api_.data_chunk_reset(chunk_);
    std::uint64_t next = 0;
    const auto numbers = [&](const auto* values) {
      const auto vector = api_.data_chunk_get_vector(chunk_, next++);
      std::memcpy(api_.vector_get_data(vector), values + start,
                  static_cast<std::size_t>(rows) * sizeof *values);
    };
    const auto text = [&](const arrow::StringArray* values) {
      const auto vector = api_.data_chunk_get_vector(chunk_, next++);
      for (std::int64_t row = 0; row < rows; ++row) {
        const auto value = values->GetView(start + row);
        api_.vector_assign_string_element_len(vector, static_cast<std::uint64_t>(row), value.data(),
                                              value.size());
      }
    };
    numbers(from.id);
    numbers(from.customer);
    numbers(from.quantity);
    numbers(from.price);
    numbers(from.discount);
    for (const auto* values : {from.product, from.city, from.note}) text(values);
    numbers(from.ordered);
    numbers(from.shipped);
    api_.data_chunk_set_size(chunk_, static_cast<std::uint64_t>(rows));
    Check(api_.append_data_chunk(appender_, chunk_));
  }

  void Check(int state) {
    if (state == 0) return;
    const char* error = api_.appender_error(appender_);
    Die(std::string("DuckDB: ") + (error == nullptr ? "unknown error" : error));
  }

  const duckdb::Api& api_;
  const bool primary_key_;
  duckdb::Connection connection_;
  Handle appender_ = nullptr, chunk_ = nullptr;
};

}  // namespace

StorePtr OpenDuckDbStore(const std::string& dir, std::uint64_t budget_bytes, bool primary_key) {
  if (duckdb::Loaded() == nullptr) return nullptr;
  return std::make_unique<DuckDbStore>(dir, budget_bytes, primary_key);
}

}  // namespace varve::bench
