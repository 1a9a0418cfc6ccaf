// SPDX-License-Identifier: MIT
#include "http/request_parser.h"

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <limits>
#include <optional>
#include <string>

#include "http/head_rules.h"
#include "http/line_gatherer.h"
#include "http/text.h"

namespace websockets {
namespace {

namespace beast = boost::beast;
using beast::http::error;
using beast::http::field;
using Bytes = std::span<const std::uint8_t>;

// RFC 9112 2.2 asks for at least one to be ignored: old clients end a body with CR LF.
constexpr std::size_t kMaxEmptyLines = 8;
// Allocated at the first bytes of a head: a browser's fits, and one who sends little pins little.
constexpr std::size_t kFirstHeadBytes = 1024;
// A larger body's memory is given back before the next request.
constexpr std::size_t kMaxKeptBodyBytes = 4096;

std::string_view to_std(beast::string_view text) { return {text.data(), text.size()}; }

// What Beast says of HTTP/2.0 and of "GET / x" is the same code; the first is a version, the second is nonsense.
bool ends_with_version(std::string_view request_line) {
  const std::string_view version = request_line.substr(request_line.find_last_of(' ') + 1);
  return version.size() == 10 && version.starts_with("HTTP/") && http_text::is_digit(version[5]) && version[6] == '.' &&
         http_text::is_digit(version[7]) && !version.starts_with("HTTP/1.0") && !version.starts_with("HTTP/1.1");
}

Refusal refusal_of_head(error code, std::string_view request_line) {
  switch (code) {
    case error::header_limit:
      return {431, "The head of the request is too long."};
    case error::body_limit:
      return {413, "The content is too long."};
    case error::bad_version:
      if (ends_with_version(request_line)) return {505, "Only HTTP/1.0 and HTTP/1.1 are supported."};
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

Refusal refusal_of_body(error code) {
  if (code == error::body_limit) return {413, "The content is too long."};
  return {400, "The chunked content is malformed."};
}

Refusal refusal_of_line(LineGatherer::Result result) {
  if (result == LineGatherer::Result::kFoldedLine) return {400, "A header is folded over several lines."};
  return {400, "A line ends with LF only."};
}

}  // namespace

// The phases of one request, and around them what Beast would tolerate or wants done for it: it takes a head, or the
// lines between two chunks, only in one piece.
struct RequestParser::Impl {
  enum class Phase { kEmptyLines, kHead, kBody, kComplete, kError };

  explicit Impl(const RequestLimits& given) : limits(given) { reset(); }

  Status consume(Bytes& input);
  Status skip_empty_lines(Bytes& input);
  bool may_be_method(Bytes input);
  Status consume_head(Bytes& input);
  Status parse_head(const Bytes& behind);
  Status consume_body(Bytes& input);
  Status consume_chunk_line(Bytes& input);
  Status refuse(const Refusal& why);
  void reset();

  struct Reader;

  RequestLimits limits;
  Phase phase = Phase::kEmptyLines;
  Request request;
  Refusal refusal;
  LineGatherer lines;
  std::optional<HeadRules> rules;
  std::string chunk_lines;        // what stands between two chunks, or behind the last one
  std::size_t empty_lines = 0;    // before the request line
  std::size_t excess_bytes = 0;   // chunk extensions beyond what the chunks' content pays for
  std::uint64_t chunk_bytes = 0;  // still to come of this chunk
  bool after_cr = false;          // in an empty line
  bool has_method = false;
  bool expects_continue = false;
  std::optional<Reader> reader;
};

// Beast's grammar, writing into the request. One per request: Beast's parsers cannot be used again.
struct RequestParser::Impl::Reader final : beast::http::basic_parser<true> {
  explicit Reader(Impl& owner) : impl(owner) {
    const RequestLimits& limits = impl.limits;
    header_limit(static_cast<std::uint32_t>(
        std::min<std::size_t>(limits.max_header_bytes, std::numeric_limits<std::uint32_t>::max())));
    body_limit(limits.max_body_bytes);
  }

  // Returns how many bytes were taken; `code` is none when a whole element of the grammar was read.
  std::size_t read(const void* data, std::size_t size, std::optional<error>& code) {
    beast::error_code beast_code;
    const std::size_t taken = put(boost::asio::const_buffer(data, size), beast_code);
    if (beast_code) code = static_cast<error>(beast_code.value());
    return taken;
  }

  void on_request_impl(beast::http::verb, beast::string_view method, beast::string_view target, int version,
                       beast::error_code&) override {
    impl.request.method_ = to_std(method);
    impl.request.target_ = to_std(target);
    impl.request.minor_version_ = version % 10;
    impl.rules.emplace(impl.request.minor_version_);
  }

  void on_field_impl(field name, beast::string_view name_text, beast::string_view value_text,
                     beast::error_code&) override {
    if (impl.phase != Phase::kHead) return;  // a trailer
    const std::string_view value = to_std(value_text);
    impl.request.headers_.push_back({to_std(name_text), value});
    switch (name) {
      case field::host:
        return impl.rules->host(value);
      case field::content_length:
        return impl.rules->content_length(value);
      case field::transfer_encoding:
        return impl.rules->transfer_encoding(value);
      case field::expect:
        return impl.rules->expect(value);
      case field::connection:
        return impl.rules->connection(value);
      case field::upgrade:
        return impl.rules->upgrade(value);
      default:
        return;
    }
  }

  std::size_t on_body_impl(beast::string_view body, beast::error_code&) override {
    impl.request.body_.append(body.data(), body.size());
    return body.size();
  }

  void on_chunk_header_impl(std::uint64_t size, beast::string_view extensions, beast::error_code& code) override {
    impl.chunk_bytes = size;
    // Beast takes anything between quotes.
    if (std::any_of(extensions.begin(), extensions.end(),
                    [](char c) { return http_text::is_control(c) && c != '\t'; })) {
      code = error::bad_chunk_extension;
    }
  }

  std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view body, beast::error_code& code) override {
    impl.chunk_bytes -= body.size();
    return on_body_impl(body, code);
  }

  void on_response_impl(int, beast::string_view, int, beast::error_code&) override {}
  void on_header_impl(beast::error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, beast::error_code&) override {}
  void on_finish_impl(beast::error_code&) override {}

  Impl& impl;
};

RequestParser::Status RequestParser::Impl::consume(Bytes& input) {
  switch (phase) {
    case Phase::kEmptyLines:
    case Phase::kHead:
      return consume_head(input);
    case Phase::kBody:
      return consume_body(input);
    case Phase::kComplete:
      return Status::kComplete;
    case Phase::kError:
      break;
  }
  return Status::kError;
}

// kComplete: the first byte of a request line is at the front of `input`.
RequestParser::Status RequestParser::Impl::skip_empty_lines(Bytes& input) {
  while (!input.empty()) {
    const std::uint8_t byte = input.front();
    if (!after_cr && byte != '\r') {
      phase = Phase::kHead;
      return Status::kComplete;
    }
    if (after_cr && byte != '\n') return refuse({400, "This is not the beginning of an HTTP request."});
    if (after_cr && ++empty_lines > kMaxEmptyLines) return refuse({400, "Too many empty lines before a request."});
    after_cr = !after_cr;
    input = input.subspan(1);
  }
  return Status::kIncomplete;
}

// Looks at each byte up to the blank behind the method: what speaks another protocol need not send a whole head first.
bool RequestParser::Impl::may_be_method(Bytes input) {
  const std::size_t before = request.head_.size();
  const Bytes visible = input.first(std::min(input.size(), limits.max_header_bytes - before));
  for (std::size_t i = 0; i < visible.size() && !has_method; ++i) {
    const char c = static_cast<char>(visible[i]);
    has_method = c == ' ' && before + i > 0;
    if (!has_method && !http_text::is_token_char(c)) return false;
  }
  return true;
}

RequestParser::Status RequestParser::Impl::consume_head(Bytes& input) {
  if (phase == Phase::kEmptyLines) {
    const Status status = skip_empty_lines(input);
    if (status != Status::kComplete) return status;
    request.head_.reserve(std::min({input.size(), limits.max_header_bytes, kFirstHeadBytes}));
  }
  if (!has_method && !may_be_method(input)) return refuse({400, "This is not the beginning of an HTTP request."});
  for (;;) {
    const LineGatherer::Result result = lines.take_line(input, request.head_, limits.max_header_bytes);
    if (result == LineGatherer::Result::kMore) return Status::kIncomplete;
    if (result == LineGatherer::Result::kTooLong) return refuse(refusal_of_head(error::header_limit, {}));
    if (result != LineGatherer::Result::kLine) return refuse(refusal_of_line(result));
    if (lines.line(request.head_).size() == 2) return parse_head(input);
  }
}

RequestParser::Status RequestParser::Impl::parse_head(const Bytes& behind) {
  const std::string& head = request.head_;
  request.headers_.reserve(lines.line_count());
  std::optional<error> code;
  reader->read(head.data(), head.size(), code);
  // The rules may know a better reason why a content is too long: it must not be there at all.
  const bool is_judged = !code || *code == error::body_limit;
  if (is_judged && rules->verdict().status != 0) return refuse(rules->verdict());
  if (code) return refuse(refusal_of_head(*code, std::string_view(head).substr(0, head.find('\n') + 1)));

  request.keep_alive_ = rules->keep_alive();
  expects_continue = rules->expects_continue() && behind.empty();
  phase = Phase::kBody;
  return Status::kHead;
}

RequestParser::Status RequestParser::Impl::consume_body(Bytes& input) {
  while (!reader->is_done()) {
    if (input.empty()) return Status::kIncomplete;
    expects_continue = false;
    if (reader->chunked() && chunk_bytes == 0) {
      const Status status = consume_chunk_line(input);
      if (status != Status::kComplete) return status;
      continue;
    }
    std::optional<error> code;
    input = input.subspan(reader->read(input.data(), input.size(), code));
    if (code) return refuse(refusal_of_body(*code));
  }
  phase = Phase::kComplete;
  return Status::kComplete;
}

// kComplete: a line was taken; Beast has either understood what is gathered, or needs one more.
RequestParser::Status RequestParser::Impl::consume_chunk_line(Bytes& input) {
  const LineGatherer::Result result = lines.take_line(input, chunk_lines, limits.max_header_bytes);
  if (result == LineGatherer::Result::kMore) return Status::kIncomplete;
  if (result == LineGatherer::Result::kTooLong) return refuse({400, "A chunk extension or a trailer is too long."});
  if (result != LineGatherer::Result::kLine) return refuse(refusal_of_line(result));
  std::optional<error> code;
  reader->read(chunk_lines.data(), chunk_lines.size(), code);
  if (code == error::need_more) return Status::kComplete;
  if (code) return refuse(refusal_of_body(*code));

  // Small chunks with long extensions cost more than the content may ever be (as in CVE-2023-39326).
  excess_bytes += chunk_lines.size();
  excess_bytes -= static_cast<std::size_t>(std::min<std::uint64_t>(excess_bytes, 16 + 2 * chunk_bytes));
  if (excess_bytes > limits.max_header_bytes) return refuse({400, "Chunk extensions or trailers are too long."});
  chunk_lines.clear();
  lines.reset();
  return Status::kComplete;
}

RequestParser::Status RequestParser::Impl::refuse(const Refusal& why) {
  refusal = why;
  phase = Phase::kError;
  return Status::kError;
}

void RequestParser::Impl::reset() {
  phase = Phase::kEmptyLines;
  refusal = {};
  lines.reset();
  chunk_lines.clear();
  empty_lines = excess_bytes = 0;
  chunk_bytes = 0;
  after_cr = has_method = expects_continue = false;
  request.method_ = request.target_ = {};
  request.minor_version_ = 1;
  request.keep_alive_ = true;
  request.headers_.clear();
  request.head_.clear();
  if (request.body_.capacity() > kMaxKeptBodyBytes) request.body_ = std::string();
  request.body_.clear();
  rules.reset();
  reader.emplace(*this);
}

RequestParser::RequestParser(const RequestLimits& limits) : impl_(std::make_unique<Impl>(limits)) {}
RequestParser::~RequestParser() = default;

RequestParser::Status RequestParser::consume(std::span<const std::uint8_t>& input) { return impl_->consume(input); }
bool RequestParser::started() const { return impl_->phase != Impl::Phase::kEmptyLines; }
bool RequestParser::expects_continue() const { return impl_->expects_continue; }
const Request& RequestParser::request() const { return impl_->request; }
int RequestParser::error_status() const { return impl_->refusal.status; }
std::string_view RequestParser::error_text() const { return impl_->refusal.text; }
void RequestParser::reset() { impl_->reset(); }

}  // namespace websockets
