// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

namespace websockets {

// What stands behind the last dot of a file's name; "": there is none.
std::string_view suffix_of(std::string_view path);

// The Content-Type of files with this suffix, in any case; "": not known. Text is UTF-8.
std::string_view content_type_of(std::string_view suffix);

}  // namespace websockets
