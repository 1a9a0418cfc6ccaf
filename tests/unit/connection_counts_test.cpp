// SPDX-License-Identifier: MIT
#include "server/connection_counts.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <string>

namespace websockets {
namespace {

PeerAddress peer(const std::string& text) {
  Result<std::vector<SocketAddress>> addresses = interface_addresses(text, 1);
  return PeerAddress(addresses->front());
}

TEST(ConnectionCountsTest, AnIpv4AddressIsANetworkOfItsOwn) {
  EXPECT_NE(peer("192.0.2.1").network(), 0U);
  EXPECT_EQ(peer("192.0.2.1").network(), peer("192.0.2.1").network());
  EXPECT_NE(peer("192.0.2.1").network(), peer("192.0.2.2").network());
  EXPECT_EQ(peer("192.0.2.1").network(), peer("::ffff:192.0.2.1").network());
}

TEST(ConnectionCountsTest, AnIpv6NetworkHas64Bits) {
  EXPECT_EQ(peer("2001:db8:0:1::1").network(), peer("2001:db8:0:1:ffff:ffff:ffff:ffff").network());
  EXPECT_NE(peer("2001:db8:0:1::1").network(), peer("2001:db8:0:2::1").network());
  EXPECT_NE(peer("::1").network(), peer("2001:db8::1").network());
  EXPECT_NE(peer("::1").network(), 0U);
}

TEST(ConnectionCountsTest, AUnixSocketHasNone) { EXPECT_EQ(PeerAddress().network(), 0U); }

TEST(ConnectionCountsTest, CountsInAll) {
  ConnectionCounts counts(2, 0);
  EXPECT_EQ(counts.admit(peer("192.0.2.1")), Admission::kAdmitted);
  EXPECT_EQ(counts.admit(PeerAddress()), Admission::kAdmitted);
  EXPECT_EQ(counts.ask(peer("192.0.2.1")), Admission::kTooMany);
  EXPECT_EQ(counts.admit(peer("192.0.2.1")), Admission::kTooMany);
  EXPECT_EQ(counts.total(), 2U);
  counts.leave(PeerAddress());
  EXPECT_EQ(counts.admit(peer("192.0.2.1")), Admission::kAdmitted);
}

TEST(ConnectionCountsTest, CountsEachAddress) {
  ConnectionCounts counts(0, 2);
  for (const char* address : {"192.0.2.1", "192.0.2.2", "2001:db8::1"}) {
    EXPECT_EQ(counts.admit(peer(address)), Admission::kAdmitted);
    EXPECT_EQ(counts.admit(peer(address)), Admission::kAdmitted);
    EXPECT_EQ(counts.admit(peer(address)), Admission::kTooManyOfAddress);
  }
  EXPECT_EQ(counts.ask(peer("2001:db8::2")), Admission::kTooManyOfAddress);
  counts.leave(peer("192.0.2.2"));
  EXPECT_EQ(counts.ask(peer("192.0.2.1")), Admission::kTooManyOfAddress);
  EXPECT_EQ(counts.admit(peer("192.0.2.2")), Admission::kAdmitted);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(counts.admit(PeerAddress()), Admission::kAdmitted);
}

TEST(ConnectionCountsTest, TellsOnlySoManyAtATime) {
  ConnectionCounts counts(1, 0);
  int told = 0;
  while (counts.begin_refusal()) ++told;
  EXPECT_EQ(told, 64);
  counts.end_refusal();
  EXPECT_TRUE(counts.begin_refusal());
  EXPECT_FALSE(counts.begin_refusal());
}

}  // namespace
}  // namespace websockets
