// SPDX-License-Identifier: Apache-2.0
// A verb of the command line and what it takes. The parser's own header is included by verb.cc and
// main.cc alone: it costs ten seconds a file.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "failure.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace varve::cli {

struct Session;

// One option or positional argument; the calls chain.
class Argument {
 public:
  explicit Argument(CLI::Option* option) : option_(option) {}

  Argument Required();
  // An empty value is a mistake and does not pass for none: --where "" is not every row.
  Argument NotEmpty();
  // What --help calls the value.
  Argument Type(const char* name);
  // For what may come several times: one value each time, so that a positional can follow.
  Argument OneEachTime();

 private:
  CLI::Option* option_;
};

// The flags and arguments of a verb. A name with dashes is an option, one without is positional;
// the value goes to `to` when the command line is parsed.
class VerbLine {
 public:
  // Adds a verb with --json, --color, --help and an example.
  VerbLine(CLI::App* parent, Session* session, const std::string& name,
           const std::string& description, const std::string& example);

  Argument Add(const char* name, std::string* to, const char* help);
  Argument Add(const char* name, std::vector<std::string>* to, const char* help);
  Argument AddFlag(const char* name, bool* to, const char* help);
  // Called when this verb is the chosen one.
  void OnChosen(std::function<void()> chosen);

 private:
  CLI::App* app_;
};

// A verb of the parser, and the options that it binds to its flags.
template <typename Options>
struct Verb {
  VerbLine line;
  std::shared_ptr<Options> options;
};

}  // namespace varve::cli
