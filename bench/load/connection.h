// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "frames.h"
#include "loop.h"
#include "socket.h"

// A WebSocket of the client: first it is opened, then frames go out and come in.
class Connection {
 public:
  enum class State { kConnecting, kShakingHands, kOpen, kLost };

  // The request of open(), as most connections send it.
  static const std::string_view kRequest;

  // Begins to connect. The loop, the frames and the request have to stay.
  void open(const Loop& loop, const Target& target, const Frames& frames, std::string_view request = kRequest);

  // To be called on each event until it is open or lost.
  State go_on_opening();

  State state() const { return state_; }

  // Why it is lost.
  const std::string& reason() const { return reason_; }

  const Frames& frames() const { return *frames_; }

  void send_frames(std::size_t count);

  // Sends what waits, as far as it goes.
  void flush();

  // How many frames have come to their end with what is there now. Ends the program when it is not what must come, or
  // when the connection has ended.
  std::size_t receive();

  // Sends a Close frame. After it, receive_close() is to be called on each event until it returns true: the connection
  // is closed then, as it must be, by the server.
  void send_close();
  bool receive_close();

  // For connections that end in other ways. Bytes that follow behind frames which have been sent in full.
  void send_raw(std::string_view bytes) { send_at_once(bytes); }
  bool has_sent_all() const { return to_send_bytes_ == 0; }

  // The code of the server's Close frame, once it is there; 0: not yet. Nothing else may come.
  unsigned receive_close_code();
  // Whether the server has ended the connection, too, without a further byte.
  bool receive_end();

  // Lets go of it at once, in an orderly way or by a reset. Not lost, but not open any more either.
  void drop();
  void reset();

  // Not for events any more; only check_idle() is of use then. It ends the program when anything came.
  void leave_loop();
  void check_idle();

 private:
  void watch(std::uint32_t events);
  void send_at_once(std::string_view bytes);
  State lose(std::string reason);

  Socket socket_;
  const Loop* loop_ = nullptr;
  const Frames* frames_ = nullptr;
  std::string_view request_;
  State state_ = State::kLost;
  std::uint32_t watched_ = 0;
  std::uint64_t sent_bytes_ = 0;
  std::uint64_t to_send_bytes_ = 0;
  std::uint64_t received_bytes_ = 0;
  std::string received_;  // a head, or a Close frame
  std::string reason_;
};

// Opens all of them, some at a time, and ends the program when one of them fails, or nothing happens for too long.
void open_all(const Loop& loop, const Target& target, const Frames& frames, std::vector<Connection>& connections,
              std::size_t timeout_s);
