// SPDX-License-Identifier: MIT
#include "websocket/handshake.h"

#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <new>

#include "base/base64.h"
#include "base/http_text.h"

namespace websockets {

namespace {

using http_text::equals_ignoring_case;
using http_text::is_token_char;
using http_text::trimmed;

// Takes the next element that is not empty off the front of a list; empty at the end.
// RFC 9110 5.6.1.2: empty elements are ignored.
std::string_view take_element(std::string_view& list) {
  while (list.data() != nullptr) {
    const std::string_view element = http_text::take_list_element(list);
    if (!element.empty()) return element;
  }
  return {};
}

constexpr bool is_base64_char(char letter) {
  return http_text::is_alphanumeric(letter) || letter == '+' || letter == '/';
}

// RFC 6455 4.2.1: base64 which decodes to 16 bytes. 16 bytes are 21 characters and two bits more, so that
// the last four bits of the 22nd are not data; an encoder leaves them 0 (RFC 4648 3.5).
bool is_valid_key(std::string_view key) {
  constexpr std::size_t kDigits = 22;
  constexpr std::string_view kLastDigits = "AQgw";
  return key.size() == kDigits + 2 && key.ends_with("==") &&
         std::all_of(key.begin(), key.begin() + kDigits, is_base64_char) &&
         kLastDigits.find(key[kDigits - 1]) != std::string_view::npos;
}

// The text between the quotes is a token too, each of its characters perhaps behind a backslash (RFC 6455 9.1).
bool is_quoted_token(std::string_view text) {
  if (text.size() < 3 || text.front() != '"' || text.back() != '"') {
    return false;
  }
  text = text.substr(1, text.size() - 2);
  while (!text.empty()) {
    text.remove_prefix(text.front() == '\\' ? 1 : 0);
    if (text.empty() || !is_token_char(text.front())) {
      return false;
    }
    text.remove_prefix(1);
  }
  return true;
}

bool is_extension_parameter(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) {
    return is_token(text);
  }
  const std::string_view value = trimmed(text.substr(equals + 1));
  return is_token(trimmed(text.substr(0, equals))) && (is_token(value) || is_quoted_token(value));
}

// No token has a semicolon in it, not even between quotes.
bool is_extension(std::string_view text) {
  std::size_t semicolon = text.find(';');
  if (!is_token(trimmed(text.substr(0, semicolon)))) {
    return false;
  }
  while (semicolon != std::string_view::npos) {
    text.remove_prefix(semicolon + 1);
    semicolon = text.find(';');
    if (!is_extension_parameter(trimmed(text.substr(0, semicolon)))) {
      return false;
    }
  }
  return true;
}

HandshakeVerdict check_version_and_key(const HandshakeRequest& request) {
  if (!request.has_version) {
    return {400, "The header Sec-WebSocket-Version is missing; this server speaks version 13."};
  }
  if (request.version != "13") {
    return {426, "This server speaks version 13 of the WebSocket protocol only."};  // RFC 6455 4.4
  }
  if (!request.has_key) {
    return {400, "The header Sec-WebSocket-Key is missing."};
  }
  if (!is_valid_key(request.key)) {
    return {400, "The header Sec-WebSocket-Key must be 16 bytes in base64: 22 characters and \"==\"."};
  }
  return {};
}

}  // namespace

bool list_has_token(std::string_view list, std::string_view token) {
  for (std::string_view element = take_element(list); !element.empty(); element = take_element(list)) {
    if (equals_ignoring_case(element, token)) {
      return true;
    }
  }
  return false;
}

bool is_empty_list(std::string_view list) { return take_element(list).empty(); }

bool asks_for_websocket(std::string_view upgrade) { return list_has_token(upgrade, "websocket"); }

HandshakeVerdict check_handshake(const HandshakeRequest& request) {
  if (request.method != "GET") {
    return {405, "A WebSocket is opened by a GET request."};
  }
  if (request.http_minor_version < 1) {
    return {400, "A WebSocket is opened by an HTTP/1.1 request."};
  }
  if (request.repeated_header) {
    return {400, "The headers Host, Sec-WebSocket-Key and Sec-WebSocket-Version must not come more than once."};
  }
  if (!request.has_host) {
    return {400, "The header Host is missing."};
  }
  if (!asks_for_websocket(request.upgrade)) {
    return {400, "The header Upgrade must list \"websocket\"."};
  }
  if (!list_has_token(request.connection, "upgrade")) {
    return {400, "The header Connection must list \"Upgrade\"."};
  }
  const HandshakeVerdict verdict = check_version_and_key(request);
  if (verdict.status == 101 && !is_extension_list(request.extensions)) {
    return {400, "The Sec-WebSocket-Extensions header is malformed."};
  }
  return verdict;
}

bool is_extension_list(std::string_view list) {
  std::string_view extension = take_element(list);
  while (is_extension(extension)) {
    extension = take_element(list);
  }
  return extension.empty();
}

std::string accept_key(std::string_view key) {
  constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";  // RFC 6455 1.3
  std::string text;
  text.reserve(key.size() + kGuid.size());
  text.append(key).append(kGuid);

  std::array<unsigned char, SHA_DIGEST_LENGTH> digest{};
  if (SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data()) == nullptr) {
    throw std::bad_alloc();
  }
  return encode_base64(digest);
}

bool is_token(std::string_view text) { return !text.empty() && std::all_of(text.begin(), text.end(), is_token_char); }

std::string_view SubprotocolOffers::next() {
  for (std::string_view offer = take_element(rest_); !offer.empty(); offer = take_element(rest_)) {
    if (++count_ > kMaxOffers) {
      malformed_ = true;
      rest_ = {};
      break;
    }
    if (!is_token(offer)) {
      malformed_ = true;
      continue;
    }
    std::string_view before = list_.substr(0, static_cast<std::size_t>(offer.data() - list_.data()));
    for (std::string_view other = take_element(before); !malformed_ && !other.empty(); other = take_element(before)) {
      malformed_ = other == offer;
    }
    return offer;
  }
  return {};
}

}  // namespace websockets
