// SPDX-License-Identifier: Apache-2.0
#include "process.h"

#include <arrow/util/io_util.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>

namespace varve::cli {
namespace {

constexpr std::size_t kStdoutBufferBytes = 64 << 10;

volatile std::sig_atomic_t interrupted = 0;

void OnInterrupt(int) { interrupted = 1; }

arrow::Status WriteStatus(std::string_view what, int error_number) {
  return arrow::internal::IOErrorFromErrno(error_number, what, ": cannot write: ",
                                           std::strerror(error_number));
}

// Writes all of it; 0 or errno.
int WriteAll(int fd, const char* data, std::size_t size) {
  while (size > 0) {
    const ssize_t n = ::write(fd, data, size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    data += n;
    size -= static_cast<std::size_t>(n);
  }
  return 0;
}

timespec ReadClock(clockid_t clock) {
  timespec t{};
  ::clock_gettime(clock, &t);
  return t;
}

}  // namespace

double SteadySeconds() {
  const timespec t = ReadClock(CLOCK_MONOTONIC);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

WallTime WallNow() {
  const timespec t = ReadClock(CLOCK_REALTIME);
  return {static_cast<std::int64_t>(t.tv_sec) * 1'000'000 + t.tv_nsec / 1000};
}

void OpenStandardFiles() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (::fcntl(fd, F_GETFD) < 0) (void)::open("/dev/null", O_RDWR);  // takes the lowest free one
  }
}

void HandleSignals() {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a limit on file sizes is an error of the write
  struct sigaction action {};
  action.sa_handler = OnInterrupt;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

bool Interrupted() { return interrupted != 0; }

std::unexpected<Failure> InterruptedFailure(std::string message) {
  return std::unexpected(Failure(
      Error(ErrorKind::kUnavailable, std::move(message), ErrorReason::kNone), kExitInterrupted));
}

Outcome<std::size_t> ReadStdin(char* to, std::size_t bytes) {
  // A read from a pipe or terminal may last for ever: wait where an interrupt can be seen.
  constexpr int kPollMillis = 100;
  while (!Interrupted()) {
    pollfd wanted{STDIN_FILENO, POLLIN, 0};
    const int ready = ::poll(&wanted, 1, kPollMillis);
    if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
    const ssize_t n = ::read(STDIN_FILENO, to, bytes);  // names the error of poll, too
    if (n >= 0) return static_cast<std::size_t>(n);
    if (errno != EINTR && errno != EAGAIN) return SystemFailure("stdin: cannot read", errno);
  }
  return InterruptedFailure("interrupted");
}

bool IsTerminal(int fd) { return ::isatty(fd) == 1; }

int TerminalColumns() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

arrow::Status StdoutStream::Write(const void* data, std::int64_t size) {
  if (closed_) return arrow::Status::Cancelled("stdout: its reader went away");
  buffer_.append(static_cast<const char*>(data), static_cast<std::size_t>(size));
  written_ += size;
  return buffer_.size() < kStdoutBufferBytes ? arrow::Status::OK() : Flush();
}

arrow::Status StdoutStream::Flush() {
  if (closed_ || buffer_.empty()) return arrow::Status::OK();
  const int error = WriteAll(STDOUT_FILENO, buffer_.data(), buffer_.size());
  buffer_.clear();
  if (error == EPIPE) {
    closed_ = true;
    return arrow::Status::Cancelled("stdout: its reader went away");
  }
  return error == 0 ? arrow::Status::OK() : WriteStatus("stdout", error);
}

const std::shared_ptr<StdoutStream>& Stdout() {
  static const auto stream = std::make_shared<StdoutStream>();
  return stream;
}

Done Print(std::string_view text) {
  CLI_ARROW_TRY(Stdout()->Write(text.data(), static_cast<std::int64_t>(text.size())));
  return {};
}

Done FlushStdout() {
  const arrow::Status flushed = Stdout()->Flush();
  if (!flushed.ok() && !Stdout()->closed()) return FailWith(flushed);
  return {};
}

void PrintError(std::string_view text) {
  // Nowhere is left to report that stderr cannot be written.
  (void)WriteAll(STDERR_FILENO, text.data(), text.size());
}

Outcome<std::shared_ptr<ReplacedFile>> ReplacedFile::Open(const std::string& path) {
  std::string temporary = path + ".partial-" + std::to_string(::getpid());
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd < 0) return SystemFailure(path + ": cannot write", errno);
  return std::shared_ptr<ReplacedFile>(new ReplacedFile(path, std::move(temporary), fd));
}

ReplacedFile::~ReplacedFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(temporary_.c_str());
}

Done ReplacedFile::Commit() {
  if (::fsync(fd_) != 0) return SystemFailure(path_ + ": cannot sync", errno);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
    return SystemFailure(path_ + ": cannot put the finished file in place", errno);
  }
  const int fd = std::exchange(fd_, -1);
  if (::close(fd) != 0) return SystemFailure(path_ + ": cannot close", errno);
  return {};
}

arrow::Status ReplacedFile::Write(const void* data, std::int64_t size) {
  const int error = WriteAll(fd_, static_cast<const char*>(data), static_cast<std::size_t>(size));
  if (error != 0) return WriteStatus(path_, error);
  written_ += size;
  return arrow::Status::OK();
}

}  // namespace varve::cli
