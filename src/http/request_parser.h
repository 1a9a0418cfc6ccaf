// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string_view>

#include "base/budget.h"
#include "http/request.h"

namespace websockets {

// What the contents of all requests of a server take in memory, from their first byte to their answer.
struct ContentBudget {
  std::size_t limit_bytes;
  std::size_t used_bytes = 0;
};

struct RequestLimits {
  std::size_t max_header_bytes = 8U << 10U;  // request line and all headers: 431 beyond, 414 or 501 in the line
  std::size_t max_headers = 100;             // and trailers: 431 beyond
  std::size_t max_body_bytes = 1U << 20U;    // 413 beyond, at the Content-Length where there is one
  ContentBudget* contents = nullptr;         // 503 beyond, but for a content that is alone; null: no limit
};

// Reads HTTP/1.x requests from a stream of bytes, one after the other (pipelining), split anywhere. Bytes in,
// requests out: knows no socket. The grammar is Boost.Beast's parser's.
class RequestParser {
 public:
  enum class Status {
    kIncomplete,  // all input was taken, more is needed; or the budget is spent
    kHead,        // reported once per request: the head is there, a body (if any) is still to come
    kComplete,    // request() is whole; the rest of the input belongs to what follows
    kError,       // error_status() and error_text() say what to answer; the stream is unusable from here
  };

  explicit RequestParser(const RequestLimits& limits);
  ~RequestParser();
  RequestParser(const RequestParser&) = delete;
  RequestParser& operator=(const RequestParser&) = delete;

  // Takes bytes from the front of `input` and advances it. Every request gives kHead and then, by a further call
  // (also with an empty input), kComplete. A request with an Upgrade to "websocket" is complete with its head,
  // so that everything behind the head stays in the input.
  // What cannot be the beginning of a request (a TLS hello, say) is refused at its first bytes.
  // Spends of `budget`, which is above 0, what reading the input costs (http/cost.h). The content itself is only
  // copied, which is in the cost of receiving it.
  Status consume(std::span<const std::uint8_t>& input, Budget& budget);
  Status consume(std::span<const std::uint8_t>& input) {
    Budget any(std::numeric_limits<std::uint32_t>::max());
    return consume(input, any);
  }

  // Whether anything of the next request has arrived (an idle keep-alive connection has none).
  bool started() const;
  // Whether its head is there.
  bool has_head() const;
  // The request asked for "Expect: 100-continue" (RFC 9110 10.1.1) and its body has not begun to arrive. Valid after
  // kHead.
  bool expects_continue() const;
  const Request& request() const;

  int error_status() const;  // 400, 413, 414, 417, 431, 501, 503 or 505
  std::string_view error_text() const;

  // What is kept of the request so far.
  std::size_t bytes() const;

  // Forgets the complete request and gets ready for the next one.
  void reset();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace websockets
