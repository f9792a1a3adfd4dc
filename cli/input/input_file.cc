// SPDX-License-Identifier: Apache-2.0
#include "input/input_file.h"

#include <arrow/buffer.h>
#include <arrow/io/compressed.h>
#include <arrow/util/compression.h>
#include <arrow/util/io_util.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "process.h"

namespace varve::cli {
namespace {

struct Named {
  std::string_view extension;
  InputFormat format;
};
constexpr Named kFormats[] = {
    {"csv", InputFormat::kCsv},         {"tsv", InputFormat::kTsv},
    {"jsonl", InputFormat::kJsonLines}, {"json", InputFormat::kJsonLines},
    {"ndjson", InputFormat::kJsonLines}, {"parquet", InputFormat::kParquet},
    {"arrow", InputFormat::kArrow},     {"feather", InputFormat::kArrow},
    {"ipc", InputFormat::kArrow},       {"arrows", InputFormat::kArrow}};

struct Description {
  InputFormat format;
  arrow::Compression::type compression;
};

bool TakeSuffix(std::string* text, std::string_view suffix) {
  if (!text->ends_with(suffix)) return false;
  text->resize(text->size() - suffix.size());
  return true;
}

// Reads "csv.gz" from the end of a file name or from --input-format.
std::optional<Description> Describe(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  auto compression = arrow::Compression::UNCOMPRESSED;
  if (TakeSuffix(&name, ".gz")) compression = arrow::Compression::GZIP;
  else if (TakeSuffix(&name, ".zst")) compression = arrow::Compression::ZSTD;
  const std::string extension = name.substr(name.find_last_of("./") + 1);
  for (const Named& named : kFormats) {
    if (extension == named.extension) return Description{named.format, compression};
  }
  return std::nullopt;
}

bool IsText(InputFormat format) {
  return format == InputFormat::kCsv || format == InputFormat::kTsv ||
         format == InputFormat::kJsonLines;
}

Outcome<Description> DescribeInput(const std::string& path, std::string_view format) {
  if (path == "-" && format.empty()) {
    return WrongUsage(
        "reading stdin needs --input-format csv, tsv, jsonl or arrow (and .gz or .zst after it)");
  }
  const auto description = Describe(format.empty() ? path : "x." + std::string(format));
  if (!description && format.empty()) {
    return WrongUsage(path +
                      ": cannot tell the format by the extension; rename the file or give "
                      "--input-format csv, tsv, jsonl, parquet or arrow");
  }
  if (!description) {
    return WrongUsage("--input-format: expected csv, tsv, jsonl, parquet or arrow, found \"" +
                      std::string(format) + "\"");
  }
  const bool compressed = description->compression != arrow::Compression::UNCOMPRESSED;
  if (compressed && !IsText(description->format)) {
    return WrongUsage(path + ": only CSV and JSON lines are read compressed; decompress it first");
  }
  return *description;
}

// Bytes of an open file, pipe or terminal, in order.
class FdInputStream final : public arrow::io::InputStream {
 public:
  FdInputStream(std::string name, int fd) : name_(std::move(name)), fd_(fd) {}
  ~FdInputStream() override { CloseFd(); }

  arrow::Status Close() override {
    CloseFd();
    return arrow::Status::OK();
  }
  bool closed() const override { return fd_ < 0; }
  // May be asked from another thread, for progress.
  arrow::Result<std::int64_t> Tell() const override { return position_.load(); }

  arrow::Result<std::int64_t> Read(std::int64_t size, void* out) override {
    std::int64_t done = 0;
    while (done < size) {
      // A read from a pipe or terminal may last for ever: wait where an interrupt can be seen.
      if (!WaitForBytes()) return arrow::Status::Cancelled(name_, ": interrupted");
      const ssize_t n = ::read(fd_, static_cast<char*>(out) + done,
                               static_cast<std::size_t>(size - done));
      if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      if (n < 0) return arrow::internal::IOErrorFromErrno(errno, name_, ": cannot read: ",
                                                           std::strerror(errno));
      if (n == 0) break;
      done += n;
    }
    position_ += done;
    return done;
  }

  arrow::Result<std::shared_ptr<arrow::Buffer>> Read(std::int64_t size) override {
    ARROW_ASSIGN_OR_RAISE(auto buffer, arrow::AllocateResizableBuffer(size));
    ARROW_ASSIGN_OR_RAISE(const std::int64_t n, Read(size, buffer->mutable_data()));
    ARROW_RETURN_NOT_OK(buffer->Resize(n, /*shrink_to_fit=*/false));
    return std::shared_ptr<arrow::Buffer>(std::move(buffer));
  }

 private:
  // False when the user interrupted.
  bool WaitForBytes() const {
    constexpr int kPollMillis = 100;
    while (!Interrupted()) {
      pollfd wanted{fd_, POLLIN, 0};
      const int ready = ::poll(&wanted, 1, kPollMillis);
      if (ready > 0 || (ready < 0 && errno != EINTR)) return true;  // read() names the error
    }
    return false;
  }

  void CloseFd() {
    if (fd_ > STDIN_FILENO) ::close(fd_);
    fd_ = -1;
  }

  const std::string name_;
  int fd_;
  std::atomic<std::int64_t> position_ = 0;
};

Outcome<std::shared_ptr<arrow::io::InputStream>> OpenStored(const std::string& path) {
  if (path == "-") return std::make_shared<FdInputStream>("stdin", STDIN_FILENO);
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return SystemFailure(path + ": cannot read", errno);
  if (S_ISDIR(info.st_mode)) return WrongUsage(path + ": is a folder; name the files in it");
  // The writer of a named pipe is waited for while reading, where an interrupt is seen.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return SystemFailure(path + ": cannot read", errno);
  return std::make_shared<FdInputStream>(path, fd);
}

bool IsRegularFile(const std::string& path) {
  struct stat info {};
  return path != "-" && ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

bool IsPipe(const std::string& path) {
  struct stat info {};
  if (path == "-") return true;
  return ::stat(path.c_str(), &info) == 0 && (S_ISFIFO(info.st_mode) || S_ISCHR(info.st_mode));
}

}  // namespace

Done CheckInputFile(const std::string& path, std::string_view format) {
  // The writer of a pipe takes the second opening for the end.
  if (IsPipe(path)) {
    CLI_TRY(DescribeInput(path, format));
  } else {
    CLI_TRY(OpenInputFile(path, format));
  }
  return {};
}

Outcome<InputFile> OpenInputFile(const std::string& path, std::string_view format) {
  InputFile file;
  CLI_ASSIGN(file.stored, OpenStored(path));
  CLI_ASSIGN(const Description description, DescribeInput(path, format));
  file.path = path;
  file.name = path == "-" ? "stdin" : path;
  file.is_regular = IsRegularFile(path);
  file.format = description.format;
  file.plain = file.stored;
  if (description.compression == arrow::Compression::UNCOMPRESSED) return file;
  CLI_ARROW(auto codec, arrow::util::Codec::Create(description.compression));
  CLI_ARROW(file.plain, arrow::io::CompressedInputStream::Make(codec.get(), file.stored));
  file.codec = std::move(codec);
  return file;
}

std::uint64_t InputBytes(const std::string& path) {
  struct stat info {};
  if (path == "-" || ::stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return 0;
  return static_cast<std::uint64_t>(info.st_size);
}

}  // namespace varve::cli
