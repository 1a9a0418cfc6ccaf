// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace websockets {

// Walks the headers of a block of lines "Name: value", in the order received, up to an empty line.
class HeaderLines {
 public:
  explicit HeaderLines(std::string_view lines) : rest_(lines) {}
  // False at the end. The value is without the blanks around it.
  bool next(std::string_view& name, std::string_view& value);

 private:
  std::string_view rest_;
};

// The head of an answer that was received. Has no more memory than its text: there is one for each idle client.
class ReceivedHead {
 public:
  ReceivedHead() = default;
  // As it came, from the status line to the empty line; ResponseParser has held it against the grammar.
  explicit ReceivedHead(std::string text) : text_(std::move(text)) {}
  const std::string& text() const { return text_; }

  int status() const;         // 0: there is none
  int minor_version() const;  // of HTTP/1.x
  std::string_view reason() const;
  HeaderLines headers() const;

  // The value of the header, names compared without case: the first one; "" when there is none.
  std::string_view header(std::string_view name) const;
  // How many times the header occurs.
  std::size_t count(std::string_view name) const;
  // All values of a list header, joined with ", " (RFC 9110 5.3).
  std::string joined(std::string_view name) const;

 private:
  std::string_view status_line() const;

  std::string text_;
};

}  // namespace websockets
