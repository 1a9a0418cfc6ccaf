// SPDX-License-Identifier: MIT
// The parts of the engine that every message goes through, each by itself.

#include <benchmark/benchmark.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "websocket/frame.h"
#include "websocket/mask.h"
#include "websocket/message_compression.h"
#include "websocket/message_reader.h"
#include "websocket/utf8.h"

namespace websockets {
namespace {

using Bytes = std::vector<std::uint8_t>;

// ASCII stays ASCII when it is masked: so what was unmasked in place may be taken for masked again.
constexpr std::uint32_t kKey = 0x04030201;
constexpr std::int64_t kShort = 20, kLarge = 16 << 10, kHuge = 1 << 20;

Bytes repeated(std::string_view text, std::size_t size) {
  Bytes bytes;
  while (bytes.size() + text.size() <= size) bytes.insert(bytes.end(), text.begin(), text.end());
  return bytes;
}

FrameHeader header_of(Opcode opcode, std::size_t payload_bytes, bool is_masked) {
  FrameHeader header;
  header.opcode = opcode;
  header.payload_bytes = payload_bytes;
  header.mask_key = kKey;
  header.fin = true;
  header.masked = is_masked;
  return header;
}

void count_bytes(benchmark::State& state, std::size_t size) {
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(size));
}

void unmask(benchmark::State& state) {
  Bytes bytes(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    apply_mask(bytes, kKey, 0);
    benchmark::ClobberMemory();
  }
  count_bytes(state, bytes.size());
}
BENCHMARK(unmask)->Arg(kShort)->Arg(kLarge)->Arg(kHuge);

void validate_utf8(benchmark::State& state, std::string_view text) {
  const Bytes bytes = repeated(text, static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    Utf8Validator validator;
    if (!validator.accept(bytes) || !validator.complete()) state.SkipWithError("it is valid");
  }
  count_bytes(state, bytes.size());
}
BENCHMARK_CAPTURE(validate_utf8, ascii, "text")->Arg(kShort)->Arg(kLarge);
BENCHMARK_CAPTURE(validate_utf8, mixed, "Größe: 5 € 𝄞")->Arg(kShort)->Arg(kLarge);

// By the length of the payload: the header has 6, 8 or 14 bytes.
void parse_header(benchmark::State& state) {
  std::array<std::uint8_t, kMaxFrameHeaderBytes> bytes;
  const FrameHeader header = header_of(Opcode::kText, static_cast<std::size_t>(state.range(0)), true);
  const std::size_t size = encode_frame_header(header, bytes.data());
  for (auto _ : state) {
    benchmark::DoNotOptimize(bytes);
    FrameHeader parsed;
    ProtocolError error = ProtocolError::kNone;
    if (parse_frame_header(std::span(bytes).first(size), parsed, error) != HeaderStatus::kComplete) {
      state.SkipWithError("it is valid");
    }
    benchmark::DoNotOptimize(parsed);
  }
}
BENCHMARK(parse_header)->Arg(kShort)->Arg(kLarge)->Arg(kHuge);

void encode_header(benchmark::State& state) {
  std::array<std::uint8_t, kMaxFrameHeaderBytes> bytes;
  FrameHeader header = header_of(Opcode::kText, static_cast<std::size_t>(state.range(0)), false);
  for (auto _ : state) {
    benchmark::DoNotOptimize(header);
    benchmark::DoNotOptimize(encode_frame_header(header, bytes.data()));
    benchmark::ClobberMemory();
  }
}
BENCHMARK(encode_header)->Arg(kShort)->Arg(kLarge)->Arg(kHuge);

class CountingSink final : public MessageSink {
 public:
  std::size_t messages = 0;

  bool on_messages(MessageBatch& run) override {
    for (MessageBatch::Message message; run.next(message);) ++messages;
    return true;
  }

  bool on_chunk(MessageType, std::span<const std::uint8_t>, bool) override { return true; }
  bool on_ping(std::span<const std::uint8_t>) override { return true; }
  bool on_pong(std::span<const std::uint8_t>) override { return true; }
  void on_close_frame(CloseCode, std::span<const std::uint8_t>) override {}
};

// Short messages that have arrived together; the time is that of all of them.
void assemble_64(benchmark::State& state, Opcode opcode) {
  constexpr std::size_t kMessages = 64;
  std::array<std::uint8_t, kMaxFrameHeaderBytes> header;
  const std::size_t header_bytes = encode_frame_header(header_of(opcode, kShort, true), header.data());
  Bytes frames;
  for (std::size_t i = 0; i < kMessages; ++i) {
    frames.insert(frames.end(), header.begin(), header.begin() + static_cast<std::ptrdiff_t>(header_bytes));
    frames.insert(frames.end(), kShort, 'x');
  }
  MessageReader reader;
  CountingSink sink;
  const ReceiveRules rules;
  for (auto _ : state) {
    std::span<std::uint8_t> input(frames);
    if (reader.consume(input, rules, sink) != ProtocolError::kNone) state.SkipWithError("it is valid");
  }
  if (sink.messages != kMessages * static_cast<std::size_t>(state.iterations())) state.SkipWithError("not all");
  state.SetItemsProcessed(static_cast<std::int64_t>(sink.messages));
}
BENCHMARK_CAPTURE(assemble_64, binary, Opcode::kBinary);
BENCHMARK_CAPTURE(assemble_64, text, Opcode::kText);

// JSON that differs a little from the one before, and has so many bytes.
std::vector<Bytes> similar_messages(std::size_t bytes) {
  constexpr unsigned kMessages = 512;  // more than the window has room for
  std::vector<Bytes> messages(kMessages);
  for (unsigned number = 1; Bytes & message : messages) {
    std::string text = "[";
    for (; text.size() < bytes; number = number * 7919 % 100'003) {
      text += R"({"id":)" + std::to_string(number) + R"(,"name":"user)" + std::to_string(number % 97) + R"("},)";
    }
    message.assign(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(bytes));
  }
  return messages;
}

constexpr DeflateParameters kByItself{.server_no_context_takeover = true, .client_no_context_takeover = true};
constexpr DeflateParameters kWindowKept{};

void compress(benchmark::State& state, const DeflateParameters& agreed) {
  CompressionPool pool({.wanted = {}, .min_bytes = 1});
  MessageCompression compression(pool, agreed);
  const std::vector<Bytes> messages = similar_messages(static_cast<std::size_t>(state.range(0)));
  std::size_t compressed_bytes = 0;
  for (std::size_t next = 0; auto _ : state) {
    CompressionPool::Scratch out(pool);
    compression.compress(messages[next++ % messages.size()], *out);
    compressed_bytes += out->size();
  }
  count_bytes(state, static_cast<std::size_t>(state.range(0)));
  state.counters["compressed"] = static_cast<double>(compressed_bytes) / static_cast<double>(state.iterations());
}
BENCHMARK_CAPTURE(compress, by_itself, kByItself)->Arg(200)->Arg(kLarge);
BENCHMARK_CAPTURE(compress, window_kept, kWindowKept)->Arg(200)->Arg(kLarge);

void decompress(benchmark::State& state) {
  constexpr std::uint64_t kAtOnce = std::uint64_t{1} << 40U;
  CompressionPool pool({.wanted = {}, .min_bytes = 1});
  MessageCompression compression(pool, kByItself);
  std::vector<Bytes> messages = similar_messages(static_cast<std::size_t>(state.range(0)));
  for (Bytes& message : messages) {
    ByteBuffer out;
    compression.compress(message, out);
    message.assign(out.bytes().begin(), out.bytes().end());
  }
  for (std::size_t next = 0; auto _ : state) {
    CompressionPool::Scratch out(pool);
    compression.begin_message(false);
    const Bytes& message = messages[next++ % messages.size()];
    const ProtocolError error = compression.inflate_message(message, kHuge, kAtOnce, *out);
    if (error != ProtocolError::kNone || !compression.is_complete()) state.SkipWithError("it is valid");
  }
  count_bytes(state, static_cast<std::size_t>(state.range(0)));
}
BENCHMARK(decompress)->Arg(200)->Arg(kLarge);

}  // namespace
}  // namespace websockets

BENCHMARK_MAIN();
