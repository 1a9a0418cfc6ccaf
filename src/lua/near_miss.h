// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace websockets::lua {

// How many edits (a character added, left out or replaced, or two neighbours exchanged) make `name` of `key`, when that
// is so few that the one was probably meant where the other was written: two, one where both have no more than four
// letters; or when one of them is the beginning of the other. Case and underscores count for nothing.
std::optional<std::size_t> near_miss(std::string_view key, std::string_view name);

// Whether they are the same but for case and underscores.
bool is_same_name(std::string_view one, std::string_view other);

}  // namespace websockets::lua
