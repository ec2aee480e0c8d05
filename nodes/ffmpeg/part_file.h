#ifndef NODES_FFMPEG_PART_FILE_H_
#define NODES_FFMPEG_PART_FILE_H_

#include <cstdint>
#include <memory>
#include <string>

#include <sluice/status.hpp>

#include "nodes/ffmpeg/libav.h"

namespace sluice::ffmpeg {

/// A name of many files: "out-%05d.png". `%%` stands for a percent sign.
class IndexPattern {
 public:
  /// Errors: INVALID_ARGUMENT for more than one number, or another conversion.
  static sdk::Expected<IndexPattern> Parse(const std::string& path);

  /// Whether there is a number at all.
  bool many() const { return many_; }
  /// The path with `index`; the only path when there is no number.
  std::string At(uint64_t index) const;
  /// A file of the pattern that exists already; empty when there is none.
  std::string FindExisting() const;

 private:
  std::string before_;
  std::string after_;
  int digits_ = 0;
  bool many_ = false;
};

/// Claims a destination for one writer of this process, so that two cannot meet in one file.
class DestinationClaim {
 public:
  /// Errors: NOT_FOUND when the folder does not exist, ALREADY_EXISTS when another has it.
  static sdk::Expected<DestinationClaim> Take(const std::string& path);
  DestinationClaim() = default;
  DestinationClaim(DestinationClaim&& other) noexcept : key_(std::move(other.key_)) {
    other.key_.clear();
  }
  DestinationClaim& operator=(DestinationClaim&& other) noexcept {
    std::swap(key_, other.key_);
    return *this;
  }
  ~DestinationClaim();

 private:
  std::string key_;
};

/// A file that has its name only when it is whole: it is written as `.NAME.part-XXXXXXXX` in the
/// same folder, and renamed by Commit(). Without that it is removed.
/// Threads: any one at a time.
class PartFile {
 public:
  /// Errors: as open(2), with the path.
  static sdk::Expected<std::unique_ptr<PartFile>> Create(const std::string& path);
  ~PartFile();
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;

  /// For a muxer. Lives as long as this object.
  AVIOContext* io() { return io_.get(); }
  /// Where the bytes are until Commit().
  const std::string& part_path() const { return part_path_; }
  /// Appends, past the AVIOContext.
  sdk::Status Write(const uint8_t* data, size_t size);
  /// What writing met first: "out.mp4: No space left on device". ok() when nothing.
  sdk::Status error() const;
  /// Gives it its name. `durable`: the bytes are on the disk before. `replace`: an existing file
  /// is replaced in one step; otherwise it is an error, however late it appeared.
  sdk::Status Commit(bool durable, bool replace);

 private:
  explicit PartFile(std::string path) : path_(std::move(path)) {}
#if LIBAVFORMAT_VERSION_MAJOR >= 61
  static int OnWrite(void* self, const uint8_t* data, int size);
#else
  static int OnWrite(void* self, uint8_t* data, int size);
#endif
  static int64_t OnSeek(void* self, int64_t offset, int whence);
  int WriteAll(const uint8_t* data, size_t size);
  sdk::Status Error(int error) const;

  const std::string path_;
  std::string part_path_;  // empty: committed
  int fd_ = -1;
  int errno_ = 0;
  IoPtr io_;
};

}  // namespace sluice::ffmpeg

#endif  // NODES_FFMPEG_PART_FILE_H_
