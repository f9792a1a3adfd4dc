// SPDX-License-Identifier: Apache-2.0
#include "bench/versions/duckdb_api.h"

#include <dlfcn.h>

#include "bench/slice.h"

namespace varve::bench::duckdb {
namespace {

Api api;
bool loaded = false;

template <typename Function>
void Find(void* library, const char* name, Function* function) {
  *function = reinterpret_cast<Function>(::dlsym(library, name));
  if (*function == nullptr) Die(std::string("DuckDB's library has no ") + name);
}

void FindAll(void* library) {
#define VARVE_FIND(name) Find(library, "duckdb_" #name, &api.name)
  VARVE_FIND(library_version);
  VARVE_FIND(open);
  VARVE_FIND(close);
  VARVE_FIND(connect);
  VARVE_FIND(disconnect);
  VARVE_FIND(query);
  VARVE_FIND(destroy_result);
  VARVE_FIND(result_error);
  VARVE_FIND(row_count);
  VARVE_FIND(value_int64);
  VARVE_FIND(appender_create);
  VARVE_FIND(appender_flush);
  VARVE_FIND(appender_destroy);
  VARVE_FIND(appender_error);
  VARVE_FIND(append_data_chunk);
  VARVE_FIND(create_logical_type);
  VARVE_FIND(destroy_logical_type);
  VARVE_FIND(create_data_chunk);
  VARVE_FIND(destroy_data_chunk);
  VARVE_FIND(data_chunk_reset);
  VARVE_FIND(data_chunk_set_size);
  VARVE_FIND(data_chunk_get_vector);
  VARVE_FIND(vector_get_data);
  VARVE_FIND(vector_assign_string_element_len);
  VARVE_FIND(vector_size);
#undef VARVE_FIND
}

}  // namespace

std::string Load(const std::string& library, const std::string& python) {
  if (library.empty()) return "DuckDB's wheel is not installed";
  const auto why = [] {
    const char* error = ::dlerror();
    return std::string(error == nullptr ? "unknown" : error);
  };
  if (::dlopen(python.c_str(), RTLD_NOW | RTLD_GLOBAL) == nullptr) return why();
  void* const handle = ::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) return why();
  FindAll(handle);
  loaded = true;
  return "";
}

const Api* Loaded() { return loaded ? &api : nullptr; }

Connection::Connection(const std::string& path) : api_(api) {
  if (api_.open(path.empty() ? nullptr : path.c_str(), &database_) != 0 ||
      api_.connect(database_, &connection_) != 0) {
    Die("DuckDB cannot open '" + path + "'");
  }
}

Connection::~Connection() {
  api_.disconnect(&connection_);
  api_.close(&database_);
}

QueryResult Connection::Query(const std::string& sql) {
  QueryResult result{};
  if (api_.query(connection_, sql.c_str(), &result) != 0) {
    Die("DuckDB: " + std::string(api_.result_error(&result)));
  }
  return result;
}

void Connection::Run(const std::string& sql) {
  auto result = Query(sql);
  api_.destroy_result(&result);
}

std::int64_t Connection::Number(const std::string& sql) {
  auto result = Query(sql);
  const auto number = api_.value_int64(&result, 0, 0);
  api_.destroy_result(&result);
  return number;
}

std::int64_t Connection::Rows(const std::string& sql) {
  auto result = Query(sql);
  const auto rows = static_cast<std::int64_t>(api_.row_count(&result));
  api_.destroy_result(&result);
  return rows;
}

}  // namespace varve::bench::duckdb
