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
using SslContext = std::unique_ptr<ssl_ctx_st, SslDeleter>;

// A session on a non-blocking socket, of neither side yet. It never raises SIGPIPE. `below`: a session on that socket
// that carries the records of this one (TLS within TLS), and belongs to it from now on. Throws std::bad_alloc.
SslSession new_ssl_session(ssl_ctx_st& context, int fd, SslSession below = nullptr);
// Null: there is none.
ssl_st* session_below(const ssl_st* session);

// The sessions of this context count what they receive, and read no more of a peer that keeps this side busy with
// nothing but messages of the handshake.
void count_messages(ssl_ctx_st& context);
// How many records of its peer a session has read since this was asked last.
std::size_t take_record_count(ssl_st* session);

// The errno of what the socket has refused last; 0: nothing, or it has come to its end.
int socket_error(const ssl_st* session);

}  // namespace websockets
