// SPDX-License-Identifier: Apache-2.0
// 9. Archive and restore. Segments go to a second place while the log is written; a restore gives
// the log back, whole or up to a position. It knows positions, not times: whoever wants "as it was
// at five past two" writes times into records, or notes LogAck::end with the time, as here.
//
//   usage: log_09_archive FOLDER      (also FOLDER.archive, FOLDER.whole, FOLDER.earlier)
#include <varve/log.h>
#include <varve/log_archive.h>

#include <cinttypes>
#include <string>
#include <vector>

#include "expect.h"
#include "new_folder.h"

namespace {

constexpr int kUnits = 100;

struct Bookmark {
  std::string when;  // what your clock says
  varve::Lsn end;    // of the last unit until then
};

varve::Status Ignore(const varve::LogUnit&) { return {}; }

// Appends, and archives in between; gives the moment in the middle.
Bookmark Live(const std::string& folder, varve::LogArchive* archive) {
  Bookmark noon;
  const auto log = OrDie(varve::Log::Open(folder, {}, Ignore), "open");
  {
    // Ends before the log. With `.interval_ms = 1000` it would archive by itself.
    const auto archiver = OrDie(varve::LogArchiver::Open(log.get(), folder, archive), "archiver");
    for (int i = 1; i <= kUnits; ++i) {
      const auto ack = OrDie(log->Append({"order " + std::to_string(i)}), "append");
      if (i == kUnits / 2) noon = {"12:00", ack.end};
      if (i % 25 == 0) OrDie(archiver->ArchiveNow(), "archive");
    }
    const auto status = archiver->status();
    std::printf("%" PRIu64 " objects, archived up to %" PRIu64 ", %" PRIu64 " bytes behind\n",
                status.objects, status.archived.value, status.lag_bytes);
    Expect(status.archived >= log->positions().durable, "all that is durable is in the archive");
  }
  OrDie(log->Close(), "close");
  return noon;
}

std::vector<std::string> Restore(varve::LogArchive* archive, const std::string& to,
                                 varve::Lsn until) {
  const auto report = OrDie(varve::RestoreLog(archive, to, {.until = until}), "restore");
  std::vector<std::string> orders;
  const auto read = [&orders](const varve::LogUnit& unit) {
    orders.emplace_back(unit.records[0].bytes);
    return varve::Status();
  };
  varve::LogOptions to_read;
  to_read.read_only = true;
  const auto log = OrDie(varve::Log::Open(to, to_read, read), "open what is restored");
  Expect(report.units == orders.size(), "the report tells what is there");
  std::printf("%s: %zu orders, the last is %s\n", to.c_str(), orders.size(),
              orders.back().c_str());
  return orders;
}

// A log that was put back and went on has another history: it needs an archive of its own.
void GoOn(const std::string& earlier, varve::LogArchive* first, const std::string& second) {
  const auto log = OrDie(varve::Log::Open(earlier, {}, Ignore), "go on");
  OrDie(log->Append({"another order"}), "append");
  {
    const auto refused = OrDie(varve::LogArchiver::Open(log.get(), earlier, first), "archiver");
    const auto outcome = refused->ArchiveNow();
    Expect(!outcome, "the archive keeps the history it has");
    std::printf("refused: %s\n", outcome.error().message().c_str());
  }
  const auto own = varve::NewFolderArchive(second);
  const auto archiver = OrDie(varve::LogArchiver::Open(log.get(), earlier, own.get()), "archiver");
  OrDie(archiver->ArchiveNow(), "archive anew");
}

}  // namespace

int main(int argc, char** argv) {
  const std::string folder = NewFolder(argc, argv);
  const auto archive = varve::NewFolderArchive(folder + ".archive");
  const auto noon = Live(folder, archive.get());
  Expect(Restore(archive.get(), folder + ".whole", {}).size() == kUnits, "every order");
  std::printf("as it was at %s, which is position %" PRIu64 ":\n", noon.when.c_str(),
              noon.end.value);
  Expect(Restore(archive.get(), folder + ".earlier", noon.end).size() == kUnits / 2,
         "the orders until then and no other");
  GoOn(folder + ".earlier", archive.get(), folder + ".archive2");
  return 0;
}
