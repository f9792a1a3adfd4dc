// SPDX-License-Identifier: Apache-2.0
// What stands in for a rival whose library was not there: nothing, said openly.
#include "bench/versions/groups.h"
#include "bench/versions/rivals.h"
#include "bench/versions/store.h"

namespace varve::bench {

#ifndef VARVE_HAS_ROCKSDB
StorePtr OpenRocksDbStore(const std::string&, std::uint64_t, bool) { return nullptr; }
KeyValuePtr OpenRocksDbKeyValue(const std::string&, std::int64_t) { return nullptr; }
TransactorPtr OpenRocksDbTransactor(const std::string&, std::int64_t) { return nullptr; }
#endif
#ifndef VARVE_HAS_SQLITE3
StorePtr OpenSqliteStore(const std::string&, std::uint64_t) { return nullptr; }
#endif

}  // namespace varve::bench
