// SPDX-License-Identifier: Apache-2.0
#include "files/unleased_store.h"

#include <string>
#include <utility>

#include "base/result.h"

namespace varve {
namespace {

bool MayGo(std::string_view name) { return !name.starts_with("manifest/"); }

Error Gone(const std::string& where) {
  return Error(ErrorKind::kUnavailable,
               where + " is not there: this process reads without a lease, so the writer may have "
                       "let go of it; take a new snapshot, or open the database with a lease. If "
                       "that fails too, run verify");
}

template <typename T>
T OrGone(T result, const std::string& where) {
  if (result || result.error().kind() != ErrorKind::kNotFound) return result;
  return std::unexpected(Gone(where));
}

class UnleasedReader final : public ObjectReader {
 public:
  UnleasedReader(std::unique_ptr<ObjectReader> reader, std::string where)
      : reader_(std::move(reader)), where_(std::move(where)) {}
  std::uint64_t size() const override { return reader_->size(); }
  Status ReadAt(std::uint64_t offset, std::uint64_t size, char* into) override {
    return OrGone(reader_->ReadAt(offset, size, into), where_);
  }

 private:
  const std::unique_ptr<ObjectReader> reader_;
  const std::string where_;
};

class UnleasedStore final : public ObjectStore {
 public:
  explicit UnleasedStore(ObjectStore* store) : store_(store) {}

  Status Put(const std::string& name, std::string_view bytes) override {
    return store_->Put(name, bytes);
  }
  Status PutIfAbsent(const std::string& name, std::string_view bytes) override {
    return store_->PutIfAbsent(name, bytes);
  }
  Result<std::unique_ptr<ObjectWriter>> NewWriter(const std::string& name) override {
    return store_->NewWriter(name);
  }
  Result<std::string> Get(const std::string& name) override {
    auto bytes = store_->Get(name);
    return MayGo(name) ? OrGone(std::move(bytes), Describe(name)) : std::move(bytes);
  }
  Result<std::string> GetRange(const std::string& name, std::uint64_t offset,
                               std::uint64_t size) override {
    auto bytes = store_->GetRange(name, offset, size);
    return MayGo(name) ? OrGone(std::move(bytes), Describe(name)) : std::move(bytes);
  }
  Result<std::unique_ptr<ObjectReader>> OpenReader(const std::string& name) override {
    auto reader = store_->OpenReader(name);
    if (!MayGo(name)) return reader;
    VARVE_ASSIGN(auto found, OrGone(std::move(reader), Describe(name)));
    return std::make_unique<UnleasedReader>(std::move(found), Describe(name));
  }
  Result<ObjectInfo> Head(const std::string& name) override { return store_->Head(name); }
  Result<std::vector<ObjectInfo>> List(const std::string& prefix,
                                       const std::string& start_after) override {
    return store_->List(prefix, start_after);
  }
  Status Delete(const std::string& name) override { return store_->Delete(name); }
  std::string Describe(const std::string& name) const override { return store_->Describe(name); }

 private:
  ObjectStore* const store_;
};

}  // namespace

std::unique_ptr<ObjectStore> NewUnleasedStore(ObjectStore* store) {
  return std::make_unique<UnleasedStore>(store);
}

}  // namespace varve
