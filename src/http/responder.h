// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/output_queue.h"
#include "base/pinned_payload.h"
#include "http/request.h"
#include "http/response.h"

namespace websockets {

// The answer to one request, which is given once, whatever carries it. Throws std::bad_alloc, after which nothing more
// can be said to this client.
class Responder {
 public:
  virtual const Request& request() const = 0;

  // Answers with this head, but for its length and what is said of the connection, and this body; a HEAD request
  // without the body. `pinned`: the body is sent from where it is, else from a copy.
  virtual void respond(ResponseHead& head, std::span<const std::uint8_t> body, PinnedPayload pinned) = 0;
  void respond(ResponseHead& head, std::span<const std::uint8_t> body) { respond(head, body, {}); }

  // Answers with this head, but for its type, and a line of text.
  void respond_line(ResponseHead& head, std::string_view text);

  // Likewise with a body of text and parts of a regular file, alternately: before each part its text, at last `end`.
  struct FilePart {
    std::string text;
    std::uint64_t first;  // byte
    std::uint64_t bytes;
  };
  virtual void respond_with_file(ResponseHead& head, const SharedFile& file, std::span<const FilePart> parts,
                                 std::string_view end) = 0;

 protected:
  ~Responder() = default;
};

}  // namespace websockets
