#ifndef NODES_FFMPEG_FIFO_INPUT_H_
#define NODES_FFMPEG_FIFO_INPUT_H_

#include <memory>
#include <string>

#include <sluice/status.hpp>

#include "nodes/ffmpeg/libav.h"

namespace sluice::ffmpeg {

/// A named pipe whose reads can be given up: libav's own wait in the system until somebody writes.
/// Threads: any one at a time.
class FifoInput {
 public:
  static bool IsFifo(const std::string& path);
  /// `interrupt`: asked again and again while nothing comes; 1 ends the read.
  static sdk::Expected<std::unique_ptr<FifoInput>> Open(const std::string& path,
                                                        const AVIOInterruptCB& interrupt);
  FifoInput(const FifoInput&) = delete;
  FifoInput& operator=(const FifoInput&) = delete;
  ~FifoInput();

  /// For AVFormatContext::pb, which it must outlive.
  AVIOContext* io() const { return io_.get(); }
  int fd() const { return fd_; }
  /// Whether a read would wait. Not when the writer has gone: that is the end.
  bool IsStarved() const;

 private:
  explicit FifoInput(const AVIOInterruptCB& interrupt) : interrupt_(interrupt) {}
  static int Read(void* self, uint8_t* to, int size);

  const AVIOInterruptCB interrupt_;
  int fd_ = -1;
  IoPtr io_;
};

}  // namespace sluice::ffmpeg

#endif  // NODES_FFMPEG_FIFO_INPUT_H_
