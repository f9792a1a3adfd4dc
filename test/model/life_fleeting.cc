// SPDX-License-Identifier: Apache-2.0
// The steps of a life that use the table whose rows expire.
#include "test/model/life.h"

namespace varve::testing {

void Life::UseFleeting() {
  clock_.Advance(static_cast<std::int64_t>(Below(300'000)));
  switch (Below(6)) {
    case 0:
      last_ = "a timer";
      executor_.RunLater();
      return executor_.RunAll();
    case 1: last_ = "hold fleeting"; return fleeting_->Hold(*db_);
    case 2: last_ = "read fleeting"; return CheckFleeting();
    default: break;
  }
  std::string what;
  const AckLevel ack = PickAck();
  const auto commit = Must(fleeting_->Write(db_.get(), chance_.get(), ack, &what), "fleeting");
  MakeCommit(what, commit, Newest(), ack);
}

void Life::CheckFleeting() {
  if (!fleeting_) return;
  const auto visible = Visible();
  fleeting_->Check(*db_, AsOf());
  fleeting_->Check(*db_, CommitNumber{Below(visible + 1)});
  fleeting_->CheckHeld();
}

}  // namespace varve::testing
