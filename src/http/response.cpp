// SPDX-License-Identifier: MIT
#include "http/response.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstddef>

#include "base/http_text.h"

namespace websockets {
namespace {

struct Reason {
  int status;
  std::string_view phrase;
};

// IANA's HTTP Status Code Registry, in order.
constexpr Reason kReasons[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {102, "Processing"},
    {103, "Early Hints"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {203, "Non-Authoritative Information"},
    {204, "No Content"},
    {205, "Reset Content"},
    {206, "Partial Content"},
    {207, "Multi-Status"},
    {208, "Already Reported"},
    {226, "IM Used"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {305, "Use Proxy"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {407, "Proxy Authentication Required"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {423, "Locked"},
    {424, "Failed Dependency"},
    {425, "Too Early"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {451, "Unavailable For Legal Reasons"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {506, "Variant Also Negotiates"},
    {507, "Insufficient Storage"},
    {508, "Loop Detected"},
    {510, "Not Extended"},
    {511, "Network Authentication Required"},
};
static_assert(std::is_sorted(std::begin(kReasons), std::end(kReasons),
                             [](const Reason& a, const Reason& b) { return a.status < b.status; }));

void append_number(std::string& out, std::uint64_t number) {
  std::array<char, 20> digits;
  out.append(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr);
}

void append_two_digits(std::string& out, unsigned number) {
  out += static_cast<char>('0' + number / 10);
  out += static_cast<char>('0' + number % 10);
}

void append_header(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ").append(value).append("\r\n");
}

// Not strftime and gmtime: they know locales and take a lock.
void append_date(std::string& out, std::time_t time) {
  using std::chrono::sys_days;
  constexpr std::string_view kDays = "SunMonTueWedThuFriSat";
  constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  // The format has four digits for the year.
  constexpr std::chrono::sys_seconds kFirst = sys_days(std::chrono::year(0) / 1 / 1);
  constexpr std::chrono::sys_seconds kBehind = sys_days(std::chrono::year(10000) / 1 / 1);
  const std::chrono::sys_seconds at =
      std::clamp(std::chrono::sys_seconds(std::chrono::seconds(time)), kFirst, kBehind - std::chrono::seconds(1));

  const sys_days day = std::chrono::floor<std::chrono::days>(at);
  const std::chrono::year_month_day date(day);
  const auto year = static_cast<unsigned>(static_cast<int>(date.year()));
  const auto second = static_cast<unsigned>((at - day).count());
  out.append(kDays.substr(3 * std::size_t{std::chrono::weekday(day).c_encoding()}, 3)).append(", ");
  append_two_digits(out, static_cast<unsigned>(date.day()));
  out.append(" ").append(kMonths.substr(3 * (std::size_t{static_cast<unsigned>(date.month())} - 1), 3)).append(" ");
  append_two_digits(out, year / 100);
  append_two_digits(out, year % 100);
  out += ' ';
  append_two_digits(out, second / 3600);
  out += ':';
  append_two_digits(out, second / 60 % 60);
  out += ':';
  append_two_digits(out, second % 60);
  out.append(" GMT");
}

}  // namespace

std::string_view reason_phrase(int status) {
  const Reason* const found = std::lower_bound(std::begin(kReasons), std::end(kReasons), status,
                                               [](const Reason& reason, int wanted) { return reason.status < wanted; });
  return found != std::end(kReasons) && found->status == status ? found->phrase : std::string_view();
}

std::string http_date(std::time_t time) {
  std::string out;
  out.reserve(29);
  append_date(out, time);
  return out;
}

std::string serialize_head(const ResponseHead& head, std::time_t now) {
  std::size_t further_bytes = head.header_lines.size();
  for (const auto& [name, value] : head.headers) further_bytes += name.size() + value.size() + 4;
  std::string out;
  out.reserve(192 + head.content_type.size() + further_bytes);

  out.append("HTTP/1.1 ");
  append_number(out, static_cast<std::uint64_t>(head.status));
  out.append(" ").append(reason_phrase(head.status)).append("\r\n");
  // RFC 9110 6.6.1: an interim answer needs none.
  if (head.status >= 200) {
    out.append("Date: ");
    append_date(out, now);
    out.append("\r\n");
  }
  if (!head.content_type.empty()) append_header(out, "Content-Type", head.content_type);
  if (has_content(head.status)) {
    out.append("Content-Length: ");
    append_number(out, head.content_length);
    out.append("\r\n");
  }
  if (!head.keep_alive) {
    append_header(out, "Connection", "close");
  } else if (head.http_1_0) {
    append_header(out, "Connection", "keep-alive");
  }
  for (const auto& [name, value] : head.headers) append_header(out, name, value);
  return out.append(head.header_lines).append("\r\n");
}

bool is_valid_header(std::string_view name, std::string_view value) {
  return !name.empty() && std::all_of(name.begin(), name.end(), http_text::is_token_char) &&
         std::none_of(value.begin(), value.end(), [](char c) { return http_text::is_control(c) && c != '\t'; });
}

std::string serialize_switching_protocols(std::string_view accept_key, std::string_view subprotocol,
                                          std::string_view header_lines) {
  std::string out;
  out.reserve(160 + subprotocol.size() + header_lines.size());
  out.append("HTTP/1.1 101 Switching Protocols\r\n");
  append_header(out, "Upgrade", "websocket");
  append_header(out, "Connection", "Upgrade");
  append_header(out, "Sec-WebSocket-Accept", accept_key);
  if (!subprotocol.empty()) append_header(out, "Sec-WebSocket-Protocol", subprotocol);
  return out.append(header_lines).append("\r\n");
}

}  // namespace websockets
