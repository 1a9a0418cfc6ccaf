// SPDX-License-Identifier: MIT
#include "server/privileges.h"

#include <grp.h>
#include <unistd.h>

#include <cerrno>

namespace websockets {
Error drop_privileges(std::optional<uid_t> uid, std::optional<gid_t> gid) {
  if (!uid && !gid) return {};
  const bool is_there_already =
      ::geteuid() != 0 && uid.value_or(::geteuid()) == ::geteuid() && gid.value_or(::getegid()) == ::getegid();
  if (is_there_already) return {};
  if (::setgroups(0, nullptr) != 0) return system_error("cannot drop the supplementary groups");
  if (gid && ::setgid(*gid) != 0) return system_error("cannot change the group (gid)");
  if (uid && ::setuid(*uid) != 0) return system_error("cannot change the user (uid)");
  if (uid && *uid != 0 && ::setuid(0) == 0) return {"the user (uid) could be changed back", EPERM};
  return {};
}

}  // namespace websockets
