// SPDX-License-Identifier: Apache-2.0
// varve inspect: what a file is, and what is in it, up to the first damage.
#include <fmt/format.h>

#include "commands.h"
#include "process.h"
#include "varve/inspect.h"

namespace varve::cli {
namespace {

struct InspectArguments {
  std::string path;
  bool data_key = false;
};

Outcome<ExitCode> ShowDataKey(const Session& session, const InspectArguments& options) {
  CLI_ASSIGN(KeyProvider* const keys, session.Keys());
  if (keys == nullptr) return WrongUsage("--data-key needs --key-file");
  CLI_ASSIGN(const std::string key, DataKeyOf(options.path, keys));
  std::string hex;
  for (const char byte : key) hex += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  CLI_TRY(PrintResult(session, {{"path", options.path}, {"data_key", hex}}, hex + "\n"));
  return kExitDone;
}

Outcome<ExitCode> Run(const Session& session, const InspectArguments& options) {
  CLI_TRY(RefuseRemote(options.path));
  if (options.data_key) return ShowDataKey(session, options);
  CLI_ASSIGN(KeyProvider* const keys, session.Keys());
  Json lines = Json::array();
  Done printed;
  const auto kind = InspectFile(options.path, [&](std::string_view line) {
    if (session.json) {
      lines.push_back(line);
    } else if (printed) {
      printed = Print(std::string(line) + "\n");
    }
  }, {}, keys);
  CLI_TRY(printed);
  if (session.json && (kind || kind.error().kind() == ErrorKind::kCorruption)) {
    const Json name = kind ? Json(ToString(*kind)) : Json();  // of a damaged file: null
    const Json damage = kind ? Json() : Json(kind.error().message());
    CLI_TRY(PrintJson({{"path", options.path},
                       {"kind", name},
                       {"lines", std::move(lines)},
                       {"damage", damage}}));
  }
  if (!kind && kind.error().reason() == ErrorReason::kMissingKey) {
    return std::unexpected(MissingKey(session, kind.error()));
  }
  if (!kind) return std::unexpected(Failure(kind.error()));
  if (*kind != FileKind::kUnknown) return kExitDone;
  return std::unexpected(Failure(Error(ErrorKind::kInvalid,
                                       options.path + ": is no log segment, manifest or run of "
                                                      "varve, or its start is damaged",
                                       ErrorReason::kUnsupportedFormat)));
}

}  // namespace

void AddInspect(CLI::App* app, Session* session) {
  auto [verb, options] = AddVerb<InspectArguments>(
      app, session, "inspect",
      "Say what a file is and dump its headers and footers, up to the first damage there (exit "
      "6); verify reads all of it",
      "varve inspect flights.varve/manifest/00000000000000000001", Run);
  verb.Add("PATH", &options->path, "A log segment, manifest or Parquet file").Required();
  verb.AddFlag("--data-key", &options->data_key,
               "Print the key of an encrypted Parquet file, in hex, for other readers, and nothing "
               "else; whoever has it can read the file");
}

}  // namespace varve::cli
