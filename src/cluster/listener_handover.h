// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/handover_socket.h"
#include "net/listener.h"

namespace websockets {

// The listeners that a new version of a program is given by the old one, which goes on until it hears that the new one
// is ready. Until then the files of unix sockets are the old one's.
class ListenerHandover final : public ListenerSource {
 public:
  // Has the number of the new version's end of the socket pair.
  static constexpr const char* kVariable = "WEBSOCKETS_HANDOVER";

  // That of this process, from the first call on; nullptr: it takes over from nobody.
  static ListenerHandover* of_process();
  // Takes the variable out of the environment: the programs that this one starts are no versions of it.
  static std::unique_ptr<ListenerHandover> from_environment();
  // A non-blocking socket.
  explicit ListenerHandover(UniqueFd socket) : socket_(std::move(socket)) {}

  // That of the socket; -1: it is closed.
  int fd() const { return socket_.fd(); }
  // The first call waits for the old version to have sent them all. In the order in which it had them.
  std::vector<Listener> take(const std::string& name) override;
  // Tells the old version to end. What nobody has taken is closed; the files of those that were taken are for their
  // owner to own().
  void ready();
  // Tells the old version why this one ends. It goes on.
  void fail(std::string_view why);
  // In a child after a fork, which has nothing to do with the old version. What was taken stays.
  void leave();

 private:
  void receive_all();
  void add(HandoverMessage& message);
  void close();

  HandoverSocket socket_;
  std::vector<Listener> given_;
  bool has_all_ = false;
};

}  // namespace websockets
