// SPDX-License-Identifier: Apache-2.0
// A program of its own that is told over a pipe what to do next: one line a command, and one line
// of JSON back. So what runs in two processes can take turns as well.
#pragma once

#include <sys/types.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace varve::bench {

class ChildProcess {
 public:
  // The program and its arguments. Ends this one when it cannot be started.
  explicit ChildProcess(const std::vector<std::string>& command);
  ~ChildProcess();  // closes its input, and waits for its end
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  nlohmann::json Ask(const std::string& command);

 private:
  const std::string name_;
  pid_t child_ = -1;
  std::FILE *commands_ = nullptr, *answers_ = nullptr;
};

}  // namespace varve::bench
