#pragma once

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace sluice::testing {

/// What a shell command prints; fails the test when the command does.
std::string Shell(const std::string& command);

/// The time of every frame as the exact rational "ticks*num/den" of the stream, shortened, in the
/// order in which they are shown.
std::vector<std::string> FrameTimes(const std::string& file);

/// One entry of the video stream as ffprobe prints it, for example "pix_fmt".
std::string StreamEntry(const std::string& file, const std::string& entry);

/// A test with an empty folder of its own, which media files are made in.
class MediaTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  /// Makes NAME.EXTENSION of tests/media/make_fixtures.sh and returns its path.
  std::string Fixture(const std::string& file);
  std::string Path(const std::string& name) const { return folder_ + "/" + name; }
  std::string Read(const std::string& name) const;
  /// Lines of a file.
  size_t Lines(const std::string& name) const;
  bool Exists(const std::string& name) const;
  /// What the folder has beside fixtures, hidden files too, sorted.
  std::vector<std::string> Outputs() const;

  std::string folder_;

 private:
  std::vector<std::string> fixtures_;
};

}  // namespace sluice::testing
