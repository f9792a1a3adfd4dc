// SPDX-License-Identifier: Apache-2.0
// What stands in for a peer whose library is not there: nothing, said openly.
#include "bench/peer.h"

namespace varve::bench {

#ifndef VARVE_HAS_ROCKSDB
CommitterPtr OpenRocksDb(const std::string&, bool, std::uint64_t) { return nullptr; }
#endif
#ifndef VARVE_HAS_SQLITE3
CommitterPtr OpenSqlite(const std::string&, std::uint64_t) { return nullptr; }
#endif
#ifndef VARVE_HAS_LMDB
CommitterPtr OpenLmdb(const std::string&) { return nullptr; }
#endif

}  // namespace varve::bench
