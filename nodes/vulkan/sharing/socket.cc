#include "nodes/vulkan/sharing/socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <utility>

namespace sluice::vulkan {
namespace {

constexpr int kBacklog = 4;
constexpr mode_t kMode = 0600;
constexpr size_t kControlBytes = CMSG_SPACE(kMostShared * sizeof(int));

tl::unexpected<Error> FailErrno(int32_t code, const std::string& what) {
  return Fail(code, what + ": " + std::strerror(errno));
}

/// A socket's address has 107 bytes for its path. Longer ones go by their folder.
struct Address {
  sockaddr_un name{};
  sdk::UniqueFd folder;
  const sockaddr* plain() const { return reinterpret_cast<const sockaddr*>(&name); }
};

Result<Address> AddressOf(const std::string& path) {
  Address address;
  address.name.sun_family = AF_UNIX;
  std::string text = path;
  if (const size_t slash = path.rfind('/');
      path.size() >= sizeof address.name.sun_path && slash != std::string::npos) {
    const std::string folder = path.substr(0, slash + 1);
    address.folder = sdk::UniqueFd(open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!address.folder)
      return FailErrno(errno == ENOENT ? SLUICE_E_NOT_FOUND : SLUICE_E_IO, folder);
    text = "/proc/self/fd/" + std::to_string(address.folder.get()) + path.substr(slash);
  }
  if (text.empty() || text.size() >= sizeof address.name.sun_path) {
    return Fail(SLUICE_E_INVALID_ARGUMENT, "the name of a socket is too long: " + path);
  }
  text.copy(address.name.sun_path, text.size());
  return address;
}

Result<sdk::UniqueFd> MakeSocket() {
  sdk::UniqueFd fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return FailErrno(SLUICE_E_IO, "a socket");
  return fd;
}

/// Every fd of the packet, owned at once, whatever is thought of them later.
std::vector<sdk::UniqueFd> TakeFds(const msghdr& header) {
  std::vector<sdk::UniqueFd> fds;
  for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr;
       c = CMSG_NXTHDR(const_cast<msghdr*>(&header), c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
      fds.emplace_back(fd);
    }
  }
  return fds;
}

/// Removes what a process left that listens no more. Errors: AlreadyExists.
Status RemoveStale(const std::string& path, const Address& address) {
  struct stat file {};
  if (lstat(path.c_str(), &file) != 0) return {};
  if (!S_ISSOCK(file.st_mode))
    return Fail(SLUICE_E_ALREADY_EXISTS, path + " exists, and is no socket");
  auto probe = MakeSocket();
  if (!probe) return tl::unexpected(probe.error());
  if (connect(probe->get(), address.plain(), sizeof address.name) == 0 || errno != ECONNREFUSED) {
    return Fail(SLUICE_E_ALREADY_EXISTS, path + ": another process listens there");
  }
  unlink(path.c_str());
  return {};
}

}  // namespace

int64_t NowNs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

Result<WireSocket> WireSocket::Take(sdk::UniqueFd fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
    return FailErrno(SLUICE_E_IO, "who is at the other end");
  if (peer.uid != geteuid()) {
    return Fail(SLUICE_E_PERMISSION_DENIED, "process " + std::to_string(peer.pid) + " is of user " +
                                                std::to_string(peer.uid) + ", not of " +
                                                std::to_string(geteuid()));
  }
  WireSocket made;
  made.fd_ = std::move(fd);
  made.peer_ = peer.pid;
  return made;
}

Result<WireSocket> WireSocket::Connect(const std::string& path) {
  const auto address = AddressOf(path);
  if (!address) return tl::unexpected(address.error());
  auto fd = MakeSocket();
  if (!fd) return tl::unexpected(fd.error());
  if (connect(fd->get(), address->plain(), sizeof address->name) != 0) {
    const bool nobody = errno == ENOENT || errno == ECONNREFUSED || errno == EAGAIN;
    if (errno == EACCES) return FailErrno(SLUICE_E_PERMISSION_DENIED, path);
    return FailErrno(nobody ? SLUICE_E_NOT_FOUND : SLUICE_E_IO, path);
  }
  return Take(std::move(*fd));
}

Status WireSocket::Send(const WireMessage& message, std::span<const sdk::UniqueFd> fds) const {
  const WireBytes bytes = Encode(message);
  iovec data{const_cast<std::byte*>(bytes.bytes.data()), bytes.size};
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  alignas(cmsghdr) std::byte control[kControlBytes]{};
  if (fds.size() > kMostShared) return Fail(SLUICE_E_INVALID_ARGUMENT, "too many fds");
  if (!fds.empty()) {
    header.msg_control = control;
    header.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
    cmsghdr* c = CMSG_FIRSTHDR(&header);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
    for (size_t i = 0; i < fds.size(); ++i) {
      const int fd = fds[i].get();
      std::memcpy(CMSG_DATA(c) + i * sizeof(int), &fd, sizeof(int));
    }
  }
  ssize_t sent = -1;
  do {
    sent = sendmsg(fd_.get(), &header, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  if (sent == static_cast<ssize_t>(bytes.size)) return {};
  return FailErrno(SLUICE_E_IO, "process " + std::to_string(peer_) + " takes no message");
}

Result<std::optional<Received>> WireSocket::Receive() const {
  std::array<std::byte, kMostWireBytes + 1> bytes;
  alignas(cmsghdr) std::byte control[kControlBytes];
  iovec data{bytes.data(), bytes.size()};
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  ssize_t got = -1;
  do {
    got = recvmsg(fd_.get(), &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    // ECONNRESET comes once, before what is still in the queue: the peer has closed and had not
    // read all of ours.
  } while (got < 0 && (errno == EINTR || errno == ECONNRESET));
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return std::nullopt;
  if (got < 0) return FailErrno(SLUICE_E_IO, "process " + std::to_string(peer_) + " is gone");
  std::vector<sdk::UniqueFd> fds = TakeFds(header);
  if (got == 0) return Fail(SLUICE_E_IO, "process " + std::to_string(peer_) + " is gone");
  if ((header.msg_flags & MSG_CTRUNC) != 0) {
    return Fail(SLUICE_E_INVALID_ARGUMENT,
                "a message with more than " + std::to_string(kMostShared) + " fds");
  }
  auto message = Decode(std::span(bytes).first(static_cast<size_t>(got)));
  if (!message) return tl::unexpected(message.error());
  const auto* hello = std::get_if<HelloMessage>(&*message);
  const size_t wanted = hello != nullptr ? hello->pool.buffers : 0;
  if (fds.size() != wanted) {
    return Fail(SLUICE_E_INVALID_ARGUMENT, "a message with " + std::to_string(fds.size()) +
                                               " fds for " + std::to_string(wanted) + " buffers");
  }
  return Received{std::move(*message), std::move(fds)};
}

WireListener& WireListener::operator=(WireListener&& other) noexcept {
  if (this == &other) return *this;
  Remove();
  fd_ = std::move(other.fd_);
  path_ = std::move(other.path_);
  device_ = other.device_;
  inode_ = other.inode_;
  return *this;
}

void WireListener::Remove() {
  if (!fd_) return;
  struct stat file {};
  if (lstat(path_.c_str(), &file) == 0 && file.st_dev == device_ && file.st_ino == inode_)
    unlink(path_.c_str());
  fd_.reset();
}

Result<WireListener> WireListener::Listen(const std::string& path) {
  const auto address = AddressOf(path);
  if (!address) return tl::unexpected(address.error());
  if (Status s = RemoveStale(path, *address); !s) return tl::unexpected(s.error());
  auto fd = MakeSocket();
  if (!fd) return tl::unexpected(fd.error());
  // Before bind(), so that the file never has another mode: unix(7) leaves it to the umask, which
  // is the whole process's.
  if (fchmod(fd->get(), kMode) != 0) return FailErrno(SLUICE_E_IO, path);
  if (bind(fd->get(), address->plain(), sizeof address->name) != 0)
    return FailErrno(errno == EADDRINUSE ? SLUICE_E_ALREADY_EXISTS : SLUICE_E_IO, path);
  struct stat file {};
  const bool known = lstat(path.c_str(), &file) == 0;
  WireListener made;
  made.fd_ = std::move(*fd);
  made.path_ = path;
  made.device_ = file.st_dev;
  made.inode_ = file.st_ino;
  if (!known || (file.st_mode & 07777) != kMode)
    return Fail(SLUICE_E_IO, path + ": the socket has not mode 0600");
  if (listen(made.fd_.get(), kBacklog) != 0) return FailErrno(SLUICE_E_IO, path);
  return made;
}

Result<WireSocket> WireListener::Accept() const {
  sdk::UniqueFd fd(accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd) {
    // Who had connected may have gone again.
    if (errno == EAGAIN || errno == ECONNABORTED || errno == EINTR) return WireSocket();
    return FailErrno(SLUICE_E_IO, "a connection cannot be taken");
  }
  return WireSocket::Take(std::move(fd));
}

}  // namespace sluice::vulkan
