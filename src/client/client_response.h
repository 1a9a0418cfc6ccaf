// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "http/received_head.h"

namespace websockets {

// The answer that has opened a websocket. It lives as long as its client, so it is one piece of memory.
class ClientResponse {
 public:
  ClientResponse() = default;  // there was none
  // Throws std::bad_alloc.
  ClientResponse(std::string_view url, const ReceivedHead& head) : url_bytes_(url.size()) {
    std::string text;
    text.reserve(head.text().size() + url.size());
    head_ = ReceivedHead(std::move(text.append(head.text()).append(url)));  // behind its empty line
  }

  const ReceivedHead& head() const { return head_; }  // 101, and the headers
  // What was asked, after redirects, without userinfo.
  std::string_view url() const { return std::string_view(head_.text()).substr(head_.text().size() - url_bytes_); }
  // "": none.
  std::string_view protocol() const { return head_.header("Sec-WebSocket-Protocol"); }

 private:
  ReceivedHead head_;
  std::size_t url_bytes_ = 0;
};

}  // namespace websockets
