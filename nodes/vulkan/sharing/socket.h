#ifndef SLUICE_NODES_VULKAN_SHARING_SOCKET_H_
#define SLUICE_NODES_VULKAN_SHARING_SOCKET_H_

#include <sys/types.h>

#include <optional>
#include <sluice/unique_fd.hpp>
#include <span>
#include <string>
#include <vector>

#include "nodes/vulkan/sharing/wire.h"

namespace sluice::vulkan {

/// CLOCK_MONOTONIC, nanoseconds.
int64_t NowNs();

/// What one packet brought.
struct Received {
  WireMessage message;
  std::vector<sdk::UniqueFd> fds;  ///< a hello's: as many as it has buffers; else none
};

/// One end of a connection between two processes of the same user. Nothing blocks.
/// Threads: one at a time.
class WireSocket {
 public:
  WireSocket() = default;
  /// Takes a connected SOCK_SEQPACKET socket. Errors: PermissionDenied for a peer of another user;
  /// Io. Spec: unix(7), SO_PEERCRED.
  static Result<WireSocket> Take(sdk::UniqueFd fd);
  /// To whoever listens at `path`. Errors: NotFound while nobody does; InvalidArgument for a path
  /// that is too long; PermissionDenied; Io.
  static Result<WireSocket> Connect(const std::string& path);

  /// Sends one packet, with `fds` (borrowed). Errors: Io: the peer is gone, or reads nothing.
  Status Send(const WireMessage& message, std::span<const sdk::UniqueFd> fds = {}) const;
  /// The next packet, or nothing while there is none. Ownership: the fds are the caller's.
  /// Errors: Io: the peer is gone; what Decode() says; InvalidArgument for fds that do not belong.
  Result<std::optional<Received>> Receive() const;

  int fd() const { return fd_.get(); }
  pid_t peer() const { return peer_; }
  explicit operator bool() const { return static_cast<bool>(fd_); }
  void Close() { fd_.reset(); }

 private:
  sdk::UniqueFd fd_;
  pid_t peer_ = 0;
};

/// A socket in the file system that processes of the same user connect to. Its file has mode 0600,
/// and goes with this object if it is still the one that was made.
class WireListener {
 public:
  /// A file that a dead process left is replaced. Errors: AlreadyExists while another process
  /// listens there, or when the path is of something else; InvalidArgument; Io.
  static Result<WireListener> Listen(const std::string& path);
  WireListener() = default;
  WireListener(WireListener&& other) noexcept { *this = std::move(other); }
  WireListener& operator=(WireListener&& other) noexcept;
  ~WireListener() { Remove(); }

  /// Who has connected, or an empty socket. Errors: as WireSocket::Take; Io when there are no fds
  /// left, say: whoever it is goes on waiting.
  Result<WireSocket> Accept() const;
  int fd() const { return fd_.get(); }

 private:
  void Remove();

  sdk::UniqueFd fd_;
  std::string path_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_SHARING_SOCKET_H_
