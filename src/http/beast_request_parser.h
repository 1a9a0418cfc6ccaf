// SPDX-License-Identifier: MIT
#pragma once

#include <boost/beast/http/basic_parser.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "http/framing_rules.h"
#include "http/request.h"
#include "http/request_parser.h"

namespace websockets {

// Boost.Beast's grammar of one request: writes into a Request what it reads, and holds the headers against
// FramingRules. Takes a head, or the lines between two chunks, in one piece. For one request only, as Beast's parsers
// are; the request and the heads given to it must stay where they are meanwhile.
class BeastRequestParser final : private boost::beast::http::basic_parser<true> {
 public:
  BeastRequestParser(Request& request, const RequestLimits& limits);

  // The request line and all headers, up to and with the empty line. Once, before anything else.
  Refusal read_head(std::string_view head);
  const FramingRules& rules() const { return *rules_; }  // after a head that was taken

  using basic_parser::chunked;
  using basic_parser::is_done;
  // How much of the current chunk is still to come; 0: the lines in front of the next one are.
  std::uint64_t chunk_bytes() const { return chunk_bytes_; }
  // From the end of a chunk's content, if there was one, to the beginning of the next one's, or to the end of the
  // trailers.
  Refusal read_chunk_lines(std::string_view lines);
  // Returns how many bytes belong to the content. `input` is not empty.
  std::size_t read_content(std::span<const std::uint8_t> input);

 private:
  using Code = boost::beast::error_code;
  using Text = boost::beast::string_view;
  using Field = boost::beast::http::field;

  std::size_t put_bytes(const void* data, std::size_t size, Code& code);

  void on_request_impl(boost::beast::http::verb verb, Text method, Text target, int version, Code& code) override;
  void on_field_impl(Field name, Text name_text, Text value_text, Code& code) override;
  std::size_t on_body_impl(Text body, Code& code) override;
  void on_chunk_header_impl(std::uint64_t size, Text extensions, Code& code) override;
  std::size_t on_chunk_body_impl(std::uint64_t remaining, Text body, Code& code) override;
  void on_response_impl(int, Text, int, Code&) override {}
  void on_header_impl(Code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, Code&) override {}
  void on_finish_impl(Code&) override {}

  Request& request_;
  std::optional<FramingRules> rules_;
  std::uint64_t chunk_bytes_ = 0;
  bool is_head_read_ = false;
};

}  // namespace websockets
