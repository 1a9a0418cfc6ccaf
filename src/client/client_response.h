// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

#include "http/received_head.h"

namespace websockets {

// The answer that has opened a websocket. It lives as long as its client, so it takes little room.
struct ClientResponse {
  std::string url;    // what was asked, after redirects, without userinfo
  ReceivedHead head;  // 101, and the headers

  // "": none.
  std::string_view protocol() const { return head.header("Sec-WebSocket-Protocol"); }
};

}  // namespace websockets
