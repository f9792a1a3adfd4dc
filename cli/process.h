// SPDX-License-Identifier: Apache-2.0
// The command's one seam to its process: clocks, signals, the terminal, stdout, and files that are
// replaced whole. Everything else in cli/ is a function of its arguments.
#pragma once

#include <arrow/io/interfaces.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "failure.h"
#include "varve/types.h"

namespace varve::cli {

double SteadySeconds();
WallTime WallNow();

// Opens /dev/null as stdin, stdout and stderr where the caller closed them: a file of the database
// must not be given their place. Call it first.
void OpenStandardFiles();

// SIGPIPE becomes an error of the write; the first SIGINT or SIGTERM sets Interrupted(), the second
// ends the process at once.
void HandleSignals();
bool Interrupted();
// The failure of a verb that stopped because of Interrupted().
std::unexpected<Failure> InterruptedFailure(std::string message);

// Reads what stdin has, up to `bytes`, and waits when it has nothing; 0 at its end. Errors: those
// of the read; InterruptedFailure.
Outcome<std::size_t> ReadStdin(char* to, std::size_t bytes);

bool IsTerminal(int fd);
int TerminalColumns();  // 80 when unknown

// Standard output, buffered. A reader that went away (`| head`) is remembered in closed(); writes
// then fail with Cancelled, and main ends quietly.
class StdoutStream final : public arrow::io::OutputStream {
 public:
  arrow::Status Write(const void* data, std::int64_t size) override;
  arrow::Status Flush() override;
  arrow::Status Close() override { return Flush(); }
  arrow::Result<std::int64_t> Tell() const override { return written_; }
  bool closed() const override { return closed_; }

 private:
  std::string buffer_;
  std::int64_t written_ = 0;
  bool closed_ = false;
};
const std::shared_ptr<StdoutStream>& Stdout();

// Writes to stdout's buffer; main flushes it.
Done Print(std::string_view text);
// Hands stdout's buffer on, now. A reader that went away is no failure here: see closed().
Done FlushStdout();
// Writes to stderr, at once.
void PrintError(std::string_view text);

// A file that appears under its name complete and synced, or not at all: written under a temporary
// name beside it, renamed by Commit, removed by the destructor otherwise.
class ReplacedFile final : public arrow::io::OutputStream {
 public:
  static Outcome<std::shared_ptr<ReplacedFile>> Open(const std::string& path);
  ~ReplacedFile() override;
  Done Commit();

  arrow::Status Write(const void* data, std::int64_t size) override;
  arrow::Status Close() override { return arrow::Status::OK(); }  // Commit closes the file
  arrow::Result<std::int64_t> Tell() const override { return written_; }
  bool closed() const override { return fd_ < 0; }

 private:
  ReplacedFile(std::string path, std::string temporary, int fd)
      : path_(std::move(path)), temporary_(std::move(temporary)), fd_(fd) {}

  const std::string path_;
  const std::string temporary_;
  int fd_;
  std::int64_t written_ = 0;
};

}  // namespace varve::cli
