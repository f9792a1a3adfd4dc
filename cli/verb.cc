// SPDX-License-Identifier: Apache-2.0
#include "verb.h"

#include <CLI/CLI.hpp>

#include "session.h"

namespace varve::cli {

Argument Argument::Required() {
  option_->required();
  return *this;
}

Argument Argument::NotEmpty() {
  option_->check(CLI::Validator(
      [](const std::string& text) { return std::string(text.empty() ? "expected a value" : ""); },
      ""));
  return *this;
}

Argument Argument::Type(const char* name) {
  option_->type_name(name);
  return *this;
}

Argument Argument::OneEachTime() {
  // The first two are what --help then says, the last is what the parser does.
  option_->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  option_->allow_extra_args(false);
  return *this;
}

VerbLine::VerbLine(CLI::App* parent, Session* session, const std::string& name,
                   const std::string& description, const std::string& example)
    : app_(parent->add_subcommand(name, description)) {
  AddFlag("--json", &session->json, "Print JSON, errors too");
  Add("--color", &session->color_flag, "auto, always or never").Type("WHEN");
  app_->footer("\nExample:\n  " + example);
}

Argument VerbLine::Add(const char* name, std::string* to, const char* help) {
  return Argument(app_->add_option(name, *to, help));
}

Argument VerbLine::Add(const char* name, std::vector<std::string>* to, const char* help) {
  return Argument(app_->add_option(name, *to, help));
}

Argument VerbLine::AddFlag(const char* name, bool* to, const char* help) {
  return Argument(app_->add_flag(name, *to, help));
}

void VerbLine::OnChosen(std::function<void()> chosen) { app_->callback(std::move(chosen)); }

}  // namespace varve::cli
