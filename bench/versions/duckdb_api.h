// SPDX-License-Identifier: Apache-2.0
// As much of DuckDB's C API as the benchmark needs, loaded at run time out of DuckDB's own Python
// wheel, which tools/setup.sh installs: the wheel's library exports the whole C API. It wants
// Python's symbols; those of libpython are loaded before it, and never used.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace varve::bench::duckdb {

// The layouts of duckdb.h; handles are pointers to what only DuckDB knows.
using Handle = void*;
struct QueryResult {
  std::uint64_t deprecated[3];
  void* columns;
  char* error_message;
  void* internal;
};
enum class Type : int {
  kInteger = 4,
  kBigint = 5,
  kFloat = 10,
  kDouble = 11,
  kTimestamp = 12,
  kVarchar = 17
};

struct Api {
  const char* (*library_version)();
  int (*open)(const char*, Handle*);
  void (*close)(Handle*);
  int (*connect)(Handle, Handle*);
  void (*disconnect)(Handle*);
  int (*query)(Handle, const char*, QueryResult*);
  void (*destroy_result)(QueryResult*);
  const char* (*result_error)(QueryResult*);
  std::uint64_t (*row_count)(QueryResult*);
  std::int64_t (*value_int64)(QueryResult*, std::uint64_t, std::uint64_t);
  int (*appender_create)(Handle, const char*, const char*, Handle*);
  int (*appender_flush)(Handle);
  int (*appender_destroy)(Handle*);
  const char* (*appender_error)(Handle);
  int (*append_data_chunk)(Handle, Handle);
  Handle (*create_logical_type)(Type);
  void (*destroy_logical_type)(Handle*);
  Handle (*create_data_chunk)(Handle*, std::uint64_t);
  void (*destroy_data_chunk)(Handle*);
  void (*data_chunk_reset)(Handle);
  void (*data_chunk_set_size)(Handle, std::uint64_t);
  Handle (*data_chunk_get_vector)(Handle, std::uint64_t);
  void* (*vector_get_data)(Handle);
  void (*vector_assign_string_element_len)(Handle, std::uint64_t, const char*, std::uint64_t);
  std::uint64_t (*vector_size)();
};

// Once, before anything else of this file. `library`: the wheel's _duckdb*.so; `python`: the name
// of libpython. An empty text: it is there; else why it is not.
std::string Load(const std::string& library, const std::string& python);
// Null until it is loaded.
const Api* Loaded();

// An open database with one connection. Every failure ends the program.
class Connection {
 public:
  explicit Connection(const std::string& path);  // "" for one in memory
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void Run(const std::string& sql);
  std::int64_t Number(const std::string& sql);  // of the one value it gives
  // How many rows it gave. They are all in memory then.
  std::int64_t Rows(const std::string& sql);
  Handle handle() { return connection_; }

 private:
  QueryResult Query(const std::string& sql);

  const Api& api_;
  Handle database_ = nullptr, connection_ = nullptr;
};

}  // namespace varve::bench::duckdb
