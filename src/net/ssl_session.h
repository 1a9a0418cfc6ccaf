// SPDX-License-Identifier: MIT
#pragma once

#include <memory>

struct ssl_st;
struct ssl_ctx_st;

namespace websockets {

struct SslDeleter {
  void operator()(ssl_st* ssl) const;
  void operator()(ssl_ctx_st* context) const;
};
using SslSession = std::unique_ptr<ssl_st, SslDeleter>;

}  // namespace websockets
