// SPDX-License-Identifier: Apache-2.0
// The steps of a life that begin scans, read a part, and the rest after whatever else happened: it
// must be the rest of what the scan showed when it was begun.
#include <fmt/format.h>

#include "test/model/life.h"

namespace varve::testing {
namespace {

constexpr std::size_t kReadersMost = 6;

}  // namespace

// Of a snapshot that is held, of a transaction, which its reader may outlive, or of now.
void Life::BeginScan() {
  last_ = "begin a scan";
  if (readers_.size() == kReadersMost) return;
  const auto from = Below(3);
  if (from == 0 && !held_.empty()) {
    const auto& held = held_[Below(held_.size())];
    last_ += " of a snapshot";
    BeginScanOf(held.tables, [&](const Picked& at, const TableScan& scan) {
      return held.snapshot->Scan(at.name, OptionsOf(scan, at.shape()));
    });
  } else if (from == 1 && !open_.empty()) {
    auto& in = open_[Below(open_.size())];
    last_ += " of a transaction";
    BeginScanOf(in.view, [&](const Picked& at, const TableScan& scan) {
      if (in.serializable) in.scanned.emplace_back(at.table->id, scan.wanted);
      return in.transaction->Scan(at.name, OptionsOf(scan, at.shape()));
    });
  } else {
    BeginScanOf(reference_.At(Visible()), [&](const Picked& at, const TableScan& scan) {
      return db_->Scan(at.name, OptionsOf(scan, at.shape()));
    });
  }
}

void Life::BeginScanOf(const Tables& tables, const MakeReader& make) {
  const auto at = PickTableOf(tables);
  if (!at) return;
  const auto scan = PickScan(at->shape(), chance_.get());
  last_ += fmt::format(", {}{}", at->name, Describe(scan));
  HalfRead half{.what = last_,
                .scan = scan,
                .table = at->table,
                .reader = Must(make(*at, scan), last_)};
  if (const auto batch = Take(half.reader->Next(), last_)) {
    half.found = ReadBatch(*scan.shape, *batch);
    readers_.push_back(std::move(half));
  } else {
    RequireRows(scan, *at->table, {}, last_);
  }
}

void Life::EndScan() {
  last_ = "end a scan";
  if (readers_.empty()) return;
  const auto which = Below(readers_.size());
  if (Below(4) > 0) ReadTheRest(&readers_[which]);  // otherwise nobody wants the rest
  readers_.erase(readers_.begin() + static_cast<std::ptrdiff_t>(which));
}

void Life::ReadTheRest(HalfRead* half) {
  auto rest = ReadRows(half->scan, half->reader.get());
  half->found.insert(half->found.end(), rest.begin(), rest.end());
  RequireRows(half->scan, *half->table, std::move(half->found), half->what + ", read later");
}

void Life::EndAllScans() {
  for (HalfRead& half : readers_) ReadTheRest(&half);
  readers_.clear();
}

}  // namespace varve::testing
