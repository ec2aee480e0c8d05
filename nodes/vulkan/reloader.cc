#include "nodes/vulkan/reloader.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

namespace sluice::vulkan {
namespace {

Error FromErrno(const std::string& what) {
  return Error{SLUICE_E_IO, what + ": " + std::strerror(errno)};
}

}  // namespace

Reloader::~Reloader() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  if (!thread_.joinable()) return;
  Ring();
  thread_.join();
}

Status Reloader::Start() {
  if (thread_.joinable()) return {};
  sdk::UniqueFd inotify(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!inotify) return tl::unexpected(FromErrno("inotify_init1"));
  sdk::UniqueFd bell(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!bell) return tl::unexpected(FromErrno("eventfd"));
  inotify_ = std::move(inotify);
  bell_ = std::move(bell);
  thread_ = std::thread([this] { Run(); });
  return {};
}

Status Reloader::Watch(const std::string& path, ReloadListener& listener) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (Status s = Start(); !s) return s;
  const std::filesystem::path file(path);
  const std::string directory = file.has_parent_path() ? file.parent_path().string() : ".";
  const int watch =
      inotify_add_watch(inotify_.get(), directory.c_str(), IN_CLOSE_WRITE | IN_MOVED_TO);
  if (watch < 0) return tl::unexpected(FromErrno("inotify_add_watch " + directory));
  files_.push_back({file.filename().string(), watch, &listener});
  return {};
}

void Reloader::Unwatch(ReloadListener& listener) {
  std::lock_guard<std::mutex> running(running_);
  std::lock_guard<std::mutex> lock(mutex_);
  const auto found = std::find_if(files_.begin(), files_.end(),
                                  [&](const File& f) { return f.listener == &listener; });
  if (found == files_.end()) return;
  const int directory = found->directory;
  files_.erase(found);
  // One watch serves all files of a directory.
  if (std::none_of(files_.begin(), files_.end(),
                   [&](const File& f) { return f.directory == directory; })) {
    inotify_rm_watch(inotify_.get(), directory);
  }
}

Status Reloader::Post(const void* owner, std::function<void()> job) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (Status s = Start(); !s) return s;
  jobs_.push_back({owner, std::move(job)});
  Ring();
  return {};
}

void Reloader::Cancel(const void* owner) {
  std::lock_guard<std::mutex> running(running_);
  std::lock_guard<std::mutex> lock(mutex_);
  std::erase_if(jobs_, [owner](const Job& job) { return job.owner == owner; });
}

void Reloader::Ring() const {
  const uint64_t one = 1;
  (void)!write(bell_.get(), &one, sizeof one);
}

void Reloader::Run() {
  for (;;) {
    pollfd entries[2] = {{inotify_.get(), POLLIN, 0}, {bell_.get(), POLLIN, 0}};
    // Without a deadline: Ring() wakes it for whatever else there is.
    if (poll(entries, 2, -1) < 0 && errno != EINTR) return;
    uint64_t count = 0;
    (void)!read(bell_.get(), &count, sizeof count);
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (stopping_) return;
    }
    ReadEvents();
    RunJobs();
  }
}

void Reloader::ReadEvents() {
  alignas(inotify_event) char buffer[4096];
  for (;;) {
    const ssize_t size = read(inotify_.get(), buffer, sizeof buffer);
    if (size <= 0) return;
    for (ssize_t at = 0; at + static_cast<ssize_t>(sizeof(inotify_event)) <= size;) {
      inotify_event event{};
      std::memcpy(&event, buffer + at, sizeof event);
      const char* const name = buffer + at + sizeof event;
      std::lock_guard<std::mutex> running(running_);
      std::vector<ReloadListener*> listeners;
      {
        std::lock_guard<std::mutex> lock(mutex_);
        for (const File& file : files_) {
          if (file.directory == event.wd && event.len > 0 && file.name == name)
            listeners.push_back(file.listener);
        }
      }
      for (ReloadListener* listener : listeners) listener->OnFileChanged();
      at += static_cast<ssize_t>(sizeof event + event.len);
    }
  }
}

void Reloader::RunJobs() {
  for (;;) {
    std::lock_guard<std::mutex> running(running_);
    std::function<void()> run;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (jobs_.empty() || stopping_) return;
      run = std::move(jobs_.front().run);
      jobs_.erase(jobs_.begin());
    }
    run();
  }
}

}  // namespace sluice::vulkan
