// SPDX-License-Identifier: Apache-2.0
// A file with given content for one test, and what a reader makes of it.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "format_cell.h"
#include "input/row_reader.h"

namespace varve::cli {

class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& name, const std::string& content = "")
      : folder_(std::filesystem::temp_directory_path() /
                ("varve-cli-" + std::to_string(::getpid()) + "-" +
                 testing::UnitTest::GetInstance()->current_test_info()->name())) {
    std::filesystem::create_directories(folder_);
    path_ = folder_ / name;
    std::ofstream(path_, std::ios::binary) << content;
  }
  ~TemporaryFile() { std::filesystem::remove_all(folder_); }
  std::string path() const { return path_; }

 private:
  std::filesystem::path folder_;
  std::filesystem::path path_;
};

// A message without the folder of the file, which differs from run to run.
inline std::string WithoutFolder(std::string message, const TemporaryFile& file) {
  const std::string folder = std::filesystem::path(file.path()).parent_path().string() + "/";
  for (std::size_t at = message.find(folder); at != std::string::npos; at = message.find(folder)) {
    message.erase(at, folder.size());
  }
  return message;
}

// All rows as text, one line a batch: "1,a;2,b". A null shows as ~. A failure ends the text with
// its message.
inline std::string ReadAll(const TemporaryFile& file, const InputOptions& options,
                           std::int64_t rows_per_batch = 1000) {
  auto reader = OpenRows(file.path(), options);
  if (!reader) return "error " + WithoutFolder(reader.error().error.message(), file);
  std::string text;
  while (true) {
    auto batch = (*reader)->Next(rows_per_batch);
    if (!batch) return text + "error " + WithoutFolder(batch.error().error.message(), file);
    if (*batch == nullptr) return text;
    EXPECT_TRUE((*batch)->ValidateFull().ok());
    for (std::int64_t row = 0; row < (*batch)->num_rows(); ++row) {
      if (row > 0) text += ';';
      for (int i = 0; i < (*batch)->num_columns(); ++i) {
        if (i > 0) text += ',';
        if ((*batch)->column(i)->IsNull(row)) text += '~';
        AppendText(*(*batch)->column(i), row, &text);
      }
    }
    text += '\n';
  }
}

}  // namespace varve::cli
