// SPDX-License-Identifier: MIT
// A reader of frames that is slow and plain, to compare MessageReader with.
#pragma once

#include "protocol_support.h"

namespace websockets::protocol_support {

// Reads all of an input at once, byte by byte, with copies, straight along RFC 6455 5.2.
class Reference {
 public:
  explicit Reference(Bytes input, const ReceiveRules& rules) : input_(std::move(input)), rules_(rules) {
    while (at_ < input_.size() && !done_) {
      done_ = !read_frame();
    }
  }

  const Outcome& outcome() const { return outcome_; }
  const std::vector<std::size_t>& event_ends() const { return event_ends_; }  // behind each event's last byte

 private:
  struct Frame {
    unsigned opcode = 0;
    bool fin = false;
    bool masked = false;
    std::uint64_t length = 0;
    std::uint8_t key[4] = {};
  };

  // False at the end: the bytes are used up, or an error was found, or a Close frame.
  bool read_frame() {
    Frame frame;
    if (!read_first_byte(frame) || !read_length(frame)) {
      return false;
    }
    for (std::size_t index = 0; frame.masked && index < 4; ++index) {
      if (at_ == input_.size()) {
        return false;
      }
      frame.key[index] = input_[at_++];
    }
    return frame.opcode >= 8 ? read_control_payload(frame) : read_data_payload(frame);
  }

  bool read_first_byte(Frame& frame) {
    const unsigned first = input_[at_++];
    frame.fin = first >= 0x80;
    frame.opcode = first % 16;
    const bool continues = frame.opcode == 0;
    if ((first & 0x30U) != 0) {
      return fail(ProtocolError::kReservedBits);
    }
    if ((frame.opcode > 2 && frame.opcode < 8) || frame.opcode > 10) {
      return fail(ProtocolError::kReservedOpcode);
    }
    if (frame.opcode >= 8 && !frame.fin) {
      return fail(ProtocolError::kControlFrameFragmented);
    }
    if ((first & 0x40U) != 0) {
      return fail(ProtocolError::kReservedBits);
    }
    if (frame.opcode < 8 && continues && !in_message_) {
      return fail(ProtocolError::kUnexpectedContinuation);
    }
    if (frame.opcode < 8 && !continues && in_message_) {
      return fail(ProtocolError::kExpectedContinuation);
    }
    return true;
  }

  bool read_length(Frame& frame) {
    if (at_ == input_.size()) {
      return false;
    }
    const unsigned second = input_[at_++];
    frame.masked = second >= 0x80;
    if (frame.masked != rules_.expect_masked) {
      return fail(frame.masked ? ProtocolError::kMaskedFrame : ProtocolError::kUnmaskedFrame);
    }
    frame.length = second % 128;
    if (frame.length >= 126) {
      if (frame.opcode >= 8) {
        return fail(ProtocolError::kControlFrameTooLong);
      }
      if (!read_long_length(frame)) {
        return false;
      }
    }
    return frame.opcode >= 8 || check_size(frame);
  }

  bool read_long_length(Frame& frame) {
    const std::size_t count = frame.length == 126 ? 2 : 8;
    const std::uint64_t least = count == 2 ? 126 : 65536;
    frame.length = 0;
    for (std::size_t index = 0; index < count; ++index) {
      if (at_ == input_.size()) {
        return false;
      }
      frame.length = frame.length * 256 + input_[at_++];
      if (count == 8 && index == 0 && frame.length >= 128) {
        return fail(ProtocolError::kLengthTopBit);
      }
      std::uint64_t most = frame.length;  // whatever the rest of the bytes are
      for (std::size_t rest = index + 1; rest < count; ++rest) {
        most = most * 256 + 255;
      }
      if (most < least) {
        return fail(ProtocolError::kNonMinimalLength);
      }
    }
    return true;
  }

  bool check_size(const Frame& frame) {
    // No overflow: below 2^63 are really there, and less than 2^63 are announced.
    announced_bytes_ = (frame.opcode == 0 ? announced_bytes_ : 0) + frame.length;
    fragments_ = (frame.opcode == 0 ? fragments_ : 0) + 1;
    if (announced_bytes_ > rules_.max_message_bytes) {
      return fail(ProtocolError::kMessageTooBig);
    }
    if (fragments_ > 1024 && announced_bytes_ < 16 * fragments_) {
      return fail(ProtocolError::kTooManyFragments);
    }
    return true;
  }

  // Returns what is there of it.
  std::string read_payload(const Frame& frame) {
    std::string payload;
    while (payload.size() < frame.length && at_ < input_.size()) {
      payload.push_back(static_cast<char>(input_[at_++] ^ frame.key[payload.size() % 4]));
    }
    return payload;
  }

  bool read_data_payload(const Frame& frame) {
    if (frame.opcode != 0) {
      text_ = frame.opcode == 1;
      message_.clear();
    }
    in_message_ = true;
    const std::string payload = read_payload(frame);
    message_ += payload;
    const bool whole = payload.size() == frame.length && frame.fin;
    if (text_ && rules_.check_utf8) {
      const TextState state = naive_text_state(message_);
      if (state == TextState::kInvalid || (whole && state != TextState::kWhole)) {
        return fail(ProtocolError::kInvalidUtf8);
      }
    }
    if (whole) {
      in_message_ = false;
      report((text_ ? "text:" : "binary:") + message_);
    }
    return true;
  }

  bool read_control_payload(const Frame& frame) {
    const std::string payload = read_payload(frame);
    if (payload.size() < frame.length) {
      return false;
    }
    if (frame.opcode != 8) {
      report((frame.opcode == 9 ? "ping:" : "pong:") + payload);
      return true;
    }
    if (payload.empty()) {
      report("close 1005:");
      return false;
    }
    if (payload.size() == 1) {
      return fail(ProtocolError::kCloseBodyTooShort);
    }
    const int code = static_cast<std::uint8_t>(payload[0]) * 256 + static_cast<std::uint8_t>(payload[1]);
    if (code < 1000 || code > 4999 || (code > 1003 && code < 1007) || (code > 1014 && code < 3000)) {
      return fail(ProtocolError::kInvalidCloseCode);
    }
    if (naive_text_state(payload.substr(2)) != TextState::kWhole) {
      return fail(ProtocolError::kInvalidCloseReason);
    }
    report("close " + std::to_string(code) + ":" + payload.substr(2));
    return false;
  }

  void report(std::string event) {
    outcome_.events.push_back(std::move(event));
    event_ends_.push_back(at_);
  }

  bool fail(ProtocolError error) {
    outcome_.error = error;
    return false;
  }

  Bytes input_;
  ReceiveRules rules_;
  std::size_t at_ = 0;
  bool done_ = false;
  bool in_message_ = false;
  bool text_ = false;
  std::string message_;
  std::uint64_t announced_bytes_ = 0;
  std::uint64_t fragments_ = 0;
  Outcome outcome_;
  std::vector<std::size_t> event_ends_;
};

}  // namespace websockets::protocol_support
