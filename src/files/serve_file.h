// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

namespace websockets {

class Responder;

// Answers the request with the regular file, or 404 when there is none and 405 when the request is not GET or HEAD:
// false then. Throws what Responder does.
bool serve_file(Responder& responder, const char* path, std::string_view content_type);

}  // namespace websockets
