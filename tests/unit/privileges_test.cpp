// SPDX-License-Identifier: MIT
#include "server/privileges.h"

#include <grp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>

#include "forked.h"

namespace websockets {
namespace {

constexpr uid_t kNobody = 65534;

// In a process of its own, since there is no way back.
template <typename Function>
bool succeeds_in_child(Function succeeds) {
  const pid_t child = ::fork();
  if (child == 0) run_in_child(succeeds);
  return has_succeeded(child);
}

TEST(Privileges, AreKeptWithoutAUserAndAGroup) {
  const uid_t uid = ::getuid();
  EXPECT_FALSE(drop_privileges({}, {}));
  EXPECT_EQ(::getuid(), uid);
}

TEST(Privileges, AUserWhoIsThereAlreadyHasNothingToDrop) {
  EXPECT_TRUE(succeeds_in_child([] {
    if (::geteuid() == 0 && ::setuid(kNobody) != 0) return false;
    return !drop_privileges(::geteuid(), ::getegid());
  }));
}

TEST(Privileges, WhoHasNoneCannotBecomeSomebodyElse) {
  EXPECT_TRUE(succeeds_in_child([] {
    if (::geteuid() == 0 && ::setuid(kNobody) != 0) return false;
    return drop_privileges(::geteuid() + 1, ::getegid()).code == EPERM;
  }));
}

TEST(Privileges, AreGoneForGood) {
  EXPECT_TRUE(succeeds_in_child([] {
    if (::geteuid() != 0) return true;
    if (drop_privileges(kNobody, kNobody)) return false;
    return ::getuid() == kNobody && ::geteuid() == kNobody && ::getgid() == kNobody && ::getgroups(0, nullptr) == 0 &&
           ::setuid(0) != 0;
  }));
}

TEST(Privileges, AUserWhoIsNotKnownHasNoGroup) {
  EXPECT_TRUE(succeeds_in_child([] {
    constexpr uid_t kUnknown = 1'234'567'891;
    return drop_privileges(kUnknown, {}).text.find("set gid") != std::string::npos;
  }));
}

}  // namespace
}  // namespace websockets
