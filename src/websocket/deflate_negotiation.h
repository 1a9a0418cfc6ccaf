// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace websockets {

constexpr std::uint8_t kMaxWindowBits = 15;

// The parameters of permessage-deflate (RFC 7692 7.1): what a server would like, or what was agreed upon.
struct DeflateParameters {
  bool server_no_context_takeover = false;
  bool client_no_context_takeover = false;
  std::uint8_t server_max_window_bits = kMaxWindowBits;
  std::uint8_t client_max_window_bits = kMaxWindowBits;

  bool operator==(const DeflateParameters&) const = default;
};

struct DeflateAgreement {
  DeflateParameters parameters;
  std::string answer;  // for Sec-WebSocket-Extensions
};

// The server's side of the negotiation. `offers` is the client's Sec-WebSocket-Extensions, for which
// is_extension_list() holds; the first offer of permessage-deflate that can be accepted is. Nothing: there is none, the
// connection goes without.
//
// An offer is declined when it has a parameter that is unknown, comes twice, or has a value that it must not have
// (RFC 7692 7.1), and when it wants a window of 256 bytes of the server, since zlib needs 512 to compress. What is
// agreed upon takes no more memory than what is wanted: a client that keeps its window and cannot be told how large it
// may be (RFC 7692 7.1.2.2) is told not to keep it. Throws std::bad_alloc.
std::optional<DeflateAgreement> negotiate_deflate(std::string_view offers, const DeflateParameters& wanted);

// The client's side: its offer, for Sec-WebSocket-Extensions. The server may always say how large a window the client
// keeps.
std::string offer_deflate(const DeflateParameters& wanted);
// What a server agreed to that was sent offer_deflate(wanted); nothing: the client has to fail the connection (RFC 7692
// 5.1). `answer` is its Sec-WebSocket-Extensions, for which is_extension_list() holds and which is not empty.
std::optional<DeflateParameters> accept_deflate_answer(std::string_view answer, const DeflateParameters& wanted);

// The same as the other side sees it: MessageCompression takes the server's part.
DeflateParameters mirrored(const DeflateParameters& parameters);

}  // namespace websockets
