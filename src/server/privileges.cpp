// SPDX-License-Identifier: MIT
#include "server/privileges.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

namespace websockets {
namespace {

Result<gid_t> group_of(uid_t uid) {
  passwd entry{};
  passwd* found = nullptr;
  constexpr std::size_t kMaxBytes = 1U << 20U;
  std::vector<char> names(1024);
  int error = 0;
  while ((error = ::getpwuid_r(uid, &entry, names.data(), names.size(), &found)) == ERANGE &&
         names.size() < kMaxBytes) {
    names.resize(2 * names.size());
  }
  if (found != nullptr) return entry.pw_gid;
  return Error{"user (uid) " + std::to_string(uid) + " is not known, so it has no group of its own: set gid, too",
               error};
}

}  // namespace

Error drop_privileges(std::optional<uid_t> uid, std::optional<gid_t> gid) {
  if (!uid && !gid) return {};
  const bool is_there_already =
      ::geteuid() != 0 && uid.value_or(::geteuid()) == ::geteuid() && gid.value_or(::getegid()) == ::getegid();
  if (is_there_already) return {};
  if (!gid) {
    const Result<gid_t> own = group_of(*uid);
    if (!own) return own.error();
    gid = *own;
  }
  if (::setgroups(0, nullptr) != 0) return system_error("cannot drop the supplementary groups");
  if (::setgid(*gid) != 0) return system_error("cannot change the group (gid)");
  if (uid && ::setuid(*uid) != 0) return system_error("cannot change the user (uid)");
  if (uid && *uid != 0 && ::setuid(0) == 0) return {"the user (uid) could be changed back", EPERM};
  return {};
}

}  // namespace websockets
