// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>

#include "base/unique_fd.h"
#include "loop/disposable.h"
#include "net/driver.h"

namespace websockets {

class Loop;

// What a supervisor and a worker tell each other.
struct ControlMessage {
  enum class Kind : std::uint32_t {
    // To the worker:
    kStop,    // ends gracefully: `number` is the close code, within `time_ms`
    kDrain,   // accepts nobody any more, and closes the websockets with the code `number`, spread over `time_ms`
    kReload,  // the certificates
    kServe,   // the listeners of the slot `number`, too
    kLeave,   // those again
    // Of the worker:
    kReady,         // it accepts
    kEnding,        // it accepts no more
    kFailed,        // it ends, as it could not begin: `text`, with the errno `number`
    kReloadFailed,  // the certificates stay as they were: `text`
    kStopAll,       // all of them are to end
  };

  Kind kind;
  std::uint32_t number = 0;
  std::uint64_t time_ms = 0;
  std::string text = {};  // its first kMostText bytes arrive

  static constexpr std::size_t kMostText = 4096;
};

class ControlChannel;

class ControlHandler {
 public:
  // Both may do anything but destroy the channel.
  virtual void on_message(ControlChannel& channel, const ControlMessage& message) = 0;
  // The other side is gone.
  virtual void on_end(ControlChannel& channel) = 0;

 protected:
  ~ControlHandler() = default;
};

// One end of the connection between a supervisor and a worker. Never waits. It is disposed of by its loop, which may
// have collected a report of it already.
class ControlChannel final : public Pollable, public Disposable {
 public:
  // `end`: of a socket pair, whose other end the other process has alone.
  ControlChannel(UniqueFd end, Loop& loop, ControlHandler& handler);
  ~ControlChannel() override { close(); }
  ControlChannel(const ControlChannel&) = delete;
  ControlChannel& operator=(const ControlChannel&) = delete;

  // From now on it receives. False with errno set: it cannot be watched. Throws std::bad_alloc.
  bool open();
  // A message that has no room, as the other side takes nothing, is lost.
  void send(const ControlMessage& message) const;
  // Without a word to the handler.
  void close();
  // In a forked process, whose loop is not this one.
  void abandon() { end_.reset(); }

  void on_ready(unsigned events) override;

 private:
  bool receive();
  bool take(ControlMessage& message);

  UniqueFd end_;
  Loop& loop_;
  ControlHandler& handler_;
  std::string received_;
  bool is_watched_ = false;
};

}  // namespace websockets
