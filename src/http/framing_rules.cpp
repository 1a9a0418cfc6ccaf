// SPDX-License-Identifier: MIT
#include "http/framing_rules.h"

#include <algorithm>

#include "base/http_text.h"
#include "http/url.h"

namespace websockets {
namespace {

using http_text::equals_ignoring_case;
using http_text::take_list_element;

enum class TransferEncoding { kChunked, kMalformed, kUnknown };

TransferEncoding classify_transfer_encoding(std::string_view list) {
  bool is_chunked = false;
  bool is_unknown = false;
  while (list.data() != nullptr) {
    const std::string_view coding = take_list_element(list);
    // RFC 9112 6.1: chunked is the last one and is applied once.
    if (is_chunked || coding.empty() || !std::all_of(coding.begin(), coding.end(), http_text::is_token_char)) {
      return TransferEncoding::kMalformed;
    }
    (equals_ignoring_case(coding, "chunked") ? is_chunked : is_unknown) = true;
  }
  return is_unknown ? TransferEncoding::kUnknown : TransferEncoding::kChunked;
}

}  // namespace

void FramingRules::refuse(int status, std::string_view text) {
  if (refusal_.status == 0) refusal_ = {status, text};
}

void FramingRules::request_line(std::string_view method, std::string_view target) {
  // What follows a 2xx to it would be a tunnel (RFC 9110 9.3.6), whatever a handler means to answer.
  if (method == "CONNECT") return refuse(501, "This server is no proxy: it knows no CONNECT.");
  if (!is_target(method, target)) refuse(400, "The request target is malformed.");
}

void FramingRules::host(std::string_view value) {
  if (has_host_) refuse(400, "The Host header came more than once.");
  if (!is_host(value)) refuse(400, "The Host header is malformed.");
  has_host_ = true;
}

void FramingRules::content_length(std::string_view value) {
  // RFC 9112 6.3 lets equal ones pass; nobody who means well sends them.
  if (has_content_length_) refuse(400, "The Content-Length header came more than once.");
  if (value.empty() || !std::all_of(value.begin(), value.end(), http_text::is_digit)) {
    refuse(400, "The Content-Length header is not a number.");
  }
  has_content_length_ = true;
  has_content_ = value.find_first_not_of('0') != std::string_view::npos;
}

void FramingRules::transfer_encoding(std::string_view value) {
  if (has_transfer_encoding_) refuse(400, "The Transfer-Encoding header came more than once.");
  has_transfer_encoding_ = true;
  switch (classify_transfer_encoding(value)) {
    case TransferEncoding::kChunked:
      break;
    case TransferEncoding::kMalformed:
      refuse(400, "The Transfer-Encoding header is malformed: chunked comes once and last.");
      break;
    case TransferEncoding::kUnknown:
      refuse(501, "This Transfer-Encoding is not supported, only chunked is.");
      break;
  }
}

void FramingRules::expect(std::string_view value) {
  if (!equals_ignoring_case(value, "100-continue")) {
    refuse(417, "This expectation cannot be met, only 100-continue can.");
  }
  // RFC 9110 10.1.1: an HTTP/1.0 client would not understand the answer.
  expects_continue_ = minor_version_ >= 1;
}

void FramingRules::connection(std::string_view value) {
  while (value.data() != nullptr) {
    const std::string_view option = take_list_element(value);
    closes_ = closes_ || equals_ignoring_case(option, "close");
    keeps_alive_ = keeps_alive_ || equals_ignoring_case(option, "keep-alive");
  }
}

void FramingRules::upgrade(std::string_view value) {
  while (value.data() != nullptr) {
    const std::string_view protocol = take_list_element(value);
    is_websocket_ = is_websocket_ || equals_ignoring_case(protocol, "websocket");
  }
}

Refusal FramingRules::verdict() const {
  if (refusal_.status != 0) return refusal_;
  if (!has_host_ && minor_version_ >= 1) return {400, "The Host header is missing."};
  if (has_transfer_encoding_ && has_content_length_) {
    return {400, "Content-Length and Transfer-Encoding exclude each other."};
  }
  // RFC 9112 6.1: whoever passed such a request on did not understand its framing.
  if (has_transfer_encoding_ && minor_version_ < 1) return {400, "HTTP/1.0 knows no Transfer-Encoding."};
  // After the head the bytes are frames: to take them for content, or content for frames, would be smuggling.
  if (is_websocket_ && has_body()) return {400, "A request for a websocket cannot have content."};
  return {};
}

}  // namespace websockets
