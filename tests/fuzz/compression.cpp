// SPDX-License-Identifier: MIT
// permessage-deflate: what is agreed upon is what was offered; what a peer sends comes out the same in pieces as in
// one, and as zlib has it; and what is compressed here can be decompressed.
#include <zlib.h>

#include <string>

#include "fuzz_support.h"
#include "protocol/bytes.h"
#include "protocol/deflate_negotiation.h"
#include "protocol/handshake.h"
#include "protocol/message_compression.h"

using namespace websockets;

namespace {

constexpr std::uint64_t kMaxBytes = 5000;

CompressionOptions take_options(fuzz::Input& input) {
  const unsigned flags = input.byte();
  CompressionOptions options;
  options.wanted.server_no_context_takeover = (flags & 1U) != 0;
  options.wanted.client_no_context_takeover = (flags & 2U) != 0;
  options.wanted.server_max_window_bits = static_cast<std::uint8_t>(9 + (flags >> 2U) % 7);
  options.wanted.client_max_window_bits = static_cast<std::uint8_t>(9 + (flags >> 5U) % 7);
  options.level = 1;
  options.min_bytes = 1;
  return options;
}

std::unique_ptr<MessageCompression> negotiate(CompressionPool& pool, std::string_view offers) {
  std::string answer;
  std::unique_ptr<MessageCompression> compression;
  if (is_extension_list(offers)) compression = pool.negotiate(offers, answer);
  if (compression != nullptr) {
    EXPECT_TRUE(is_extension_list(answer)) << answer;
    EXPECT_TRUE(answer.starts_with("permessage-deflate"));
    EXPECT_NE(offers.find("permessage-deflate"), std::string_view::npos);
    if (answer.find("client_max_window_bits") != std::string::npos) {
      EXPECT_NE(offers.find("client_max_window_bits"), std::string_view::npos);
    }
    EXPECT_GE(compression->window_bits(), 9);
  }
  return compression;
}

// The plain way, with all memory that it takes. False: it is not one.
bool reference_inflate(std::span<const std::uint8_t> message, std::string& out) {
  std::string input(as_text(message));
  input.append("\0\0\xFF\xFF", 4);
  z_stream stream{};
  EXPECT_EQ(inflateInit2(&stream, -15), Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(input.data());
  stream.avail_in = static_cast<uInt>(input.size());
  int result = Z_OK;
  while (result == Z_OK && out.size() <= kMaxBytes) {
    std::array<char, 1000> space;
    stream.next_out = reinterpret_cast<Bytef*>(space.data());
    stream.avail_out = space.size();
    result = ::inflate(&stream, Z_SYNC_FLUSH);
    out.append(space.data(), space.size() - stream.avail_out);
    if (stream.avail_in == 0 && stream.avail_out > 0) break;
  }
  inflateEnd(&stream);
  return result == Z_OK;  // of one that ends in the midst of the message there is more to say than this knows
}

void check_inflate(const CompressionOptions& options, std::span<const std::uint8_t> message, fuzz::Input& cuts) {
  CompressionPool pool(options);
  DeflateParameters agreed;
  MessageCompression whole(pool, agreed);
  ByteBuffer at_once;
  const ProtocolError error = whole.inflate_message(message, kMaxBytes, false, at_once);
  EXPECT_LE(at_once.size(), kMaxBytes + MessageCompression::kInflatedPieceBytes);
  std::string expected;
  const bool is_right = reference_inflate(message, expected);
  if (error == ProtocolError::kNone && is_right) EXPECT_EQ(as_text(at_once.bytes()), expected);
  if (is_right && expected.size() > kMaxBytes) EXPECT_EQ(error, ProtocolError::kMessageTooBig);

  MessageCompression split(pool, agreed);
  ByteBuffer in_pieces;
  split.begin_message();
  ProtocolError split_error = ProtocolError::kNone;
  for (std::span<const std::uint8_t> rest = message; split_error == ProtocolError::kNone;) {
    const std::size_t size = std::min(rest.size(), 1 + cuts.below(MessageCompression::kPieceBytes));
    const bool is_last = size == rest.size();
    const std::size_t before = in_pieces.size();
    split_error = split.append_inflated(rest.first(size), is_last, kMaxBytes, in_pieces);
    EXPECT_LE(in_pieces.size() - before, MessageCompression::kInflatedPieceBytes);
    rest = rest.subspan(size);
    if (is_last) break;
  }
  EXPECT_EQ(split_error, error);
  if (error == ProtocolError::kNone) EXPECT_EQ(as_text(in_pieces.bytes()), as_text(at_once.bytes()));
}

// Two messages behind one another, of one of many, and by a connection alone.
void check_round_trip(const CompressionOptions& options, std::span<const std::uint8_t> message) {
  CompressionPool pool(options);
  DeflateParameters agreed = options.wanted;
  MessageCompression server(pool, agreed);
  DeflateParameters turned;  // what it receives is what the other one sends
  turned.client_no_context_takeover = agreed.server_no_context_takeover;
  turned.client_max_window_bits = agreed.server_max_window_bits;
  MessageCompression client(pool, turned);
  for (const bool is_shared : {false, true, false}) {
    ByteBuffer compressed;
    const bool succeeded =
        is_shared ? server.compress_shared(message, compressed) : server.compress(message, compressed);
    if (!succeeded) continue;
    if (is_shared) server.note_shared(message);
    ByteBuffer again;
    ASSERT_EQ(client.inflate_message(compressed.bytes(), 1U << 20U, false, again), ProtocolError::kNone);
    EXPECT_EQ(as_text(again.bytes()), as_text(message));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const CompressionOptions options = take_options(input);
  const std::string_view text = input.text();
  CompressionPool pool(options);
  negotiate(pool, text.substr(0, text.find('\n')));
  const std::span<const std::uint8_t> message = input.rest();
  fuzz::Input cuts(data, size);
  check_inflate(options, message, cuts);
  check_round_trip(options, message);
  return 0;
}
