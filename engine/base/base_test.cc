#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/base/ref_ptr.h"
#include "engine/base/result.h"
#include "engine/base/unique_fd.h"

namespace sluice {
namespace {

bool IsOpen(int fd) { return fcntl(fd, F_GETFD) != -1; }

TEST(UniqueFdTest, ClosesOnceWhenMovedAround) {
  int raw = open("/dev/null", O_RDONLY | O_CLOEXEC);
  {
    UniqueFd a(raw);
    UniqueFd b = std::move(a);
    EXPECT_FALSE(a.valid());
    EXPECT_TRUE(IsOpen(raw));
  }
  EXPECT_FALSE(IsOpen(raw));
}

TEST(UniqueFdTest, DuplicatesWithCloseOnExec) {
  UniqueFd a(open("/dev/null", O_RDONLY | O_CLOEXEC));
  auto b = UniqueFd::Duplicate(a.get());
  ASSERT_TRUE(b);
  EXPECT_EQ(fcntl(b->get(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

TEST(UniqueFdTest, NamesTheBadDescriptor) {
  auto r = UniqueFd::Duplicate(-1);
  ASSERT_FALSE(r);
  EXPECT_NE(r.error().message.find("fd -1"), std::string::npos);
}

TEST(ErrorTest, MapsErrnoToACodeThatUsersCanActOn) {
  EXPECT_EQ(FailErrno("open x", EACCES).value().code, Code::kPermissionDenied);
  EXPECT_EQ(FailErrno("open x", ENOENT).value().code, Code::kNotFound);
  EXPECT_EQ(FailErrno("open x", ENOSPC).value().ToString(),
            "open x: No space left on device (resource-exhausted)");
}

struct Counted : RefCounted<Counted> {
  explicit Counted(int* deaths) : deaths(deaths) {}
  ~Counted() { ++*deaths; }
  int* deaths;
};

TEST(RefPtrTest, DeletesWithTheLastReference) {
  int deaths = 0;
  {
    auto a = MakeRef<Counted>(&deaths);
    RefPtr<Counted> b = a;
    a = nullptr;
    EXPECT_EQ(deaths, 0);
  }
  EXPECT_EQ(deaths, 1);
}

TEST(ClockTest, StepsOnlyWhenTold) {
  SteppableClock clock(5);
  EXPECT_EQ(clock.Now(), 5);
  clock.Step(7);
  EXPECT_EQ(clock.Now(), 12);
}

TEST(LogTest, DropsMessagesBelowTheLevel) {
  std::string seen;
  SetLogSink([&](LogLevel, std::string_view, std::string_view m) { seen += m; });
  SetLogLevel(LogLevel::kWarning);
  Log(LogLevel::kInfo, "t", "quiet");
  Log(LogLevel::kError, "t", "loud {}", 1);
  SetLogSink(nullptr);
  EXPECT_EQ(seen, "loud 1");
}

}  // namespace
}  // namespace sluice
