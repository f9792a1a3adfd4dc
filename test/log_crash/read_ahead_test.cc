// SPDX-License-Identifier: Apache-2.0
// Every read of a recovery that reads ahead fails, once or with all later ones: the recovery fails
// with that error, or everything comes back. An error of the disk is never an end, nor damage.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <vector>

#include "base/executor.h"
#include "test/support/faulty_files.h"
#include "test/log_crash/victim.h"

namespace varve::testing {
namespace {

using Case = std::tuple<LogVariant, VictimPlan>;
std::string NameOf(const ::testing::TestParamInfo<Case>& test) {
  return std::string(std::get<0>(test.param).name) + "_" + std::get<1>(test.param).name;
}

class LogReadAhead : public ::testing::TestWithParam<Case> {
 protected:
  LogReadAhead() : victim_(std::get<1>(GetParam()), std::get<0>(GetParam()), 31) {}

  // Whether everything came back; if not, what it says is checked. Counts the reads.
  bool Recovers(const Fault& fault) {
    const auto disk = victim_.disk.Clone();
    const auto before = disk->Fingerprint();
    FaultyFiles files(disk.get());
    files.Arm(fault);
    ManualExecutor executor;
    auto options = victim_.options;
    options.read_only = true;
    std::vector<SeenUnit> seen;
    const auto replay = [&seen](const LogUnit& unit) {
      seen.push_back({unit.lsn, BytesOf(unit)});
      return Status();
    };
    const auto log = Log::Open(kLifeDir, options, replay, {.read_ahead_bytes = kReadAheadLittle},
                               {.files = &files, .executor = &executor});
    reads_ = files.calls(CallKind::kRead);
    EXPECT_FALSE(executor.RunOne()) << "a task was left behind";
    EXPECT_EQ(disk->Fingerprint(), before);
    if (log) {
      EXPECT_EQ(seen, victim_.units);
      return true;
    }
    EXPECT_EQ(log.error().reason(), ErrorReason::kIo) << log.error().message();
    EXPECT_TRUE(files.hit());
    return false;
  }

  const Victim victim_;
  std::uint64_t reads_ = 0;
};

TEST_P(LogReadAhead, AReadErrorIsNeitherAnEndNorDamage) {
  ASSERT_TRUE(Recovers({}));
  const auto reads = reads_;
  std::uint64_t survived = 0, failed = 0;
  for (std::uint64_t n = 1; n <= reads && !HasFailure(); ++n) {
    SCOPED_TRACE(fmt::format("read {} of {}", n, reads));
    ++(Recovers({.kind = CallKind::kRead, .nth = n}) ? survived : failed);
    ++(Recovers({.kind = CallKind::kRead, .nth = n, .for_ever = true}) ? survived : failed);
  }
  EXPECT_GT(failed, reads / 2);
  EXPECT_GT(survived, 0u) << "no error was met while reading ahead: a test that cannot fail";
}

INSTANTIATE_TEST_SUITE_P(
    All, LogReadAhead,
    ::testing::Combine(::testing::ValuesIn(AllVariants().begin(), AllVariants().end()),
                       ::testing::ValuesIn(AllVictimPlans().begin(), AllVictimPlans().end())),
    NameOf);

}  // namespace
}  // namespace varve::testing
