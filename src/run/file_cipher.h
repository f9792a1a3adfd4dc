// SPDX-License-Identifier: Apache-2.0
// Encryption of one object of a run, as Parquet has it (Modular Encryption, AES_GCM_V1): the whole
// file under one key, its footer too. Arrow encrypts and decrypts what it writes and reads itself;
// FileCipher is for what it cannot: some pages of a column chunk (row_range_reader.h), and the
// filters of keys, which it does not write encrypted (key_filters.h).
//
//   module = u32 size of what follows, 12 bytes nonce (random), ciphertext, 16 bytes tag
//
// Each is bound to its place: file, kind, row group, column, page. The key is used for this file
// alone, by at most some 100,000 modules, so random nonces do not meet (SP 800-38D, 8.3).
#pragma once

#include <arrow/buffer.h>
#include <arrow/result.h>
#include <parquet/properties.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/cipher.h"
#include "varve/error.h"

namespace parquet {
class FileMetaData;
}  // namespace parquet

namespace varve {

// Thread-safe.
class FileCipher {
 public:
  // `file_aad`: what modules of this file are bound to, as its footer has it.
  FileCipher(const std::string& key, std::string file_aad)
      : cipher_(key), file_aad_(std::move(file_aad)) {}

  // Where pages stand. `first_page`: the number of the first data page in its chunk.
  struct Place {
    int group = 0;
    int leaf = 0;
    bool dictionary = false;  // a dictionary page, and no data pages
    int first_page = 0;
  };
  // The pages that follow one another in `bytes`, each a header and a body, as they are in a file
  // that is not encrypted. Corruption when a tag does not agree, or they are no pages.
  arrow::Result<std::shared_ptr<arrow::Buffer>> DecryptPages(std::string_view bytes,
                                                             Place place) const;

  // The filter of a row group's keys, as a module.
  Result<std::string> EncryptFilter(int group, std::string_view filter) const;
  Result<std::string> DecryptFilter(int group, std::string_view module) const;

 private:
  Result<std::string> Decrypt(std::string_view module, std::string_view bound) const;
  std::string BoundTo(char kind, const Place& place) const;

  const Cipher cipher_;
  const std::string file_aad_;
};

// For the writer of a file under this key.
std::shared_ptr<parquet::FileEncryptionProperties> EncryptionWith(const std::string& key);

// The footer of an encrypted file, and the cipher of its modules. `tail` is the end of the file,
// the footer in it. An error unless it is encrypted as above: by the footer, which is not encrypted
// itself in this, pages would be taken that nothing authenticates.
struct EncryptedFooter {
  std::shared_ptr<parquet::FileMetaData> metadata;
  std::shared_ptr<const FileCipher> cipher;
};
arrow::Result<EncryptedFooter> DecryptFooter(const std::shared_ptr<arrow::Buffer>& tail,
                                             std::uint32_t footer_bytes, const std::string& key);

}  // namespace varve
