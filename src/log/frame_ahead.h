// SPDX-License-Identifier: Apache-2.0
// The frames of one segment, read, checked and decoded ahead of whoever recovers it, by tasks of an
// executor.
//
// What is prepared only confirms; the sequential path (SegmentReader, UnitStream) decides. A frame
// is given when it is valid by itself, at the place where it is asked for. Of all else a task may
// meet (the end, damage, a later version, an error of the disk, no memory, a missing key, a frame
// too large) nothing is told: whoever recovers reads the place by itself, and judges and words what
// it finds as it does without this. So damage costs time here, never a different answer.
//
// A task walks the frame headers of a piece of the file; then it knows where the next piece begins,
// and submits its task; then it checks and decodes its own. So no task waits for a task. The walk
// needs all bytes where frames are small, so that there one thread reads while others decode, and
// the headers alone where they are large, so that there all is done in parallel. At most kPieces
// pieces are in memory, the one that is being replayed included.
#pragma once

#include <array>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>

#include "base/executor.h"
#include "log/frame_piece.h"

namespace varve {

// Used by one thread; its tasks run in any.
class FrameAhead {
 public:
  static constexpr std::uint64_t kPieces = 4;
  static constexpr std::uint64_t kReadBytesMost = 1u << 20;
  using Pieces = std::array<FramePiece, kPieces>;  // their memory, for one segment after another

  // Bytes that one task reads when all pieces together may hold `bytes_max`. 0: too little for any.
  static std::uint64_t ReadBytes(std::uint64_t bytes_max);

  // Of the frames in `file` from offset `from` up to `limit`, with at most `bytes_max` bytes held;
  // ReadBytes(bytes_max) must not be 0. `executor`, `pieces` and `file` must outlive it.
  FrameAhead(Executor* executor, Pieces* pieces, File* file, const SegmentHeader& header,
             std::shared_ptr<const SegmentCipher> cipher, std::uint64_t from, std::uint64_t limit,
             std::uint64_t bytes_max);
  // Waits for the tasks that were begun.
  ~FrameAhead();
  FrameAhead(const FrameAhead&) = delete;
  FrameAhead& operator=(const FrameAhead&) = delete;

  // The frame at `offset`, which must not be before that of an earlier call; nothing when it is not
  // at hand. It is valid until the next call. Waits for the task that prepares it, running tasks
  // meanwhile.
  std::optional<LogFrame> Take(std::uint64_t offset);

 private:
  struct Slot {
    FramePiece* piece = nullptr;
    std::uint64_t from = 0;
    bool by_headers = false;
    bool done = false;  // guarded by mutex_; then the piece is the taker's
  };

  void StartNext();
  void Run(Slot* slot);
  void Prepare(Slot* slot);
  void Finish(Slot* slot);
  Slot* AwaitFirst();
  void DropFirst();
  template <typename Ready>
  void HelpUntil(const Ready& ready);

  Executor* const executor_;
  const PieceSource source_;
  Slot* at_hand_ = nullptr;  // the first slot once it is done: the taker's

  std::mutex mutex_;
  std::condition_variable changed_;
  // All guarded by mutex_.
  std::array<Slot, kPieces> slots_;    // a ring, in the order of the file
  std::size_t first_ = 0;
  std::size_t used_ = 0;
  std::size_t running_ = 0;            // tasks that were begun and did not end
  std::uint64_t events_ = 0;           // submitted and ended
  std::optional<std::uint64_t> next_;  // where the next piece begins, once that is known
  bool next_by_headers_ = false;
  bool stopping_ = false;
};

}  // namespace varve
