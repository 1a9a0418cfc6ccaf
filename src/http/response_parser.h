// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "http/received_head.h"

namespace websockets {

struct ResponseLimits {
  std::size_t max_header_bytes = 16U << 10U;  // of each head: an error beyond
  std::size_t max_headers = 100;              // an error beyond
  std::size_t max_body_bytes = 64U << 10U;    // what is beyond is not waited for
};

// Reads the answer to the one request of a connection, split anywhere: to the request for a websocket, or for a tunnel
// through a proxy. Bytes in, an answer out: knows no socket. The grammar is Boost.Beast's parser's.
class ResponseParser {
 public:
  enum class Status : std::uint8_t {
    kMore,      // all input was taken, more is needed
    kComplete,  // the answer is whole, or as much of it as is kept
    kError,     // error_text() says why this is no answer
  };
  // What has been asked for: behind an answer that grants it another protocol begins.
  enum class Asked : std::uint8_t {
    kWebsocket,  // 101 grants it
    kTunnel,     // any 2xx does (RFC 9110 9.3.6)
  };

  explicit ResponseParser(Asked asked, const ResponseLimits& limits = {});
  ~ResponseParser();
  ResponseParser(const ResponseParser&) = delete;
  ResponseParser& operator=(const ResponseParser&) = delete;

  // Takes bytes from the front of `input` and advances it: not one that is behind an answer that grants what was asked
  // for. Interim answers (1xx but 101) are skipped. Throws std::bad_alloc; the parser is unusable then.
  Status consume(std::span<const std::uint8_t>& input);
  // The peer sends no more: never kMore. A head that is there is an answer, whatever is missing of its content.
  Status end_of_input();

  // Whether the head is there, if not yet all of the content: who only wants the head need not wait.
  bool has_head() const;
  const ReceivedHead& head() const;
  ReceivedHead take_head();
  std::string_view body() const;
  // False: the content was longer than is kept, or ended early, or was malformed.
  bool is_body_whole() const;

  std::string_view error_text() const;  // after kError: a sentence, and a literal

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace websockets
