// SPDX-License-Identifier: MIT
#include "http/responder.h"

#include "base/bytes.h"

namespace websockets {

void Responder::respond_line(ResponseHead& head, std::string_view text) {
  head.content_type = "text/plain; charset=utf-8";
  const std::string body = std::string(text) + "\n";
  respond(head, as_bytes(body));
}

}  // namespace websockets
