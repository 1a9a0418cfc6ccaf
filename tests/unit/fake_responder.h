// SPDX-License-Identifier: MIT
// Takes one answer, and reads what is to be sent of files.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "http/request_parser.h"
#include "http/responder.h"

namespace websockets {

// Of its head; `lines` are its headers, each with its CR LF.
inline Request make_request(const std::string& method, const std::string& lines) {
  const std::string text = method + " / HTTP/1.1\r\nHost: a\r\n" + lines + "\r\n";
  std::span<const std::uint8_t> input = as_bytes(text);
  RequestParser parser(RequestLimits{});
  EXPECT_EQ(parser.consume(input), RequestParser::Status::kHead);
  return parser.request();
}

class FakeResponder final : public Responder {
 public:
  FakeResponder(const std::string& method, const std::string& lines) : request_(make_request(method, lines)) {}

  const Request& request() const override { return request_; }
  using Responder::respond;
  void respond(ResponseHead& head, std::span<const std::uint8_t> body, PinnedPayload /*pinned*/) override {
    take(head);
    body_.assign(body.begin(), body.end());
  }
  void respond_with_file(ResponseHead& head, const SharedFile& file, std::span<const FilePart> parts,
                         std::string_view end) override {
    take(head);
    for (const FilePart& part : parts) {
      std::string bytes(part.bytes, '\0');
      const ssize_t size = ::pread(file->get(), bytes.data(), bytes.size(), static_cast<off_t>(part.first));
      EXPECT_EQ(size, static_cast<ssize_t>(part.bytes));
      body_.append(part.text).append(bytes);
    }
    body_.append(end);
  }

  bool is_answered() const { return status_ != 0; }
  int status() const { return status_; }
  const std::string& content_type() const { return content_type_; }
  const std::string& lines() const { return lines_; }
  const std::string& body() const { return body_; }
  std::string header(std::string_view name) const {
    for (const auto& [other, value] : headers_) {
      if (other == name) return value;
    }
    return "none";
  }

 private:
  void take(const ResponseHead& head) {
    EXPECT_FALSE(is_answered());
    status_ = head.status;
    content_type_ = head.content_type;
    lines_ = head.header_lines;
    for (const auto& [name, value] : head.headers) headers_.emplace_back(name, value);
  }

  Request request_;
  int status_ = 0;
  std::string content_type_;
  std::string lines_;
  std::vector<std::pair<std::string, std::string>> headers_;
  std::string body_;
};

}  // namespace websockets
