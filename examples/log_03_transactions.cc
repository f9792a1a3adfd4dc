// SPDX-License-Identifier: Apache-2.0
// 3. Transactions: units that are put together over time, side by side. Nothing of one is in the
// log before its commit; a crash leaves whole ones only.
//
//   usage: log_03_transactions FOLDER
#include <varve/log.h>

#include <cinttypes>
#include <string>
#include <vector>

#include "expect.h"
#include "new_folder.h"

namespace {

// Kinds 0 to 239 are ours to give a meaning.
constexpr varve::LogKind kDebit{1};
constexpr varve::LogKind kCredit{2};

}  // namespace

int main(int argc, char** argv) {
  const std::string folder = NewFolder(argc, argv);
  {
    const auto log = OrDie(varve::Log::Open(folder, {}, {}), "open");
    const auto rent = OrDie(log->Begin(), "begin");
    const auto gift = OrDie(log->Begin(), "begin");
    const auto mistake = OrDie(log->Begin(), "begin");
    const auto add = [&log](varve::LogTransaction to, std::string_view text, varve::LogKind kind) {
      const varve::LogRecord records[] = {{text, kind}};
      return log->AppendTo(to, records);
    };
    // They interleave; each keeps the order of its own records.
    OrDie(add(rent, "ada 700", kDebit), "debit");
    OrDie(add(gift, "grace 20", kDebit), "debit");
    OrDie(add(mistake, "edsger 1000000", kDebit), "debit");
    OrDie(add(gift, "ada 20", kCredit), "credit");
    OrDie(add(rent, "landlord 700", kCredit), "credit");

    const auto second = OrDie(log->Commit(gift), "commit");
    OrDie(log->Abort(mistake), "abort");
    const auto again = log->Commit(mistake);
    Expect(!again && again.error().kind() == varve::ErrorKind::kNotFound, "no commit after abort");
    std::printf("refused: %s\n", again.error().message().c_str());
    std::printf("the gift is durable at LSN %" PRIu64 "; the rent is still open\n",
                second.lsn.value);
    Expect(log->stats().open_transactions == 1, "one open transaction");
  }  // the rent was not committed: as if it had never begun

  std::vector<std::string> read;
  const auto log = OrDie(varve::Log::Open(folder, {},
                                          [&read](const varve::LogUnit& unit) {
                                            for (const auto& record : unit.records) {
                                              const bool debit = record.kind == kDebit;
                                              read.push_back(debit ? "debit " : "credit ");
                                              read.back() += record.bytes;
                                            }
                                            return varve::Status();
                                          }),
                         "open again");
  for (const auto& text : read) std::printf("  %s\n", text.c_str());
  Expect(read == std::vector<std::string>{"debit grace 20", "credit ada 20"}, "the gift, whole");
  OrDie(log->Close(), "close");
  return 0;
}
