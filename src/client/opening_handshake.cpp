// SPDX-License-Identifier: MIT
#include "client/opening_handshake.h"

#include <algorithm>
#include <cstddef>

#include "base/base64.h"
#include "base/http_text.h"
#include "http/basic_authorization.h"
#include "http/http_date.h"
#include "http/response.h"
#include "http/url.h"
#include "websocket/handshake.h"

namespace websockets {
namespace {

using http_text::equals_ignoring_case;
using Pairs = OpeningOptions::Pairs;

bool has_header(const Pairs& headers, std::string_view name) {
  return std::any_of(headers.begin(), headers.end(),
                     [&](const auto& header) { return equals_ignoring_case(header.first, name); });
}

std::string in_quotes(std::string_view text) {
  std::string quoted("'");
  quoted.append(text);
  std::replace_if(quoted.begin(), quoted.end(), http_text::is_control, '?');
  return quoted.append("'");
}

Error option_error(std::string_view option, std::string_view value, std::string_view why) {
  std::string text(option);
  return {text.append(": ").append(in_quotes(value)).append(" ").append(why)};
}

Error check_protocols(const std::vector<std::string>& protocols) {
  if (protocols.size() > SubprotocolOffers::kMaxOffers) return {"protocols: there are more than 128"};
  for (auto protocol = protocols.begin(); protocol != protocols.end(); ++protocol) {
    if (!is_token(*protocol)) return option_error("protocols", *protocol, "is no token (RFC 9110 5.6.2)");
    // RFC 6455 4.1.
    if (std::find(protocols.begin(), protocol, *protocol) != protocol) {
      return option_error("protocols", *protocol, "is there twice");
    }
  }
  return {};
}

// "": it may be among the user's headers.
std::string_view why_not_header(std::string_view name) {
  constexpr std::string_view kPrefix = "Sec-WebSocket-";
  if (equals_ignoring_case(name, "Host")) return "is given by the option host";
  if (equals_ignoring_case(name, "Upgrade") || equals_ignoring_case(name, "Connection") ||
      equals_ignoring_case(name.substr(0, kPrefix.size()), kPrefix)) {
    return "is the handshake's own";
  }
  if (equals_ignoring_case(name, "Content-Length") || equals_ignoring_case(name, "Transfer-Encoding")) {
    return "belongs to content, which this request has none of";
  }
  return {};
}

// Values are not repeated: they may be tokens that nobody else is to know.
Error check_headers(const Pairs& headers) {
  for (const auto& [name, value] : headers) {
    if (!is_token(name)) return option_error("headers", name, "is no header's name (RFC 9110 5.6.2)");
    if (!is_valid_header(name, value)) return option_error("headers", name, "has a control character in its value");
    if (const std::string_view why = why_not_header(name); !why.empty()) return option_error("headers", name, why);
  }
  return {};
}

Error check_cookies(const OpeningOptions& options) {
  if (!options.cookies.empty() && has_header(options.headers, "Cookie")) {
    return {"cookies: there is a header Cookie, too, and only one of them can be sent (RFC 6265 5.4)"};
  }
  for (const auto& [name, value] : options.cookies) {
    if (!is_token(name)) return option_error("cookies", name, "is no cookie's name (RFC 6265 4.1.1)");
    if (!is_valid_header(name, value) || value.find(';') != std::string::npos) {
      return option_error("cookies", name, "has a control character or a semicolon in its value");
    }
  }
  return {};
}

void append_header(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ").append(value).append("\r\n");
}

template <typename Range, typename Append>
std::string join(const Range& range, std::string_view separator, Append append) {
  std::string all;
  for (const auto& element : range) {
    if (!all.empty()) all += separator;
    append(all, element);
  }
  return all;
}

// Seconds, or a date (RFC 9110 10.2.3).
std::optional<double> parse_retry_after(std::string_view text, std::time_t now) {
  if (!text.empty() && std::all_of(text.begin(), text.end(), http_text::is_digit)) {
    double seconds = 0;
    for (const char digit : text) seconds = std::min(10 * seconds + (digit - '0'), 1e15);
    return seconds;
  }
  const std::optional<std::time_t> date = parse_http_date(text, now);
  if (!date) return {};
  return std::max(0.0, static_cast<double>(*date) - static_cast<double>(now));
}

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

// Whether the same request would be answered alike a minute later.
bool is_final_status(int status) {
  return status / 100 == 3 || (status / 100 == 4 && status != 408 && status != 425 && status != 429);
}

Failure failed(FailureKind kind, const WebsocketUrl& url, std::string_view why) {
  Failure failure;
  failure.kind = kind;
  failure.phase = FailurePhase::kHttp;
  failure.message = url.place();
  failure.message.append(": ").append(why);
  return failure;
}

OpeningVerdict refused(const ReceivedHead& head, const WebsocketUrl& url, std::time_t now) {
  const int status = head.status();
  std::string why = "the server answered " + std::to_string(status);
  // Not the server's own phrase, which can be anything.
  if (const std::string_view phrase = reason_phrase(status); !phrase.empty()) why.append(" ").append(phrase);
  OpeningVerdict verdict;
  verdict.failure = failed(FailureKind::kHttp, url, why);
  verdict.failure.is_final = is_final_status(status);
  verdict.retry_after = parse_retry_after(head.header("Retry-After"), now);
  if (is_redirect(status)) verdict.location = head.header("Location");
  return verdict;
}

// What is wrong with a 101; "": nothing (RFC 6455 4.1).
std::string_view check_switch(const ReceivedHead& head, std::string_view key) {
  if (head.minor_version() < 1) return "the server switched protocols by HTTP/1.0";
  if (!equals_ignoring_case(head.joined("Upgrade"), "websocket")) {
    return "the header Upgrade of the answer is not \"websocket\"";
  }
  if (!list_has_token(head.joined("Connection"), "upgrade")) {
    return "the header Connection of the answer does not list \"Upgrade\"";
  }
  if (head.count("Sec-WebSocket-Accept") != 1) return "the answer does not have one header Sec-WebSocket-Accept";
  if (head.header("Sec-WebSocket-Accept") != accept_key(key)) {
    return "the header Sec-WebSocket-Accept of the answer does not belong to this request";
  }
  return {};
}

std::string_view check_protocol(const ReceivedHead& head, const OpeningOptions& options) {
  const std::size_t count = head.count("Sec-WebSocket-Protocol");
  if (count == 0) {
    const bool is_missing = options.protocol_required && !options.protocols.empty();
    return is_missing ? "the server chose none of the subprotocols" : std::string_view();
  }
  if (count > 1) return "the answer has several headers Sec-WebSocket-Protocol";
  const std::string_view chosen = head.header("Sec-WebSocket-Protocol");
  const bool is_offered =
      std::find(options.protocols.begin(), options.protocols.end(), chosen) != options.protocols.end();
  return is_offered ? std::string_view() : "the server chose a subprotocol that was not offered";
}

std::string_view take_extensions(const ReceivedHead& head, const OpeningOptions& options, OpeningVerdict& verdict) {
  const std::string extensions = head.joined("Sec-WebSocket-Extensions");
  if (is_empty_list(extensions)) return {};
  if (!is_extension_list(extensions)) return "the header Sec-WebSocket-Extensions of the answer is malformed";
  if (!options.compression) return "the server chose an extension that was not offered";
  verdict.compression = accept_deflate_answer(extensions, *options.compression);
  return verdict.compression ? std::string_view()
                             : "the server chose extensions, or parameters of them, that were not offered";
}

}  // namespace

Error check_opening_options(const OpeningOptions& options) {
  if (Error error = check_protocols(options.protocols)) return error;
  if (Error error = check_headers(options.headers)) return error;
  if (Error error = check_cookies(options)) return error;
  if (!is_valid_header("Origin", options.origin)) {
    return option_error("origin", options.origin, "has a control character");
  }
  if (!is_valid_header("User-Agent", options.user_agent)) {
    return option_error("user_agent", options.user_agent, "has a control character");
  }
  if (!options.host.empty() && (!is_host(options.host) || options.host.front() == ':')) {
    return option_error("host", options.host, "is no host, perhaps with a port");
  }
  return {};
}

std::string opening_key(const std::array<std::uint8_t, 16>& random) { return encode_base64(random); }

// The order is that of browsers: some servers, and more of what stands in front of them, look at it.
std::string opening_request(const WebsocketUrl& url, const OpeningOptions& options, std::string_view key) {
  const auto is_free = [&](std::string_view name) { return !has_header(options.headers, name); };
  std::string out;
  out.append("GET ").append(url.target).append(" HTTP/1.1\r\n");
  append_header(out, "Host", options.host.empty() ? url.host_header() : options.host);
  append_header(out, "Connection", "Upgrade");
  if (!url.userinfo.empty() && is_free("Authorization")) {
    append_header(out, "Authorization", basic_authorization(url.userinfo));
  }
  if (!options.user_agent.empty() && is_free("User-Agent")) append_header(out, "User-Agent", options.user_agent);
  append_header(out, "Upgrade", "websocket");
  if (!options.origin.empty() && is_free("Origin")) append_header(out, "Origin", options.origin);
  append_header(out, "Sec-WebSocket-Version", "13");
  if (!options.cookies.empty()) {
    append_header(out, "Cookie", join(options.cookies, "; ", [](std::string& all, const auto& cookie) {
                    all.append(cookie.first).append("=").append(cookie.second);
                  }));
  }
  append_header(out, "Sec-WebSocket-Key", key);
  if (options.compression) append_header(out, "Sec-WebSocket-Extensions", offer_deflate(*options.compression));
  if (!options.protocols.empty()) {
    append_header(out, "Sec-WebSocket-Protocol",
                  join(options.protocols, ", ", [](std::string& all, const auto& protocol) { all += protocol; }));
  }
  for (const auto& [name, value] : options.headers) append_header(out, name, value);
  return out.append("\r\n");
}

OpeningVerdict check_opening_answer(const ReceivedHead& head, const WebsocketUrl& url, const OpeningOptions& options,
                                    std::string_view key, std::time_t now) {
  if (head.status() != 101) return refused(head, url, now);
  OpeningVerdict opened;
  std::string_view wrong = check_switch(head, key);
  if (wrong.empty()) wrong = check_protocol(head, options);
  if (wrong.empty()) wrong = take_extensions(head, options, opened);
  if (wrong.empty()) return opened;
  OpeningVerdict verdict;
  verdict.failure = failed(FailureKind::kHandshake, url, wrong);
  return verdict;
}

}  // namespace websockets
