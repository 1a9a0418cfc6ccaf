// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <memory>

struct ssl_st;
struct ssl_ctx_st;

namespace websockets {

struct SslDeleter {
  void operator()(ssl_st* ssl) const;
  void operator()(ssl_ctx_st* context) const;
};
using SslSession = std::unique_ptr<ssl_st, SslDeleter>;

// How many records of its peer a session has read since this was asked last.
std::size_t take_record_count(ssl_st* session);

}  // namespace websockets
