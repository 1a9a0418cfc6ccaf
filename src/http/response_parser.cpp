// SPDX-License-Identifier: MIT
#include "http/response_parser.h"

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "base/bytes.h"
#include "base/http_text.h"
#include "http/line_reader.h"

namespace websockets {
namespace {

using Bytes = std::span<const std::uint8_t>;
using boost::beast::http::error;

// RFC 9110 15.2 sets no limit. Each one is a sign of life, which must not keep an attempt alive for ever.
constexpr unsigned kMaxInterimAnswers = 16;

std::string_view text_of(error code) {
  switch (code) {
    case error::bad_version:
    case error::bad_status:
    case error::bad_reason:
    case error::need_more:
      return "The status line of the answer is malformed.";
    case error::bad_field:
      return "The name of a header of the answer is malformed.";
    case error::bad_value:
      return "The value of a header of the answer is malformed.";
    case error::bad_line_ending:
      return "A line of the answer does not end with CR LF.";
    case error::bad_transfer_encoding:
      return "The Transfer-Encoding header of the answer came more than once or with a Content-Length.";
    default:  // the two codes for it differ between versions of Boost
      return "The Content-Length header of the answer is malformed, or came with a Transfer-Encoding.";
  }
}

std::string_view text_of(LineReader::Result result) {
  switch (result) {
    case LineReader::Result::kTooLong:
      return "The head of the answer is too long.";
    case LineReader::Result::kBareLf:
      return "A line of the answer ends with LF only.";
    default:
      return "The status line of the answer is folded over several lines.";
  }
}

// Whether the text can become the answer of an HTTP/1 server: what speaks another protocol need not end its first line.
bool may_be_answer(std::string_view text) {
  constexpr std::string_view kVersion = "HTTP/1.";
  const std::size_t size = std::min(text.size(), kVersion.size());
  return text.substr(0, size) == kVersion.substr(0, size);
}

// RFC 9110 2.5: a minor version that is not known is taken for the highest one that is. RFC 9112 4: the blank before
// the reason is sent even where there is no reason; not by all.
void mend_status_line(std::string& head) {
  constexpr std::size_t kMinorVersion = std::string_view("HTTP/1.").size();
  constexpr std::size_t kReason = std::string_view("HTTP/1.1 101").size();
  const std::size_t end = head.find("\r\n");
  if (end < kReason) return;
  if (http_text::is_digit(head[kMinorVersion])) head[kMinorVersion] = std::min(head[kMinorVersion], '1');
  if (end == kReason) head.insert(end, 1, ' ');
}

// Boost.Beast's grammar of one answer, of which it keeps the beginning of the content.
class BeastResponseParser final : private boost::beast::http::basic_parser<false> {
 public:
  using Code = boost::beast::error_code;

  explicit BeastResponseParser(const ResponseLimits& limits) : max_body_bytes_(limits.max_body_bytes) {
    header_limit(static_cast<std::uint32_t>(
        std::min<std::size_t>(limits.max_header_bytes, std::numeric_limits<std::uint32_t>::max())));
    body_limit(boost::none);
  }

  using basic_parser::is_done;
  // Once, before anything else. "": it is good.
  std::string_view read_head(std::string_view head) {
    Code code;
    put(head, code);
    eager(true);
    return code ? text_of(static_cast<error>(code.value())) : std::string_view();
  }
  // Returns how many bytes it has taken: less than all, without an error, when it needs more to go on.
  std::size_t read_body(std::string_view input, bool& is_malformed) {
    Code code;
    const std::size_t taken = put(input, code);
    is_malformed = code && code != error::need_more;
    return taken;
  }
  // Whether the content is whole when nothing follows.
  bool end() {
    Code code;
    put_eof(code);
    return !code;
  }
  // Nothing of chunked content was taken. To be given at least kLeastChunkBytes then: Beast asserts so.
  bool awaits_first_chunk() const { return chunked() && !has_chunk_; }
  static constexpr std::size_t kLeastChunkBytes = 5;  // "0\r\n\r\n"
  const std::string& body() const { return body_; }
  bool is_too_long() const { return is_too_long_; }

 private:
  using Text = boost::beast::string_view;
  using Field = boost::beast::http::field;

  std::size_t put(std::string_view text, Code& code) {
    return basic_parser::put(boost::asio::const_buffer(text.data(), text.size()), code);
  }

  std::size_t on_body_impl(Text body, Code&) override {
    const std::size_t kept = std::min(body.size(), max_body_bytes_ - body_.size());
    is_too_long_ = is_too_long_ || kept < body.size();
    body_.append(body.data(), kept);
    return body.size();
  }
  std::size_t on_chunk_body_impl(std::uint64_t, Text body, Code& code) override { return on_body_impl(body, code); }
  void on_request_impl(boost::beast::http::verb, Text, Text, int, Code&) override {}
  void on_response_impl(int, Text, int, Code&) override {}
  void on_field_impl(Field, Text, Text, Code&) override {}
  void on_header_impl(Code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, Code&) override {}
  void on_chunk_header_impl(std::uint64_t, Text, Code&) override { has_chunk_ = true; }
  void on_finish_impl(Code&) override {}

  std::size_t max_body_bytes_;
  std::string body_;
  bool is_too_long_ = false;
  bool has_chunk_ = false;
};

}  // namespace

struct ResponseParser::Impl {
  enum class Phase : std::uint8_t { kHead, kBody, kComplete, kError };

  Impl(Asked what, const ResponseLimits& most) : asked(what), limits(most) {}

  Status consume_head(Bytes& input);
  void unfold();
  Status read_head();
  Status consume_body(Bytes& input);
  Status complete(bool is_whole);
  Status fail(std::string_view text);
  bool grants(int status) const { return asked == Asked::kTunnel ? status / 100 == 2 : status == 101; }

  Asked asked;
  ResponseLimits limits;
  Phase phase = Phase::kHead;
  std::string text;  // of the head, while it arrives
  LineReader lines;
  unsigned interim_answers = 0;
  ReceivedHead head;
  std::optional<BeastResponseParser> reader;
  std::string pending;  // content that the reader has not taken yet: the lines between two chunks
  bool is_body_whole = true;
  std::string_view error_text;
};

ResponseParser::Status ResponseParser::Impl::consume_head(Bytes& input) {
  while (true) {
    const LineReader::Result result = lines.take_line(input, text, limits.max_header_bytes);
    if (!may_be_answer(text)) return fail("This is no answer of an HTTP/1 server.");
    switch (result) {
      case LineReader::Result::kMore:
        return Status::kMore;
      case LineReader::Result::kFoldedLine:
        if (lines.line_count() == 2) return fail(text_of(result));
        unfold();
        break;
      case LineReader::Result::kLine:
        if (lines.line(text).size() == 2) return read_head();
        break;
      default:
        return fail(text_of(result));
    }
    if (lines.line_count() > limits.max_headers + 1) return fail("The answer has too many headers.");
  }
}

// RFC 9112 5.2: a client takes a line that goes on for blanks.
void ResponseParser::Impl::unfold() {
  const std::size_t begin = static_cast<std::size_t>(lines.line(text).data() - text.data());
  text[begin - 2] = text[begin - 1] = ' ';
}

ResponseParser::Status ResponseParser::Impl::read_head() {
  std::string whole = std::exchange(text, {});
  lines.reset();
  mend_status_line(whole);
  reader.emplace(limits);
  if (const std::string_view wrong = reader->read_head(whole); !wrong.empty()) return fail(wrong);
  whole.shrink_to_fit();
  head = ReceivedHead(std::move(whole));
  const int status = head.status();
  if (status < 100) return fail("The status of the answer is below 100.");  // RFC 9110 15
  if (grants(status)) return complete(true);
  if (status / 100 == 1 && status != 101) {
    if (++interim_answers > kMaxInterimAnswers) return fail("There are too many interim answers.");
    head = {};
    return Status::kMore;
  }
  if (reader->is_done()) return complete(true);
  phase = Phase::kBody;
  return Status::kMore;
}

// The lines between two chunks stay in `pending` until they are whole; nobody needs as much for them as for a head.
// Behind the content nothing is looked at: the connection is of no more use.
ResponseParser::Status ResponseParser::Impl::consume_body(Bytes& input) {
  while (!input.empty()) {
    const Bytes taken = input.first(std::min(input.size(), limits.max_header_bytes - pending.size()));
    pending.append(as_text(taken));
    input = input.subspan(taken.size());
    if (reader->awaits_first_chunk() && pending.size() < BeastResponseParser::kLeastChunkBytes) continue;
    bool is_malformed = false;
    pending.erase(0, reader->read_body(pending, is_malformed));
    if (is_malformed || reader->is_too_long()) return complete(false);
    if (reader->is_done()) return complete(true);
    if (pending.size() == limits.max_header_bytes) return complete(false);
  }
  return Status::kMore;
}

ResponseParser::Status ResponseParser::Impl::complete(bool is_whole) {
  is_body_whole = is_whole;
  phase = Phase::kComplete;
  return Status::kComplete;
}

ResponseParser::Status ResponseParser::Impl::fail(std::string_view why) {
  error_text = why;
  phase = Phase::kError;
  return Status::kError;
}

ResponseParser::ResponseParser(Asked asked, const ResponseLimits& limits)
    : impl_(std::make_unique<Impl>(asked, limits)) {}
ResponseParser::~ResponseParser() = default;

ResponseParser::Status ResponseParser::consume(Bytes& input) {
  while (true) {
    Status status = Status::kMore;
    switch (impl_->phase) {
      case Impl::Phase::kHead:
        status = impl_->consume_head(input);
        break;
      case Impl::Phase::kBody:
        status = impl_->consume_body(input);
        break;
      case Impl::Phase::kComplete:
        return Status::kComplete;
      case Impl::Phase::kError:
        return Status::kError;
    }
    if (status != Status::kMore || input.empty()) return status;
  }
}

ResponseParser::Status ResponseParser::end_of_input() {
  switch (impl_->phase) {
    case Impl::Phase::kHead:
      if (impl_->text.empty()) return impl_->fail("The connection was closed without an answer.");
      return impl_->fail("The connection was closed in the midst of an answer's head.");
    case Impl::Phase::kBody:
      return impl_->complete(impl_->reader->end());
    case Impl::Phase::kComplete:
      return Status::kComplete;
    case Impl::Phase::kError:
      break;
  }
  return Status::kError;
}

bool ResponseParser::has_head() const { return impl_->head.status() != 0 && impl_->phase != Impl::Phase::kError; }
const ReceivedHead& ResponseParser::head() const { return impl_->head; }
ReceivedHead ResponseParser::take_head() { return std::exchange(impl_->head, {}); }
std::string_view ResponseParser::body() const {
  return impl_->reader ? std::string_view(impl_->reader->body()) : std::string_view();
}
bool ResponseParser::is_body_whole() const { return impl_->is_body_whole; }
std::string_view ResponseParser::error_text() const { return impl_->error_text; }

}  // namespace websockets
