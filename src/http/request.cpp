// SPDX-License-Identifier: MIT
#include "http/request.h"

#include <algorithm>

#include "base/http_text.h"

namespace websockets {

Request::Request(const Request& other)
    : minor_version_(other.minor_version_),
      keep_alive_(other.keep_alive_),
      headers_(other.headers_),
      body_(other.body_) {
  head_.reserve(std::max(other.head_.size(), kLeastHeadCapacity));
  head_ = other.head_;
  const auto in_own_head = [&](std::string_view view) {
    return view.empty() ? std::string_view() : std::string_view(head_).substr(other.offset_of(view), view.size());
  };
  method_ = in_own_head(other.method_);
  target_ = in_own_head(other.target_);
  for (Header& header : headers_) header = {in_own_head(header.name), in_own_head(header.value)};
}

Request& Request::operator=(const Request& other) {
  if (this != &other) *this = Request(other);
  return *this;
}

std::size_t Request::offset_of(std::string_view view) const {
  return static_cast<std::size_t>(view.data() - head_.data());
}

std::string_view Request::header(std::string_view name) const {
  for (const Header& header : headers_) {
    if (http_text::equals_ignoring_case(header.name, name)) return header.value;
  }
  return {};
}

std::size_t Request::count(std::string_view name) const {
  return static_cast<std::size_t>(std::count_if(headers_.begin(), headers_.end(), [&](const Header& header) {
    return http_text::equals_ignoring_case(header.name, name);
  }));
}

std::string Request::joined(std::string_view name) const {
  std::string all;
  bool is_first = true;
  for (const Header& header : headers_) {
    if (!http_text::equals_ignoring_case(header.name, name)) continue;
    if (!is_first) all += ", ";
    all += header.value;
    is_first = false;
  }
  return all;
}

}  // namespace websockets
