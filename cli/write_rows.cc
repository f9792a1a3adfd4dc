// SPDX-License-Identifier: Apache-2.0
#include "write_rows.h"

#include <fmt/format.h>

#include "format_cell.h"

namespace varve::cli {

void AddRowFlags(VerbLine* verb, RowFlags* flags) {
  verb->Add("--format", &flags->format, "table, csv, json, arrow or parquet").NotEmpty();
  verb->Add("-o,--output", &flags->output,
            "Write this file, whole or not at all; format by extension (.gz, .zst too)")
      .NotEmpty();
  verb->AddFlag("--yes", &flags->yes, "Overwrite the file of -o when it exists");
}

Done CheckRowFlags(const Session& session, const RowFlags& flags) {
  if (session.json && flags.output.empty() && !flags.format.empty() && flags.format != "json") {
    return WrongUsage("--json and --format " + flags.format + " exclude each other");
  }
  return {};
}

Outcome<OutputOptions> MakeOutputOptions(const Session& session, const RowFlags& flags) {
  CLI_ASSIGN(const bool color, session.UseColor());
  const OutputOptions output{flags.format, flags.output, session.json, color, flags.yes};
  CLI_TRY(ChooseFormat(output));
  return output;
}

Outcome<ExitCode> WriteRows(const Session& session, const OutputOptions& output,
                            arrow::RecordBatchReader* reader) {
  CLI_ASSIGN(auto writer, OpenOutput(output, reader->schema()));
  std::uint64_t rows = 0;
  CLI_TRY(ReadAll(reader, [&](const arrow::RecordBatch& batch) -> Done {
    rows += static_cast<std::uint64_t>(batch.num_rows());
    return writer->Write(batch);
  }));
  CLI_TRY(writer->Finish());
  if (output.path.empty()) return kExitDone;
  CLI_TRY(PrintResult(session, {{"file", output.path}, {"rows", rows}},
                      fmt::format("wrote {} to {}\n", Counted(rows, "row"), output.path)));
  return kExitDone;
}

}  // namespace varve::cli
