// SPDX-License-Identifier: Apache-2.0
// 1. Append units, open the log again, get them back. What is acknowledged as durable survives
// kill -9 and power cuts; here the process only goes away without closing.
//
//   usage: log_01_append_and_recover FOLDER
#include <varve/log.h>

#include <cinttypes>
#include <string>
#include <vector>

#include "expect.h"
#include "new_folder.h"

int main(int argc, char** argv) {
  const std::string folder = NewFolder(argc, argv);
  std::vector<std::uint64_t> positions;
  {
    // Opening makes the log when there is none. The callback gets every unit there is, in order.
    const auto log = OrDie(varve::Log::Open(folder, {},
                                            [](const varve::LogUnit&) {
                                              Expect(false, "a new log has no unit");
                                              return varve::Status();
                                            }),
                           "open");
    // A unit is one or more records, kept or lost together. Append returns when it is durable.
    for (const std::string name : {"ada", "grace", "edsger"}) {
      const auto ack = OrDie(log->Append({"account " + name, std::string("balance 0")}), "append");
      std::printf("unit at LSN %" PRIu64 ", %" PRIu64 " bytes, durable after %" PRId64 " us\n",
                  ack.lsn.value, ack.bytes, ack.wait_micros);
      positions.push_back(ack.lsn.value);
    }
    // A weaker promise for this unit: handed to the operating system, which survives a kill.
    const auto note = OrDie(log->Append({"a note"}, varve::AckLevel::kWritten), "append");
    positions.push_back(note.lsn.value);
    const auto at = log->positions();
    std::printf("appended %" PRIu64 " >= written %" PRIu64 " >= durable %" PRIu64 "\n",
                at.appended.value, at.written.value, at.durable.value);
    Expect(at.appended >= at.written && at.written >= at.durable, "the order of positions");
  }  // no Close: as after a crash

  std::vector<std::uint64_t> read;
  const auto log = OrDie(varve::Log::Open(folder, {},
                                          [&read](const varve::LogUnit& unit) {
                                            read.push_back(unit.lsn.value);
                                            for (const auto& record : unit.records) {
                                              const std::string text(record.bytes);
                                              std::printf("  %" PRIu64 ": %s\n", unit.lsn.value,
                                                          text.c_str());
                                            }
                                            return varve::Status();
                                          }),
                         "open again");
  const auto& report = log->recovery();
  std::printf("recovered %" PRIu64 " units, %" PRIu64 " records; %" PRIu64 " torn bytes\n",
              report.units, report.records, report.torn_bytes);
  Expect(read == positions, "the same units at the same positions");
  OrDie(log->Close(), "close");
  return 0;
}
