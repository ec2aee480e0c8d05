#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "engine/media/format.h"

namespace sluice::media {

/// What the CPU will do (bits). The numbers equal those of DMA_BUF_IOCTL_SYNC and
/// of the plugin ABI.
enum CpuAccess : uint32_t { kCpuRead = 1, kCpuWrite = 2 };

/// What backs one buffer: up to four parts, each with the fds that reach it. Owns
/// fds and mappings. docs/memory.md. Threads: [thread-safe].
class Memory {
 public:
  static constexpr uint32_t kMaxParts = kMaxPlanes;

  /// Either fd may be missing. Both: one memory in two forms (udmabuf).
  struct Part {
    UniqueFd shm;     ///< A memfd that cannot shrink.
    UniqueFd dmabuf;
    uint64_t size = 0;  ///< Bytes, not more than the fds have.
  };

  /// `base` is where its owner has mapped the only part; it stays his. Null: Map
  /// maps an fd when somebody asks.
  Memory(std::vector<Part> parts, uint32_t views, void* base = nullptr);
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  uint32_t views() const { return views_; }
  uint32_t part_count() const { return static_cast<uint32_t>(parts_.size()); }
  /// Bytes; 0 for a part that there is not.
  uint64_t size(uint32_t part = 0) const;
  /// Borrowed, the same for life; -1 if it has no such view or part.
  int fd(View view, uint32_t part = 0) const;

  /// Page aligned, readable, and writable unless `writable` says no. The first call
  /// maps, later ones give the same; it stays for the life of the memory. Errors:
  /// Unsupported where the CPU cannot reach it, InvalidArgument for a part that
  /// there is not, what mmap says.
  Result<uint8_t*> Map(uint32_t part = 0) const;
  /// Map, or null on any error.
  uint8_t* mapping(uint32_t part = 0) const { return Map(part).value_or(nullptr); }
  bool mapped(uint32_t part = 0) const;
  /// Of a part that is mapped: false for a peer's memory that is sealed or opened read-only.
  bool writable(uint32_t part = 0) const;

  /// Brackets what the CPU does through mappings, `flags` of CpuAccess: cache
  /// coherency of parts that are only a dma-buf, nothing for others. Exclusion is
  /// the business of leases and fences; begin also waits for the implicit fences
  /// of the dma-buf, and no longer than a second. Pair them, with the same flags.
  /// Errors: Timeout, Io.
  Status BeginCpuAccess(uint32_t flags) const;
  Status EndCpuAccess(uint32_t flags) const;

 private:
  struct Mapping {
    std::atomic<uint8_t*> base{nullptr};
    bool writable = false;  // written before `base`
    bool owned = false;     // as `writable`
  };

  const std::vector<Part> parts_;
  const uint32_t views_;
  mutable std::mutex mutex_;  // one maps
  mutable std::array<Mapping, kMaxParts> mappings_;
};

/// Memory that a port or a peer made, as it describes it.
struct AdoptOptions {
  struct Part {
    UniqueFd fd;
    uint64_t size = 0;  ///< Bytes; what is claimed.
  };
  /// What the fds are claimed to be: kViewDmabuf or kViewShm; kViewDevice without fds; 0 with
  /// `base`.
  uint32_t view = 0;
  std::vector<Part> parts;
  /// Memory that its owner has mapped and that has no fd: page aligned.
  void* base = nullptr;
  uint64_t base_size = 0;  ///< Bytes of memory without an fd.
  /// Whose it is, for messages: "capture.out buffer 3".
  std::string label = "buffer";
};

/// Checks every claim against the fd itself: that a dma-buf is one, that shared
/// memory cannot shrink, that no part is larger than it is. Takes the fds, also
/// when it fails. Maps nothing. Errors: InvalidArgument, with part and numbers.
Result<std::unique_ptr<Memory>> AdoptMemory(AdoptOptions options);

/// Whether the kernel knows `fd` (borrowed) as a dma-buf.
bool IsDmabuf(int fd);

}  // namespace sluice::media
