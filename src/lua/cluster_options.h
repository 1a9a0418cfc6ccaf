// SPDX-License-Identifier: MIT
#pragma once

#include <optional>

#include "cluster/cluster_options.h"
#include "lua/compat.h"

namespace websockets::lua {

class OptionReader;

// The options cluster, cluster_prefix, cluster_queue and history of websockets.context(). Functions go into the
// callbacks table. Nothing: there is no cluster.
void read_cluster(OptionReader& reader, int callbacks, std::optional<ClusterOptions>& cluster);

}  // namespace websockets::lua
