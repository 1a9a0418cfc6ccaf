// SPDX-License-Identifier: MIT
// A compressed message in fragments, and one behind it: gathered and in chunks, whole and byte by byte, the same comes
// of it. And what is compressed here is understood here.
#include "fuzz_support.h"
#include "reader_feeder.h"
#include "websocket/message_compression.h"

using namespace websockets;
using namespace websockets::protocol_support;

namespace {

constexpr unsigned kRsv1 = 0x40;

class CompressedRecorder final : public Recorder {
 public:
  explicit CompressedRecorder(MessageCompression& compression) : compression_(compression) {}
  MessageCompression* compression() override { return &compression_; }

 private:
  MessageCompression& compression_;
};

Outcome read_frames(Bytes input, const DeflateParameters& agreed, const ReceiveRules& rules, bool chunk_mode,
                    std::size_t piece_bytes) {
  CompressionPool pool(CompressionOptions{});
  MessageCompression compression(pool, agreed);
  CompressedRecorder recorder(compression);
  MessageReader reader;
  reader.set_chunk_mode(chunk_mode);
  for (std::size_t at = 0; at < input.size() && !recorder.finished(); at += piece_bytes) {
    std::span<std::uint8_t> piece = std::span(input).subspan(at, std::min(piece_bytes, input.size() - at));
    // A call leaves what would be too much work.
    while ((!piece.empty() || reader.is_inflating()) && !recorder.finished()) {
      recorder.outcome.error = reader.consume(piece, rules, recorder);
    }
  }
  return recorder.outcome;
}

void check_messages(std::string_view payload, const std::vector<std::size_t>& cuts, const DeflateParameters& agreed,
                    const ReceiveRules& rules, Opcode opcode) {
  Bytes input;
  std::size_t at = 0;
  const auto add = [&](std::size_t end, bool is_last) {
    const bool is_first = at == 0 && input.empty();
    const Bytes frame = make_frame({.opcode = is_first ? opcode : Opcode::kContinuation,
                                    .payload = std::string(payload.substr(at, end - at)),
                                    .fin = is_last,
                                    .rsv_bits = is_first ? kRsv1 : 0});
    input.insert(input.end(), frame.begin(), frame.end());
    at = end;
  };
  for (const std::size_t cut : cuts) add(std::min(cut, payload.size()), false);
  add(payload.size(), true);
  const Bytes hello = make_frame({.payload = "\xF2\x48\xCD\xC9\xC9\x07" + std::string(1, '\0'), .rsv_bits = kRsv1});
  input.insert(input.end(), hello.begin(), hello.end());

  const Outcome gathered = read_frames(input, agreed, rules, false, input.size());
  EXPECT_EQ(gathered, read_frames(input, agreed, rules, false, 1));
  for (const std::size_t piece_bytes : {std::size_t{1}, input.size()}) {
    const Outcome in_chunks = read_frames(input, agreed, rules, true, piece_bytes);
    EXPECT_EQ(gathered.events, in_chunks.events);
    EXPECT_EQ(gathered.error == ProtocolError::kNone, in_chunks.error == ProtocolError::kNone);
  }
}

void check_round_trip(std::string_view text, const std::vector<std::size_t>& cuts, const DeflateParameters& agreed) {
  CompressionPool pool({.wanted = {}, .min_bytes = 1});
  MessageCompression sender(pool, agreed);
  MessageCompression receiver(pool, agreed);
  std::size_t at = 0;
  for (const std::size_t cut : cuts) {
    const std::size_t end = std::min(cut, text.size());
    const Bytes message = to_bytes(text.substr(at, end - at));
    ByteBuffer compressed;
    const bool is_shared = cut % 3 == 0;
    const bool is_compressed =
        is_shared ? sender.compress_shared(message, compressed) : sender.compress(message, compressed);
    if (is_compressed) {
      if (is_shared) sender.note_shared(message);
      ByteBuffer received;
      receiver.begin_message(false);
      while (!receiver.is_complete()) {
        ASSERT_EQ(receiver.inflate_message(compressed.bytes(), message.size(), cut, received), ProtocolError::kNone);
      }
      EXPECT_EQ(to_text(received.bytes()), to_text(message));
    }
    at = end;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const unsigned flags = input.byte();
  const bool is_forgetful = (flags & 1U) != 0;
  DeflateParameters agreed;
  agreed.server_no_context_takeover = agreed.client_no_context_takeover = is_forgetful;
  ReceiveRules rules;
  rules.max_message_bytes = (flags & 4U) != 0 ? 100 : 1U << 18U;
  const std::vector<std::size_t> cuts = fuzz::take_cuts(input, size);
  check_messages(input.text(), cuts, agreed, rules, (flags & 8U) != 0 ? Opcode::kBinary : Opcode::kText);
  // Not above: whether what refers too far back is found depends on the space that it is decompressed to.
  agreed.server_max_window_bits = agreed.client_max_window_bits = (flags & 2U) != 0 ? 9 : kMaxWindowBits;
  check_round_trip(input.text(), cuts, agreed);
  return 0;
}
