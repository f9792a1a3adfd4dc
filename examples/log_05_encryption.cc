// SPDX-License-Identifier: Apache-2.0
// 5. Encryption and key rotation. The log makes a data key per segment and keeps it wrapped by a
// key of ours, which it knows by name. A new name wraps from the next segment on; the old key can
// go when the segments that need it are gone. (Real keys come from a key service.)
//
//   usage: log_05_encryption FOLDER
#include <varve/log.h>

#include <map>
#include <string>

#include "expect.h"
#include "new_folder.h"

namespace {

class Keys : public varve::KeyProvider {
 public:
  varve::Result<std::string> CurrentKeyId() override { return current; }
  varve::Result<std::string> Key(std::string_view name) override {
    const auto found = keys.find(name);
    if (found != keys.end()) return found->second;
    return std::unexpected(varve::Error(varve::ErrorKind::kNotFound, "no such key"));
  }

  // Changed here only while no log uses them; else a mutex is needed.
  std::string current = "2025";
  std::map<std::string, std::string, std::less<>> keys = {{"2025", std::string(32, 'a')}};
};

varve::Result<std::unique_ptr<varve::Log>> Open(const std::string& folder, Keys* keys,
                                                std::string* read) {
  varve::LogOptions options;
  options.keys = keys;
  return varve::Log::Open(folder, options, [read](const varve::LogUnit& unit) {
    for (const auto& record : unit.records) *read += std::string(record.bytes) + ";";
    return varve::Status();
  });
}

void ExpectRefused(const std::string& folder, Keys* keys, varve::ErrorReason reason) {
  std::string read;
  const auto log = Open(folder, keys, &read);
  Expect(!log && log.error().reason() == reason, "a refusal that tells why");
  std::printf("refused, %s: %s\n", std::string(ToString(reason)).c_str(),
              log.error().message().c_str());
}

}  // namespace

int main(int argc, char** argv) {
  const std::string folder = NewFolder(argc, argv);
  Keys keys;
  std::string read;
  OrDie(OrDie(Open(folder, &keys, &read), "open")->Append({"secret of 2025"}), "append");

  keys.keys["2026"] = std::string(32, 'b');  // rotation: a new key under a new name
  keys.current = "2026";
  OrDie(OrDie(Open(folder, &keys, &read), "open")->Append({"secret of 2026"}), "append");

  ExpectRefused(folder, nullptr, varve::ErrorReason::kMissingKey);
  Keys wrong;
  wrong.keys["2025"] = std::string(32, 'x');
  ExpectRefused(folder, &wrong, varve::ErrorReason::kWrongKey);

  read.clear();
  const auto log = OrDie(Open(folder, &keys, &read), "open with both keys");
  std::printf("read: %s\n", read.c_str());
  Expect(read == "secret of 2025;secret of 2026;", "both secrets");

  // The segments of 2025 go, and then its key may.
  const auto ack = OrDie(log->Append({"secret of now"}), "append");
  OrDie(log->TruncateBefore(ack.lsn), "truncate");
  OrDie(log->Close(), "close");
  keys.keys.erase("2025");
  read.clear();
  OrDie(Open(folder, &keys, &read), "open without the old key");
  Expect(read == "secret of now;", "what was kept");
  return 0;
}
