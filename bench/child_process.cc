// SPDX-License-Identifier: Apache-2.0
#include "bench/child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/slice.h"

namespace varve::bench {

ChildProcess::ChildProcess(const std::vector<std::string>& command) : name_(command.front()) {
  int commands[2], answers[2];
  // Closed on exec, so that no other child holds an end of them open.
  if (::pipe2(commands, O_CLOEXEC) != 0 || ::pipe2(answers, O_CLOEXEC) != 0) {
    Die("no pipes for " + name_);
  }
  std::vector<char*> words;
  for (const auto& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  child_ = ::fork();
  if (child_ == 0) {
    ::dup2(commands[0], STDIN_FILENO);
    ::dup2(answers[1], STDOUT_FILENO);
    ::execv(words[0], words.data());
    ::_exit(127);
  }
  if (child_ < 0) Die("no process for " + name_);
  ::close(commands[0]);
  ::close(answers[1]);
  commands_ = ::fdopen(commands[1], "w");
  answers_ = ::fdopen(answers[0], "r");
}

ChildProcess::~ChildProcess() {
  std::fclose(commands_);  // it ends
  std::fclose(answers_);
  ::waitpid(child_, nullptr, 0);
}

nlohmann::json ChildProcess::Ask(const std::string& command) {
  fmt::print(commands_, "{}\n", command);
  std::fflush(commands_);
  char line[4096];
  if (std::fgets(line, sizeof line, answers_) == nullptr) Die(name_ + " ended at: " + command);
  return nlohmann::json::parse(line);
}

}  // namespace varve::bench
