#ifndef SLUICE_NODES_VULKAN_RELOADER_H_
#define SLUICE_NODES_VULKAN_RELOADER_H_

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <sluice/unique_fd.hpp>
#include <string>
#include <thread>
#include <vector>

#include "nodes/vulkan/result.h"

namespace sluice::vulkan {

/// Hears that a file has been written. Called from the Reloader's thread.
class ReloadListener {
 public:
  virtual void OnFileChanged() = 0;

 protected:
  ~ReloadListener() = default;
};

/// One thread for what takes long and must not hold up frames: it watches files (inotify) and runs
/// jobs. Threads: [thread-safe].
class Reloader {
 public:
  Reloader() = default;
  ~Reloader();
  Reloader(const Reloader&) = delete;
  Reloader& operator=(const Reloader&) = delete;

  /// Tells `listener` when the file is written or replaced (editors rename). Errors: Io.
  Status Watch(const std::string& path, ReloadListener& listener);
  /// Returns when the listener is not being told and will not be any more.
  void Unwatch(ReloadListener& listener);
  /// Runs `job` on the thread; `owner` names it for Cancel. Errors: Io, and it will not run.
  Status Post(const void* owner, std::function<void()> job);
  /// Returns when no job of `owner` runs or will.
  void Cancel(const void* owner);

 private:
  struct File {
    std::string name;    // in its directory
    int directory = -1;  // the watch
    ReloadListener* listener = nullptr;
  };
  struct Job {
    const void* owner;
    std::function<void()> run;
  };

  Status Start();
  void Run();
  void ReadEvents();
  void RunJobs();
  void Ring() const;

  std::mutex mutex_;
  std::mutex running_;  // held while a listener or a job runs; after mutex_ never, before it always
  sdk::UniqueFd inotify_;
  sdk::UniqueFd bell_;  // an eventfd
  std::vector<File> files_;
  std::vector<Job> jobs_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_RELOADER_H_
