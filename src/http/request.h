// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace websockets {

// One parsed HTTP/1.x request. Owns its bytes; a copy has its own.
class Request {
 public:
  Request() = default;
  Request(const Request& other);
  Request& operator=(const Request& other);
  // The views stay good: they point into memory that moves along, see kLeastHeadCapacity.
  Request(Request&&) noexcept = default;
  Request& operator=(Request&&) noexcept = default;
  ~Request() = default;

  struct Header {
    std::string_view name;
    std::string_view value;
  };

  std::string_view method() const { return method_; }
  std::string_view target() const { return target_; }   // as it stands in the request line, query string included
  int minor_version() const { return minor_version_; }  // of HTTP/1.x
  bool keep_alive() const { return keep_alive_; }       // RFC 9112 9.3
  std::string_view body() const { return body_; }
  const std::vector<Header>& headers() const { return headers_; }  // in the order received

  // The value of the header, names compared without case: the first one; "" when there is none.
  std::string_view header(std::string_view name) const;
  // How many times the header occurs.
  std::size_t count(std::string_view name) const;
  // All values of a list header, joined with ", " (RFC 9110 5.3).
  std::string joined(std::string_view name) const;

  // --- For its parser, while it reads ---

  // More than any std::string keeps inside itself.
  static constexpr std::size_t kLeastHeadCapacity = 64;
  // What the method, the target and the headers point into, which come behind it: it has kLeastHeadCapacity from the
  // beginning, and is whole when the first of them comes.
  std::string& head() { return head_; }
  const std::string& head() const { return head_; }
  void set_line(std::string_view method, std::string_view target, int minor_version) {
    method_ = method;
    target_ = target;
    minor_version_ = minor_version;
  }
  void set_keep_alive(bool keep_alive) { keep_alive_ = keep_alive; }
  std::vector<Header>& headers() { return headers_; }
  std::string& body_text() { return body_; }

 private:
  std::size_t offset_of(std::string_view view) const;  // of a view into head_

  std::string_view method_;
  std::string_view target_;
  int minor_version_ = 1;
  bool keep_alive_ = true;
  std::vector<Header> headers_;
  std::string head_;  // what the views point into
  std::string body_;
};

}  // namespace websockets
