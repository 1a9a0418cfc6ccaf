// SPDX-License-Identifier: MIT
#include "http/request_parser.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "base/budget.h"
#include "base/http_text.h"
#include "http/beast_request_parser.h"
#include "http/cost.h"
#include "http/line_reader.h"

namespace websockets {
namespace {

using Bytes = std::span<const std::uint8_t>;

// RFC 9112 2.2 asks for at least one to be ignored: old clients end a body with CR LF.
constexpr std::size_t kMaxEmptyLines = 8;
// Allocated at the first bytes of a head: a browser's fits, and one who sends little pins little.
constexpr std::size_t kFirstHeadBytes = 1024;
// What is larger after a request is given back before the next one.
constexpr std::size_t kMaxKeptBytes = 2048;

Refusal refusal_of_line(LineReader::Result result) {
  if (result == LineReader::Result::kFoldedLine) return {400, "A header is folded over several lines."};
  return {400, "A line ends with LF only."};
}

// RFC 9110 2.5: a minor version that is not known is taken for the highest one that is.
void lower_version(std::string& head) {
  constexpr std::string_view kVersion = " HTTP/1.";
  const std::size_t end = head.find("\r\n");
  if (end <= kVersion.size() || head.compare(end - 1 - kVersion.size(), kVersion.size(), kVersion) != 0) return;
  if (http_text::is_digit(head[end - 1])) head[end - 1] = std::min(head[end - 1], '1');
}

// RFC 9112 7.1: a size of nothing but zeros. Of what is malformed it does not matter what is said here.
bool is_last_chunk(std::string_view size_line) {
  const std::size_t behind = size_line.find_first_not_of('0');
  return behind > 0 &&
         (size_line[behind] == '\r' || size_line[behind] == ';' || http_text::is_blank(size_line[behind]));
}

// A swap, since a string that another one is assigned to may keep its memory.
template <typename Container>
void clear(Container& container) {
  if (container.capacity() * sizeof(*container.data()) > kMaxKeptBytes) Container().swap(container);
  container.clear();
}

}  // namespace

// The phases of one request, and around them what Beast would tolerate or wants done for it.
struct RequestParser::Impl {
  enum class Phase { kEmptyLines, kHead, kBody, kComplete, kError };

  explicit Impl(const RequestLimits& given) : limits(given) { reader.emplace(request, limits); }
  ~Impl() { release_content(); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  Status consume(Bytes& input, Budget& budget);
  Status skip_empty_lines(Bytes& input);
  bool may_be_method(Bytes input);
  Status consume_head(Bytes& input, Budget& budget);
  Status read_head(bool is_last_input);
  Status consume_body(Bytes& input, Budget& budget);
  LineReader::Result take_line(Bytes& input, std::string& block, Budget& budget);
  Status consume_chunk_line(Bytes& input, Budget& budget);
  bool has_whole_chunk_lines();
  Status read_chunk_lines();
  bool charge_content();
  void release_content();
  Refusal too_long() const;
  Status refuse(const Refusal& why);
  void reset();

  RequestLimits limits;
  Phase phase = Phase::kEmptyLines;
  Request request;
  Refusal refusal;
  std::optional<BeastRequestParser> reader;
  LineReader lines;
  std::string chunk_lines;        // what stands between two chunks, or behind the last one
  std::size_t empty_lines = 0;    // before the request line
  std::size_t charged_bytes = 0;  // to limits.contents
  std::size_t excess_bytes = 0;   // chunk extensions beyond what the chunks' content pays for
  bool after_cr = false;          // in an empty line
  bool has_method = false;
  bool expects_continue = false;
  bool after_chunk = false;  // the line in front of the next size is the end of a chunk's content
  bool in_trailers = false;
};

RequestParser::Status RequestParser::Impl::consume(Bytes& input, Budget& budget) {
  switch (phase) {
    case Phase::kEmptyLines:
    case Phase::kHead:
      return consume_head(input, budget);
    case Phase::kBody:
      return consume_body(input, budget);
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
  const std::size_t before = request.head().size();
  const Bytes visible = input.first(std::min(input.size(), limits.max_header_bytes - before));
  for (std::size_t i = 0; i < visible.size() && !has_method; ++i) {
    const char c = static_cast<char>(visible[i]);
    has_method = c == ' ' && before + i > 0;
    if (!has_method && !http_text::is_token_char(c)) return false;
  }
  return true;
}

LineReader::Result RequestParser::Impl::take_line(Bytes& input, std::string& block, Budget& budget) {
  const std::size_t before = input.size();
  const LineReader::Result result = lines.take_line(input, block, limits.max_header_bytes);
  budget.spend(kCostOfLine + (before - input.size()) / kLineBytesPerUnit);
  return result;
}

RequestParser::Status RequestParser::Impl::consume_head(Bytes& input, Budget& budget) {
  if (phase == Phase::kEmptyLines) {
    const Status status = skip_empty_lines(input);
    if (status != Status::kComplete) return status;
    request.head().reserve(
        std::clamp(std::min(input.size(), limits.max_header_bytes), Request::kLeastHeadCapacity, kFirstHeadBytes));
  }
  if (!has_method && !may_be_method(input)) return refuse({400, "This is not the beginning of an HTTP request."});
  while (!budget.is_spent()) {
    const LineReader::Result result = take_line(input, request.head(), budget);
    if (result == LineReader::Result::kMore) return Status::kIncomplete;
    if (result == LineReader::Result::kTooLong) return refuse(too_long());
    if (result != LineReader::Result::kLine) return refuse(refusal_of_line(result));
    if (lines.line(request.head()).size() == 2) return read_head(input.empty());
    if (lines.line_count() > limits.max_headers + 1) return refuse({431, "The request has too many headers."});
  }
  return Status::kIncomplete;
}

// RFC 9112 3 for the request line.
Refusal RequestParser::Impl::too_long() const {
  if (lines.line_count() > 0) return {431, "The head of the request is too long."};
  if (has_method) return {414, "The request target is too long."};
  return {501, "The request method is too long to be one that is known."};
}

RequestParser::Status RequestParser::Impl::read_head(bool is_last_input) {
  request.headers().reserve(lines.line_count() - 2);
  lower_version(request.head());
  const Refusal why = reader->read_head(request.head());
  if (why.status != 0) return refuse(why);
  request.set_keep_alive(reader->rules().keep_alive());
  expects_continue = reader->rules().expects_continue() && is_last_input;
  lines.reset();
  phase = Phase::kBody;
  return Status::kHead;
}

RequestParser::Status RequestParser::Impl::consume_body(Bytes& input, Budget& budget) {
  while (!reader->is_done()) {
    if (input.empty() || budget.is_spent()) return Status::kIncomplete;
    expects_continue = false;
    if (reader->chunked() && reader->chunk_bytes() == 0) {
      if (consume_chunk_line(input, budget) == Status::kError) return Status::kError;
    } else {
      input = input.subspan(reader->read_content(input));
      if (!charge_content()) return refuse({503, "The server has too many requests with content."});
    }
  }
  phase = Phase::kComplete;
  return Status::kComplete;
}

// Anything but kError: go on with what is left of `input`.
RequestParser::Status RequestParser::Impl::consume_chunk_line(Bytes& input, Budget& budget) {
  const LineReader::Result result = take_line(input, chunk_lines, budget);
  if (result == LineReader::Result::kMore) return Status::kIncomplete;
  if (result == LineReader::Result::kTooLong) return refuse({400, "A chunk extension or a trailer is too long."});
  if (result != LineReader::Result::kLine) return refuse(refusal_of_line(result));
  if (has_whole_chunk_lines()) return read_chunk_lines();
  // In front of them are the end of a chunk and the size of the last one.
  if (lines.line_count() > limits.max_headers + 2) return refuse({431, "The request has too many trailers."});
  return Status::kIncomplete;
}

// Whether `chunk_lines` is as long as it will be. Beast could say it too, but would begin anew with each line: many
// short lines would keep it busy.
bool RequestParser::Impl::has_whole_chunk_lines() {
  const std::string_view line = lines.line(chunk_lines);
  if (in_trailers) return line.size() == 2;
  if (lines.line_count() == 1 && after_chunk) return line.size() != 2;
  in_trailers = is_last_chunk(line);
  return !in_trailers;
}

RequestParser::Status RequestParser::Impl::read_chunk_lines() {
  const Refusal why = reader->read_chunk_lines(chunk_lines);
  if (why.status != 0) return refuse(why);
  // Small chunks with long extensions cost more than the content may ever be (as in CVE-2023-39326).
  excess_bytes += chunk_lines.size();
  excess_bytes -= static_cast<std::size_t>(std::min<std::uint64_t>(excess_bytes, 16 + 2 * reader->chunk_bytes()));
  if (excess_bytes > limits.max_header_bytes) return refuse({400, "Chunk extensions or trailers are too long."});
  chunk_lines.clear();
  lines.reset();
  after_chunk = true;
  return Status::kIncomplete;
}

// False: it is too much, together with that of others.
bool RequestParser::Impl::charge_content() {
  if (limits.contents == nullptr) return true;
  const std::size_t used_by_others = limits.contents->used_bytes - charged_bytes;
  charged_bytes = request.body().size();
  limits.contents->used_bytes = used_by_others + charged_bytes;
  return used_by_others == 0 || limits.contents->used_bytes <= limits.contents->limit_bytes;
}

void RequestParser::Impl::release_content() {
  clear(request.body_text());
  if (charged_bytes > 0) limits.contents->used_bytes -= std::exchange(charged_bytes, 0);
}

RequestParser::Status RequestParser::Impl::refuse(const Refusal& why) {
  refusal = why;
  release_content();
  phase = Phase::kError;
  return Status::kError;
}

void RequestParser::Impl::reset() {
  phase = Phase::kEmptyLines;
  refusal = {};
  lines.reset();
  clear(chunk_lines);
  empty_lines = excess_bytes = 0;
  after_cr = has_method = expects_continue = after_chunk = in_trailers = false;
  request.set_line({}, {}, 1);
  request.set_keep_alive(true);
  clear(request.headers());
  clear(request.head());
  release_content();
  reader.emplace(request, limits);
}

RequestParser::RequestParser(const RequestLimits& limits) : impl_(std::make_unique<Impl>(limits)) {}
RequestParser::~RequestParser() = default;

RequestParser::Status RequestParser::consume(std::span<const std::uint8_t>& input, Budget& budget) {
  return impl_->consume(input, budget);
}
bool RequestParser::started() const { return impl_->phase != Impl::Phase::kEmptyLines; }
bool RequestParser::has_head() const {
  return impl_->phase == Impl::Phase::kBody || impl_->phase == Impl::Phase::kComplete;
}
bool RequestParser::expects_continue() const { return impl_->expects_continue; }
const Request& RequestParser::request() const { return impl_->request; }
int RequestParser::error_status() const { return impl_->refusal.status; }
std::string_view RequestParser::error_text() const { return impl_->refusal.text; }
std::size_t RequestParser::bytes() const {
  return impl_->request.head().size() + impl_->request.body().size() + impl_->chunk_lines.size();
}
void RequestParser::reset() { impl_->reset(); }

}  // namespace websockets
