// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <optional>

#include "base/result.h"

namespace websockets {

// Gives up what the process may do beyond this user and group: supplementary groups first, then the group, then the
// user. Without a group it is that of the user. Error: something could not be given up; the process is in an unknown
// state then.
Error drop_privileges(std::optional<uid_t> uid, std::optional<gid_t> gid);

}  // namespace websockets
