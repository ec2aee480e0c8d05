#include "nodes/ffmpeg/fifo_input.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace sluice::ffmpeg {
namespace {

constexpr int kBufferBytes = 64 * 1024;
/// How often a read that waits asks whether it should go on.
constexpr int kPollMs = 50;

}  // namespace

bool FifoInput::IsFifo(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 && S_ISFIFO(status.st_mode);
}

sdk::Expected<std::unique_ptr<FifoInput>> FifoInput::Open(const std::string& path,
                                                          const AVIOInterruptCB& interrupt) {
  std::unique_ptr<FifoInput> input(new FifoInput(interrupt));
  // Does not wait for a writer.
  input->fd_ = open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (input->fd_ < 0) {
    const int error = AVERROR(errno);
    return sdk::Status::Error(ErrorCode(error), "%s: %s", path.c_str(), ErrorText(error).c_str());
  }
  auto* buffer = static_cast<uint8_t*>(av_malloc(kBufferBytes));
  if (buffer != nullptr) {
    input->io_.reset(avio_alloc_context(buffer, kBufferBytes, 0, input.get(), &FifoInput::Read,
                                        nullptr, nullptr));
  }
  if (input->io_ == nullptr) {
    av_free(buffer);
    return sdk::Status::Error(SLUICE_E_RESOURCE_EXHAUSTED, "out of memory");
  }
  input->io_->seekable = 0;
  return input;
}

FifoInput::~FifoInput() {
  if (fd_ >= 0) close(fd_);
}

int FifoInput::Read(void* self, uint8_t* to, int size) {
  const auto& input = *static_cast<FifoInput*>(self);
  while (true) {
    pollfd entry{input.fd_, POLLIN, 0};
    const int ready = poll(&entry, 1, kPollMs);
    if (ready > 0 && (entry.revents & POLLIN) != 0) {
      const ssize_t count = read(input.fd_, to, static_cast<size_t>(size));
      if (count > 0) return static_cast<int>(count);
      if (count == 0) return AVERROR_EOF;
      if (errno != EAGAIN && errno != EINTR) return AVERROR(errno);
    } else if (ready > 0) {
      // Hung up, with nothing left to read. Not before the first writer came.
      return AVERROR_EOF;
    }
    if (input.interrupt_.callback(input.interrupt_.opaque) != 0) return AVERROR(ETIMEDOUT);
  }
}

bool FifoInput::IsStarved() const {
  if (io_->buf_ptr < io_->buf_end) return false;
  pollfd entry{fd_, POLLIN, 0};
  return poll(&entry, 1, 0) == 0;
}

}  // namespace sluice::ffmpeg
