// SPDX-License-Identifier: MIT
#include "http/http_date.h"

#include <algorithm>
#include <array>
#include <chrono>

#include "base/http_text.h"

namespace websockets {
namespace {

// What a date says, in the order of the letters of a pattern.
struct Fields {
  int year = 0;
  unsigned month = 0;
  unsigned day = 0;
  int hour = 0;
  int minute = 0;
  int second = 0;
};

constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr std::array<std::string_view, 7> kDays = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
constexpr std::array<std::string_view, 7> kLongDays = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                                       "Friday", "Saturday", "Sunday"};

// Takes digits off `text`; -1 when there are others. `blank_first`: the first may be a blank.
int take_digits(std::string_view& text, std::size_t count, bool blank_first = false) {
  if (text.size() < count) return -1;
  int number = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const char c = blank_first && i == 0 && text[0] == ' ' ? '0' : text[i];
    if (!http_text::is_digit(c)) return -1;
    number = number * 10 + (c - '0');
  }
  text.remove_prefix(count);
  return number;
}

template <std::size_t Count>
int take_name(std::string_view& text, const std::array<std::string_view, Count>& names) {
  const auto found =
      std::find_if(names.begin(), names.end(), [&](std::string_view name) { return text.starts_with(name); });
  if (found == names.end()) return -1;
  text.remove_prefix(found->size());
  return static_cast<int>(found - names.begin());
}

// Takes what a pattern says: w, W: a day's name, short or long; d, e: a day of the month, 'e' with a blank in front; m:
// a month; y, Y: a year of two digits or four; h, i, s: hour, minute, second; anything else is itself.
bool take_pattern(std::string_view text, std::string_view pattern, Fields& fields) {
  for (const char c : pattern) {
    int taken = 0;
    switch (c) {
      case 'w':
        taken = take_name(text, kDays);
        break;
      case 'W':
        taken = take_name(text, kLongDays);
        break;
      case 'd':
      case 'e':
        taken = take_digits(text, 2, c == 'e');
        fields.day = static_cast<unsigned>(taken);
        break;
      case 'm':
        taken = take_name(text, kMonths);
        fields.month = static_cast<unsigned>(taken + 1);
        break;
      case 'y':
      case 'Y':
        taken = fields.year = take_digits(text, c == 'y' ? 2 : 4);
        break;
      case 'h':
        taken = fields.hour = take_digits(text, 2);
        break;
      case 'i':
        taken = fields.minute = take_digits(text, 2);
        break;
      case 's':
        taken = fields.second = take_digits(text, 2);
        break;
      default:
        taken = text.starts_with(c) ? 0 : -1;
        if (taken == 0) text.remove_prefix(1);
    }
    if (taken < 0) return false;
  }
  return text.empty();
}

int year_of(std::time_t time) {
  const auto day = std::chrono::floor<std::chrono::days>(std::chrono::sys_seconds(std::chrono::seconds(time)));
  return static_cast<int>(std::chrono::year_month_day(day).year());
}

}  // namespace

std::optional<std::time_t> parse_http_date(std::string_view text, std::time_t now) {
  Fields fields;
  if (take_pattern(text, "W, d-m-y h:i:s GMT", fields)) {
    const int this_year = year_of(now);
    fields.year += this_year / 100 * 100;
    if (fields.year > this_year + 50) fields.year -= 100;
  } else if (!take_pattern(text, "w, d m Y h:i:s GMT", fields) && !take_pattern(text, "w m e h:i:s Y", fields)) {
    return {};
  }
  const std::chrono::year_month_day date(std::chrono::year(fields.year), std::chrono::month(fields.month),
                                         std::chrono::day(fields.day));
  // A leap second is the first one of the next minute.
  if (!date.ok() || fields.hour > 23 || fields.minute > 59 || fields.second > 60) return {};
  const std::chrono::sys_seconds at = std::chrono::sys_days(date) + std::chrono::hours(fields.hour) +
                                      std::chrono::minutes(fields.minute) + std::chrono::seconds(fields.second);
  return static_cast<std::time_t>(at.time_since_epoch().count());
}

}  // namespace websockets
