// SPDX-License-Identifier: Apache-2.0
// The two things every POSIX call here needs: an owned descriptor, and patience with signals.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <utility>

namespace varve {

// Owns a file descriptor. Closing reports nothing: what matters was synced before.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int value) : value_(value) {}
  Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }

  explicit operator bool() const { return value_ >= 0; }
  int get() const { return value_; }
  // Gives the descriptor up without closing it.
  int Release() { return std::exchange(value_, -1); }

 private:
  int value_ = -1;
};

// Repeats a call that gives a negative number for as long as a signal interrupts it.
template <typename Call>
auto Retry(Call&& call) {
  for (;;) {
    const auto result = call();
    if (result >= 0 || errno != EINTR) return result;
  }
}

}  // namespace varve
