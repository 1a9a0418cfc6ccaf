// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

namespace websockets {

// Why a request is not taken: what to answer, and a sentence for a person. Status 0: it is taken.
struct Refusal {
  int status = 0;
  std::string_view text;  // a literal
};

// What the headers of one request mean together, for its framing and for the connection (RFC 9112 3.2, 6, 9.3; RFC 9110
// 7.8, 10.1.1). Stricter than a general parser: whatever two readers could understand in two ways is refused, since
// that is how requests are smuggled past a proxy. Tell it the request line, and every header of these names once, in
// the order received.
class FramingRules {
 public:
  explicit FramingRules(int minor_version) : minor_version_(minor_version) {}

  void request_line(std::string_view method, std::string_view target);
  void host(std::string_view value);
  void content_length(std::string_view value);
  void transfer_encoding(std::string_view value);
  void expect(std::string_view value);
  void connection(std::string_view value);
  void upgrade(std::string_view value);

  // After the last header: the first thing that was wrong.
  Refusal verdict() const;

  bool keep_alive() const { return !closes_ && (minor_version_ >= 1 || keeps_alive_); }
  bool has_body() const { return has_content_ || has_transfer_encoding_; }
  bool expects_continue() const { return expects_continue_ && has_body(); }

 private:
  void refuse(int status, std::string_view text);

  int minor_version_;
  Refusal refusal_;
  bool has_host_ = false;
  bool has_content_length_ = false;
  bool has_content_ = false;  // a Content-Length above 0
  bool has_transfer_encoding_ = false;
  bool expects_continue_ = false;
  bool keeps_alive_ = false;
  bool closes_ = false;
  bool is_websocket_ = false;
};

}  // namespace websockets
