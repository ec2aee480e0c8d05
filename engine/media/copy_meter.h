#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::media {

/// Where pixels were copied and why. What a library copies inside is out of
/// sight unless its plugin declares it. Threads: [thread-safe].
class CopyMeter {
 public:
  struct Row {
    std::string place;  ///< "look.in": the node and port that it belongs to.
    std::string reason;
    uint64_t frames = 0;
    uint64_t bytes = 0;
  };

  void Count(std::string_view place, std::string_view reason, uint64_t bytes);
  std::vector<Row> Rows() const;
  uint64_t TotalBytes() const;

 private:
  struct Key {
    std::string place;
    std::string reason;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  using KeyView = std::pair<std::string_view, std::string_view>;
  struct Less {
    using is_transparent = void;
    static KeyView View(const Key& key) { return {key.place, key.reason}; }
    static KeyView View(const KeyView& view) { return view; }
    template <typename A, typename B>
    bool operator()(const A& a, const B& b) const {
      return View(a) < View(b);
    }
  };
  struct Amount {
    uint64_t frames = 0;
    uint64_t bytes = 0;
  };
  mutable std::mutex mutex_;
  std::map<Key, Amount, Less> amounts_;
};

}  // namespace sluice::media
