// SPDX-License-Identifier: Apache-2.0
// Who else looks rows up, and who else has transactions: RocksDB, one value a row.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace varve::bench {

using Keys = std::vector<std::int64_t>;

// Rows to look up, all of them in memory. Gives the bytes it found.
class KeyValue {
 public:
  virtual ~KeyValue() = default;
  virtual std::string Settings() const = 0;
  virtual std::uint64_t Get(std::int64_t key) = 0;
  virtual std::uint64_t GetMany(const Keys& keys) = 0;
};
using KeyValuePtr = std::unique_ptr<KeyValue>;

// Transactions that read some keys and write them anew.
class Transactor {
 public:
  virtual ~Transactor() = default;
  virtual std::string Settings() const = 0;
  // False: a conflict. `one_by_one`: each read and write is a call of its own.
  virtual bool Transact(const Keys& keys, bool one_by_one) = 0;
};
using TransactorPtr = std::unique_ptr<Transactor>;

// Null when the library was not there. `rows`: the keys below are loaded.
KeyValuePtr OpenRocksDbKeyValue(const std::string& dir, std::int64_t rows);
TransactorPtr OpenRocksDbTransactor(const std::string& dir, std::int64_t rows);

}  // namespace varve::bench
