// SPDX-License-Identifier: Apache-2.0
#include "view/own_rows.h"

#include <algorithm>

#include "base/result.h"

namespace varve {
namespace {

// The versions up to a commit.
class CutCursor final : public ForwardingCursor {
 public:
  CutCursor(std::unique_ptr<VersionCursor> cursor, std::uint64_t as_of)
      : ForwardingCursor(std::move(cursor)), as_of_(as_of) {}

  Status Next() override {
    VARVE_TRY(of().Next());
    return SkipLater();
  }
  Status Seek(std::string_view key) override {
    VARVE_TRY(of().Seek(key));
    return SkipLater();
  }
  std::int64_t PlainRows(std::optional<std::string_view> limit, std::uint64_t as_of) override {
    return of().PlainRows(limit, std::min(as_of, as_of_));
  }
  Status Skip(std::int64_t count) override {
    VARVE_TRY(of().Skip(count));
    return SkipLater();
  }

 private:
  Status SkipLater() {
    while (of().valid() && of().commit() > as_of_) VARVE_TRY(of().Next());
    return {};
  }

  const std::uint64_t as_of_;
};

// Own rows, numbered after everything that CutCursor lets through.
class OwnCursor final : public ForwardingCursor {
 public:
  OwnCursor(std::unique_ptr<VersionCursor> cursor, std::uint64_t above)
      : ForwardingCursor(std::move(cursor)), above_(above) {}

  std::uint64_t commit() const override { return above_ + of().commit(); }
  std::int64_t PlainRows(std::optional<std::string_view> limit, std::uint64_t as_of) override {
    return as_of == kNewest ? of().PlainRows(limit, kNewest) : 0;
  }

 private:
  const std::uint64_t above_;
};

}  // namespace

void PutOnTop(const Memtable& own, std::uint64_t statements, const std::vector<int>& columns,
              const KeyBounds& bounds, std::uint64_t as_of,
              std::vector<std::unique_ptr<VersionCursor>>* cursors) {
  for (auto& cursor : *cursors) {
    cursor = std::make_unique<CutCursor>(std::move(cursor), as_of);
  }
  auto written = std::make_unique<CutCursor>(own.NewCursor(columns, bounds), statements);
  cursors->push_back(std::make_unique<OwnCursor>(std::move(written), as_of));
}

}  // namespace varve
