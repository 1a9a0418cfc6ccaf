// SPDX-License-Identifier: MIT
#include "net/resolver.h"

#include <gtest/gtest.h>
#include <netdb.h>
#include <unistd.h>

#include <array>
#include <string>

namespace websockets {
namespace {

TEST(Resolver, APeerWithoutAnAddressHasNoName) { EXPECT_EQ(reverse_name(PeerAddress()), ""); }

// The thread that looks it up tells what the system does, which is to be asked again until it is there.
TEST(Resolver, FindsTheNameInTheBackground) {
  const PeerAddress peer = *PeerAddress::parse("127.0.0.1");
  const SocketAddress address = peer.socket_address();
  std::array<char, NI_MAXHOST> name{};
  const int failure = ::getnameinfo(address.get(), address.size, name.data(), name.size(), nullptr, 0, NI_NAMEREQD);
  std::string found = reverse_name(peer);
  while (failure == 0 && found.empty()) {
    ::usleep(1000);
    found = reverse_name(peer);
  }
  EXPECT_EQ(found, failure == 0 ? name.data() : "");
}

}  // namespace
}  // namespace websockets
