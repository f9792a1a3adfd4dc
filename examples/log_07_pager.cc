// SPDX-License-Identifier: Apache-2.0
// 7. A tiny pager on the log: accounts in pages of one file, money moved between two pages at a
// time. Kill it at any moment: every transfer that was printed is there, and no money is lost or
// made.
//
//   usage: log_07_pager FOLDER                  250 transfers, reopened, checked
//          log_07_pager FOLDER transfer COUNT   moves money; prints the number of each transfer
//          log_07_pager FOLDER check            prints "<transfers> <sum of all accounts>"
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <varve/log_pages.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "expect.h"

namespace {

constexpr std::uint64_t kPageBytes = 512;
constexpr std::uint64_t kAccounts = 64;  // pages 1 to 64; page 0 counts transfers
// A page holds how far its account is from this: so a page of zeros is a page.
constexpr std::int64_t kFirstBalance = 1000;

varve::Error SystemError(const char* what) {
  return varve::Error(varve::ErrorKind::kUnavailable, std::string(what) + ": " + strerror(errno),
                      varve::ErrorReason::kIo);
}

// The pages: all in memory, written to their file by Flush.
class PageFile final : public varve::PageSink {
 public:
  explicit PageFile(const std::string& path)
      : file_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)),
        folder_(::open(std::string(path, 0, path.rfind('/')).c_str(), O_RDONLY | O_CLOEXEC)),
        pages_((kAccounts + 1) * kPageBytes, '\0') {
    // What the file has not is zeros. What a crash left half written is in the log, whole.
    if (::pread(file_, pages_.data(), pages_.size(), 0) < 0) std::perror("pages");
  }
  ~PageFile() override {
    ::close(file_);
    ::close(folder_);
  }
  PageFile(const PageFile&) = delete;
  PageFile& operator=(const PageFile&) = delete;

  varve::Status Apply(varve::PageNumber page, std::string_view bytes) override {
    if (page.value > kAccounts) {
      return std::unexpected(varve::Error(varve::ErrorKind::kCorruption, "no such page"));
    }
    bytes.copy(Page(page.value), kPageBytes);
    return {};
  }
  varve::Status Flush() override {
    const auto bytes = ::pwrite(file_, pages_.data(), pages_.size(), 0);
    if (bytes != static_cast<ssize_t>(pages_.size())) return std::unexpected(SystemError("pwrite"));
    if (::fdatasync(file_) != 0 || ::fsync(folder_) != 0) {
      return std::unexpected(SystemError("fsync"));
    }
    return {};
  }

  std::int64_t Get(std::uint64_t page) {
    std::int64_t value;
    std::memcpy(&value, Page(page), sizeof value);
    return value;
  }
  // The page as it would be with another value.
  std::string With(std::uint64_t page, std::int64_t value) {
    std::string bytes(Page(page), kPageBytes);
    std::memcpy(bytes.data(), &value, sizeof value);
    return bytes;
  }

 private:
  char* Page(std::uint64_t page) { return pages_.data() + page * kPageBytes; }

  const int file_;
  const int folder_;
  std::string pages_;
};

varve::Status Transfer(varve::PageLog* log, PageFile* pages) {
  const auto number = pages->Get(0) + 1;
  const auto from = 1 + static_cast<std::uint64_t>(number) * 7 % kAccounts;
  const auto to = 1 + static_cast<std::uint64_t>(number) * 11 % kAccounts;
  const auto transaction = log->Begin();
  if (!transaction) return std::unexpected(transaction.error());
  const auto put = [&](std::uint64_t page, std::int64_t value) {
    return log->Put(*transaction, {page}, pages->With(page, value));
  };
  auto done = put(0, number);
  if (done && from != to) done = put(from, pages->Get(from) - 1);
  if (done && from != to) done = put(to, pages->Get(to) + 1);
  if (!done) return done;
  const auto committed = log->Commit(*transaction);
  if (!committed) return std::unexpected(committed.error());
  std::printf("%lld\n", static_cast<long long>(number));
  std::fflush(stdout);
  return number % 100 == 0 ? log->Checkpoint() : varve::Status();
}

// Moves money `transfers` times. Gives how often it was moved ever, and the sum of all accounts.
struct Totals {
  std::int64_t transfers = 0;
  std::int64_t sum = std::int64_t{kAccounts} * kFirstBalance;
};
varve::Result<Totals> Run(const std::string& folder, long transfers) {
  ::mkdir(folder.c_str(), 0700);
  PageFile pages(folder + "/pages");
  varve::LogOptions options;
  options.segment_bytes_max = 256 << 10;
  auto log = varve::Log::Open(folder + "/log", options, varve::RecoverPages(&pages, kPageBytes),
                              {.from_checkpoint = true});
  if (!log) return std::unexpected(log.error());
  varve::PageLog page_log(log->get(), &pages, {.page_bytes = kPageBytes});
  for (long i = 0; i < transfers; ++i) {
    if (auto done = Transfer(&page_log, &pages); !done) return std::unexpected(done.error());
  }
  if (auto closed = (*log)->Close(); !closed) return std::unexpected(closed.error());
  Totals totals{.transfers = pages.Get(0)};
  for (std::uint64_t page = 1; page <= kAccounts; ++page) totals.sum += pages.Get(page);
  return totals;
}

}  // namespace

int main(int argc, char** argv) {
  const bool check = argc == 3 && std::strcmp(argv[2], "check") == 0;
  const bool transfer = argc == 4 && std::strcmp(argv[2], "transfer") == 0;
  if (argc != 2 && !check && !transfer) {
    std::fprintf(stderr, "usage: log_07_pager FOLDER [transfer COUNT | check]\n");
    return 2;
  }
  if (!check) {
    OrDie(Run(argv[1], transfer ? std::strtol(argv[3], nullptr, 10) : 250), "the pager");
    if (transfer) return 0;
  }
  const auto totals = OrDie(Run(argv[1], 0), "the pager");
  std::printf("%lld %lld\n", static_cast<long long>(totals.transfers),
              static_cast<long long>(totals.sum));
  Expect(totals.sum == kAccounts * kFirstBalance, "no money is lost or made");
  Expect(argc != 2 || totals.transfers % 250 == 0, "every transfer is there");
}
