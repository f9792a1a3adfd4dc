// SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <functional>

#include "base/bytes.h"
#include "files/simulated_disk.h"
#include "fuzz/log_folder.h"
#include "fuzz/oracle.h"
#include "log/checkpoint_file.h"
#include "log/segment_file.h"
#include "log/unit_codec.h"

namespace varve::fuzz {
namespace {

using Script = std::function<void(Log*)>;

void Append(Log* log, std::string_view bytes, LogKind kind = LogKind::kData) {
  const LogRecord record(bytes, kind);
  const auto ack = log->Append(LogRecords(&record, 1));
  FUZZ_EXPECT(ack.has_value(), ack.error().message());
}

void Done(const Status& status) { FUZZ_EXPECT(status.has_value(), status.error().message()); }

// Several opens after each other, each with its script.
class Writer {
 public:
  LogOptions options;

  Writer() : files_(NewMemoryFiles()) { options.segment_bytes_max = kSegmentBytesMin; }
  World* world() { return &world_; }

  Writer& Live(bool close, const Script& script) {
    auto log = Log::Open(kLogDir, options, {}, {}, world_.On(files_.get()));
    FUZZ_EXPECT(log.has_value(), log.error().message());
    script(log->get());
    world_.executor.RunAll();
    if (close) Done((*log)->Close());
    return *this;
  }

  LogFolder Folder() const {
    LogFolder folder{kMendAll, 0xff, {}, {}};
    const auto entries = files_->List(kLogDir);
    FUZZ_EXPECT(entries.has_value(), entries.error().message());
    for (const auto& entry : *entries) {
      const auto bytes = ReadWholeFile(files_.get(), JoinPath(kLogDir, entry.name));
      FUZZ_EXPECT(bytes.has_value(), entry.name);
      if (entry.name == kCheckpointName) folder.checkpoint = *bytes;
      if (const auto sequence = SequenceOfName(entry.name)) folder.segments[*sequence] = *bytes;
    }
    return folder;
  }

 private:
  std::unique_ptr<Files> files_;
  World world_;
};

// Puts plain bytes where encrypted ones are, and zeros for the tag.
void DecryptFrame(const SegmentCipher& cipher, const FrameHeader& header, char* payload) {
  for (std::size_t at = 0; at < header.payload_bytes;) {
    const auto unit = DecodeUnitHeader({payload + at, header.payload_bytes - at});
    FUZZ_EXPECT(unit.has_value(), unit.error().message());
    const std::string stored(payload + at, unit->size);
    char* const body = payload + at + kUnitHeaderBytes;
    Done(cipher.Decrypt({header.lsn + kFrameHeaderBytes + at}, stored.substr(4, 12),
                        stored.substr(kUnitHeaderBytes), body));
    std::memset(payload + at + unit->size - kCipherTagBytes, 0, kCipherTagBytes);
    at += unit->size;
  }
}

// So that the input is the same each time, whatever the data keys are, and MendSegments can put
// them under its own.
LogFolder Decrypted(LogFolder folder, KeyProvider* keys) {
  for (auto& [sequence, bytes] : folder.segments) {
    const auto segment = DecodeSegmentHeader(bytes);
    FUZZ_EXPECT(segment.has_value(), segment.error().message());
    const auto cipher = OpenSegmentCipher(keys, *segment);
    FUZZ_EXPECT(cipher.has_value(), cipher.error().message());
    for (std::uint64_t at = kLogBlock; at < bytes.size();) {
      const auto frame = std::string_view(bytes).substr(at, kFrameHeaderBytes);
      const auto header = DecodeFrameHeader(*segment, segment->LsnAt(at), frame);
      if (!header) break;
      char* const payload = bytes.data() + at + kFrameHeaderBytes;
      if (header->kind == FrameKind::kGroup) DecryptFrame(**cipher, *header, payload);
      at += header->FrameBytes();
    }
    std::memset(bytes.data() + offsetof(SegmentHeader, wrapped_key), 0,
                sizeof SegmentHeader::wrapped_key);
  }
  MendSegments(kMendChecksums | kMendChain | kMendLinks, &folder.segments);
  return folder;
}

void Some(Log* log) {
  Append(log, "one");
  Append(log, "two", LogKind::kPageImage);
  Done(log->AppendTo(*log->Begin(), {}));
  const std::vector<LogRecord> records = {LogRecord("three"), LogRecord(""), LogRecord("four")};
  const auto ack = log->Append(LogRecords(records));
  FUZZ_EXPECT(ack.has_value(), ack.error().message());
}

void Enqueued(Log* log) {
  for (const auto* text : {"a", "bb", "ccc"}) {
    const LogRecord record(text);
    FUZZ_EXPECT(log->Enqueue(LogRecords(&record, 1)).has_value(), text);
  }
  Done(log->Sync());
}

LogFolder Plain() {
  return Writer().Live(true, Some).Live(false, Enqueued).Folder();
}

LogFolder Spanning() {
  return Writer()
      .Live(false, [](Log* log) {
        Append(log, "before");
        Append(log, std::string(20'000, 's'));
        Append(log, "after");
      })
      .Folder();
}

// The unit that spans frames says in the first of them that it has 2 GiB.
LogFolder Boasting() {
  auto folder = Spanning();
  for (auto& [sequence, bytes] : folder.segments) {
    for (std::uint64_t at = kFirstGroupOffset; at < bytes.size(); at += kLogBlock) {
      const auto magic = LoadLittle<std::uint32_t>(bytes.data() + at);
      const auto flags = LoadLittle<std::uint16_t>(bytes.data() + at + 6);
      if (magic != kFrameMagic || flags != kEndsInside) continue;
      StoreLittle(bytes.data() + at + kFrameHeaderBytes + 4, 0x7fff'ffffu);
      return folder;
    }
  }
  FUZZ_EXPECT(false, "no unit spans frames");
}

LogFolder Compressed(LogCompression compression, bool encrypt) {
  Writer writer;
  writer.options.compression = compression;
  if (encrypt) writer.options.keys = &writer.world()->keys;
  writer.Live(false, [](Log* log) {
    Append(log, std::string(500, 'c') + std::string(500, 'd'));
    Append(log, "short");
    Done(log->Rotate());
    Append(log, std::string(200, 'e'));
  });
  return encrypt ? Decrypted(writer.Folder(), &writer.world()->keys) : writer.Folder();
}

LogFolder Truncated() {
  return Writer()
      .Live(true, [](Log* log) {
        for (int i = 0; i < 6; ++i) {
          Some(log);
          Done(log->Rotate());
        }
        const auto fence = log->positions().durable;
        FUZZ_EXPECT(log->Checkpoint(fence, "note").has_value(), "no checkpoint");
        FUZZ_EXPECT(log->TruncateBefore(fence).has_value(), "no truncation");
        Done(log->Rotate());
        Some(log);
      })
      .Folder();
}

}  // namespace

std::vector<std::string> SampleFolders() {
  std::vector<LogFolder> folders = {Plain(), Spanning(), Boasting(), Truncated(),
                                    Compressed(LogCompression::kLz4, false),
                                    Compressed(LogCompression::kZstd, false),
                                    Compressed(LogCompression::kNone, true),
                                    Compressed(LogCompression::kZstd, true)};
  std::vector<std::string> inputs;
  for (auto& folder : folders) {
    inputs.push_back(Packed(folder));
    folder.mend = kMendChecksums | kEncrypt;
    inputs.push_back(Packed(folder));
  }
  folders[0].mend = 0;
  inputs.push_back(Packed(folders[0]));
  inputs.push_back(std::string("\77\377", 2));
  return inputs;
}

}  // namespace varve::fuzz
