// SPDX-License-Identifier: Apache-2.0
// The implementations of Files that the contract suites run against, each with an empty folder.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "base/random.h"
#include "files/files.h"
#include "files/simulated_disk.h"

namespace varve {

class World {
 public:
  virtual ~World() = default;
  virtual Files* files() = 0;
  virtual std::string root() const = 0;  // an empty folder that exists
};

class PosixWorld final : public World {
 public:
  PosixWorld() {
    std::string pattern = ::testing::TempDir() + "/varve_files_XXXXXX";
    root_ = ::mkdtemp(pattern.data());
  }
  ~PosixWorld() override { std::filesystem::remove_all(root_); }
  Files* files() override { return PosixFiles(); }
  std::string root() const override { return root_; }

 private:
  std::string root_;
};

class MemoryWorld final : public World {
 public:
  Files* files() override { return files_.get(); }
  std::string root() const override { return "/"; }

 private:
  const std::unique_ptr<Files> files_ = NewMemoryFiles();
};

class SimulatedWorld final : public World {
 public:
  Files* files() override { return &disk_; }
  std::string root() const override { return "/"; }

 private:
  SimulatedDisk disk_;
};

struct WorldKind {
  std::string name;
  std::unique_ptr<World> (*make)();
};

inline std::string NameOfWorld(const ::testing::TestParamInfo<WorldKind>& info) {
  return info.param.name;
}

template <typename T>
std::unique_ptr<World> MakeWorld() {
  return std::make_unique<T>();
}

inline auto AllWorlds() {
  return ::testing::Values(WorldKind{"Posix", MakeWorld<PosixWorld>},
                           WorldKind{"Memory", MakeWorld<MemoryWorld>},
                           WorldKind{"Simulated", MakeWorld<SimulatedWorld>});
}

// The seed of a random test: from the environment to replay, otherwise new.
inline std::uint64_t TestSeed() {
  const char* const given = std::getenv("VARVE_TEST_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : SystemRandom()->Next();
}

}  // namespace varve
