// SPDX-License-Identifier: MIT
#include "http/beast_request_parser.h"

#include <algorithm>
#include <limits>

#include "base/http_text.h"

namespace websockets {
namespace {

using boost::beast::http::error;
using boost::beast::http::field;

std::string_view to_std(boost::beast::string_view text) { return {text.data(), text.size()}; }

// What Beast says of HTTP/2.0 and of "GET / x" is the same code; the first is a version, the second is nonsense.
bool ends_with_other_version(std::string_view request_line) {
  const std::string_view version = request_line.substr(request_line.find_last_of(' ') + 1);
  return version.size() == 10 && version.starts_with("HTTP/") && http_text::is_digit(version[5]) && version[6] == '.' &&
         http_text::is_digit(version[7]) && !version.starts_with("HTTP/1.");
}

Refusal refusal_of_head(error code, std::string_view request_line) {
  switch (code) {
    case error::body_limit:
      return {413, "The content is too long."};
    case error::bad_version:
      if (ends_with_other_version(request_line)) return {505, "Only HTTP/1 is supported."};
      return {400, "The request line is malformed."};
    case error::need_more:  // the request line was not whole, although its line was
      return {400, "The request line is malformed."};
    case error::bad_method:
      return {400, "The request method is malformed."};
    case error::bad_target:
      return {400, "The request target is malformed."};
    case error::bad_field:
      return {400, "The name of a header is malformed."};
    case error::bad_value:
      return {400, "The value of a header is malformed."};
    case error::bad_line_ending:
      return {400, "A line does not end with CR LF."};
    case error::bad_transfer_encoding:
      return {400, "The Transfer-Encoding header came more than once or with a Content-Length."};
    default:  // the two codes for it differ between versions of Boost
      return {400, "The Content-Length header is malformed, or came more than once or with a Transfer-Encoding."};
  }
}

}  // namespace

BeastRequestParser::BeastRequestParser(Request& request, const RequestLimits& limits) : request_(request) {
  header_limit(static_cast<std::uint32_t>(
      std::min<std::size_t>(limits.max_header_bytes, std::numeric_limits<std::uint32_t>::max())));
  body_limit(limits.max_body_bytes);
}

std::size_t BeastRequestParser::put_bytes(const void* data, std::size_t size, Code& code) {
  return put(boost::asio::const_buffer(data, size), code);
}

Refusal BeastRequestParser::read_head(std::string_view head) {
  Code code;
  put_bytes(head.data(), head.size(), code);
  is_head_read_ = true;
  const bool is_too_long = code == error::body_limit;
  // The rules may know a better reason why a content is too long: it must not be there at all.
  if ((!code || is_too_long) && rules_->verdict().status != 0) return rules_->verdict();
  if (code) return refusal_of_head(static_cast<error>(code.value()), head.substr(0, head.find('\n') + 1));
  return {};
}

Refusal BeastRequestParser::read_chunk_lines(std::string_view lines) {
  Code code;
  put_bytes(lines.data(), lines.size(), code);
  if (code == error::body_limit) return {413, "The content is too long."};
  // Also when Beast wants more: what should have been whole is not.
  if (code) return {400, "The chunked content is malformed."};
  return {};
}

std::size_t BeastRequestParser::read_content(std::span<const std::uint8_t> input) {
  Code never;
  return put_bytes(input.data(), input.size(), never);
}

void BeastRequestParser::on_request_impl(boost::beast::http::verb, Text method, Text target, int version, Code&) {
  request_.set_line(to_std(method), to_std(target), version % 10);
  rules_.emplace(request_.minor_version());
  rules_->request_line(request_.method(), request_.target());
}

void BeastRequestParser::on_field_impl(Field name, Text name_text, Text value_text, Code&) {
  if (is_head_read_) return;  // a trailer
  const std::string_view value = to_std(value_text);
  request_.headers().push_back({to_std(name_text), value});
  switch (name) {
    case field::host:
      return rules_->host(value);
    case field::content_length:
      return rules_->content_length(value);
    case field::transfer_encoding:
      return rules_->transfer_encoding(value);
    case field::expect:
      return rules_->expect(value);
    case field::connection:
      return rules_->connection(value);
    case field::upgrade:
      return rules_->upgrade(value);
    default:
      return;
  }
}

std::size_t BeastRequestParser::on_body_impl(Text body, Code&) {
  request_.body_text().append(body.data(), body.size());
  return body.size();
}

void BeastRequestParser::on_chunk_header_impl(std::uint64_t size, Text extensions, Code& code) {
  chunk_bytes_ = size;
  // Beast takes anything between quotes.
  if (std::any_of(extensions.begin(), extensions.end(), [](char c) { return http_text::is_control(c) && c != '\t'; })) {
    code = error::bad_chunk_extension;
  }
}

std::size_t BeastRequestParser::on_chunk_body_impl(std::uint64_t, Text body, Code& code) {
  chunk_bytes_ -= body.size();
  return on_body_impl(body, code);
}

}  // namespace websockets
