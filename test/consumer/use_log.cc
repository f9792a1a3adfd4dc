// SPDX-License-Identifier: Apache-2.0
// A program that knows varve::log and nothing else: appends, opens again, reads back.
#include <varve/log.h>

#include <cstdio>
#include <string>

#if __has_include(<arrow/api.h>)
#error "varve::log must not bring Arrow onto the include path"
#endif

int main(int argc, char** argv) {
  const std::string folder = argc > 1 ? argv[1] : "consumer.log";
  const auto ignore = [](const varve::LogUnit&) { return varve::Status(); };
  auto log = varve::Log::Open(folder, {}, ignore);
  if (!log) return std::fprintf(stderr, "open: %s\n", log.error().message().c_str()), 1;
  auto ack = (*log)->Append({"deposit 12", "from account 7"});
  if (!ack) return std::fprintf(stderr, "append: %s\n", ack.error().message().c_str()), 1;
  if (auto closed = (*log)->Close(); !closed) return 1;

  std::string read;
  auto again = varve::Log::Open(folder, {}, [&read](const varve::LogUnit& unit) {
    for (const auto& record : unit.records) read += std::string(record.bytes) + ";";
    return varve::Status();
  });
  if (!again) return std::fprintf(stderr, "reopen: %s\n", again.error().message().c_str()), 1;
  std::printf("%s\n", read.c_str());
  return read == "deposit 12;from account 7;" ? 0 : 1;
}
