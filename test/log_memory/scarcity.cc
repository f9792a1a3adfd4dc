// SPDX-License-Identifier: Apache-2.0
#include "test/log_memory/scarcity.h"

#include <dlfcn.h>
#include <pthread.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <limits>
#include <new>

namespace varve::testing {
namespace {

constexpr std::uint64_t kLarge = 64u << 10;

thread_local int rationed = 0;
std::atomic<bool> counting = false;
std::atomic<std::uint64_t> requests = 0;
std::atomic<std::uint64_t> large_bytes = 0;
std::atomic<std::uint64_t> first_refused = 0;
std::atomic<std::uint64_t> last_refused = 0;
std::atomic<int> threads_left = std::numeric_limits<int>::max();

}  // namespace

// Whether a request for so many bytes is refused.
bool IsRefused(std::size_t bytes) {
  if (rationed == 0 || !counting) return false;
  const auto number = ++requests;
  if (number >= first_refused && number <= last_refused) {
    errno = ENOMEM;
    return true;
  }
  if (bytes >= kLarge) large_bytes += bytes;
  return false;
}

bool ThreadIsRefused() { return threads_left-- <= 0; }

Rationed::Rationed() { ++rationed; }
Rationed::~Rationed() { --rationed; }
Exempt::Exempt() : before_(rationed) { rationed = 0; }
Exempt::~Exempt() { rationed = before_; }

void RefuseMemory(std::uint64_t first, std::uint64_t more) {
  requests = 0;
  large_bytes = 0;
  first_refused = first;
  last_refused = more > ~first ? ~0ull : first + more;
  counting = true;
}

std::uint64_t GrantMemory() {
  counting = false;
  return requests;
}

void AskForMemory() {
  if (IsRefused(1)) throw std::bad_alloc();
}

std::uint64_t LargeBytesGranted() { return large_bytes; }

void LimitThreads(int threads) { threads_left = threads; }
void GrantThreads() { threads_left = std::numeric_limits<int>::max(); }

}  // namespace varve::testing

using varve::testing::IsRefused;

extern "C" {

void* __libc_malloc(std::size_t bytes);
void* __libc_calloc(std::size_t count, std::size_t bytes);
void* __libc_realloc(void* memory, std::size_t bytes);
void* __libc_memalign(std::size_t alignment, std::size_t bytes);

void* malloc(std::size_t bytes) { return IsRefused(bytes) ? nullptr : __libc_malloc(bytes); }

void* calloc(std::size_t count, std::size_t bytes) {
  return IsRefused(count * bytes) ? nullptr : __libc_calloc(count, bytes);
}

void* realloc(void* memory, std::size_t bytes) {
  return IsRefused(bytes) ? nullptr : __libc_realloc(memory, bytes);
}

void* aligned_alloc(std::size_t alignment, std::size_t bytes) {
  return IsRefused(bytes) ? nullptr : __libc_memalign(alignment, bytes);
}

void* memalign(std::size_t alignment, std::size_t bytes) {
  return IsRefused(bytes) ? nullptr : __libc_memalign(alignment, bytes);
}

int posix_memalign(void** memory, std::size_t alignment, std::size_t bytes) {
  if (IsRefused(bytes)) return ENOMEM;
  *memory = __libc_memalign(alignment, bytes);
  return *memory == nullptr ? ENOMEM : 0;
}

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*run)(void*),
                   void* argument) noexcept {
  using Create = int(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static const auto real = reinterpret_cast<Create*>(::dlsym(RTLD_NEXT, "pthread_create"));
  if (varve::testing::ThreadIsRefused()) return EAGAIN;
  return real(thread, attributes, run, argument);
}

}  // extern "C"
