// SPDX-License-Identifier: MIT
#include "net/socket_address.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <vector>

namespace websockets {
namespace {

std::vector<std::string> texts_of(const Result<std::vector<SocketAddress>>& addresses) {
  std::vector<std::string> texts;
  if (!addresses) return texts;
  for (const SocketAddress& address : *addresses) texts.push_back(address.text());
  std::sort(texts.begin(), texts.end());
  return texts;
}

PeerAddress peer(const std::string& text) { return PeerAddress(interface_addresses(text, 1)->front()); }

TEST(SocketAddressTest, HasAllAddressesOfAnInterface) {
  ifaddrs* list = nullptr;
  ASSERT_EQ(getifaddrs(&list), 0);
  std::map<std::string, std::vector<std::string>> expected;
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr) continue;
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (entry->ifa_addr->sa_family == AF_INET) {
      const auto* const address = reinterpret_cast<const sockaddr_in*>(entry->ifa_addr);
      inet_ntop(AF_INET, &address->sin_addr, text.data(), text.size());
      expected[entry->ifa_name].push_back(std::string(text.data()) + ":80");
    } else if (entry->ifa_addr->sa_family == AF_INET6) {
      const auto* const address = reinterpret_cast<const sockaddr_in6*>(entry->ifa_addr);
      inet_ntop(AF_INET6, &address->sin6_addr, text.data(), text.size());
      const std::string zone = address->sin6_scope_id == 0 ? "" : std::string("%") + entry->ifa_name;
      expected[entry->ifa_name].push_back("[" + std::string(text.data()) + zone + "]:80");
    }
  }
  freeifaddrs(list);
  EXPECT_FALSE(expected.empty());
  for (auto& [interface, addresses] : expected) {
    std::sort(addresses.begin(), addresses.end());
    EXPECT_EQ(texts_of(interface_addresses(interface, 80)), addresses) << interface;
  }
}

TEST(SocketAddressTest, ALiteralNeedsNoResolver) {
  EXPECT_EQ(literal_address("192.0.2.1", 80)->text(), "192.0.2.1:80");
  EXPECT_EQ(literal_address("2001:db8::1", 80)->text(), "[2001:db8::1]:80");
  EXPECT_EQ(literal_address("fe80::1%lo", 80)->text(), "[fe80::1%lo]:80");
  EXPECT_EQ(literal_address("fe80::1%4000000000", 80)->text(), "[fe80::1%4000000000]:80");
  for (const char* const none : {"", "lo", "example.org", "[::1]", "fe80::1%", "fe80::1%nope", "fe80::1%1x", "1.2.3"}) {
    EXPECT_FALSE(literal_address(none, 80)) << none;
  }
}

TEST(SocketAddressTest, ANameHasEachOfItsAddressesOnce) {
  auto found = resolve_name("127.0.0.1", 80, 0);
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 1U);
  EXPECT_EQ((*found)[0].text(), "127.0.0.1:80");
}

TEST(SocketAddressTest, AnErrorNamesTheNameThatHasNone) {
  const auto found = resolve_name("no.such.name", 80, AI_NUMERICHOST);
  EXPECT_EQ(found.error().text, std::string("'no.such.name': ") + gai_strerror(EAI_NONAME));
  EXPECT_EQ(found.error().code, EAI_NONAME);
}

TEST(SocketAddressTest, KeepsTheZoneOfALinkLocalAddress) {
  const Result<std::vector<SocketAddress>> found = interface_addresses("fe80::1%lo", 80);
  ASSERT_TRUE(found);
  const SocketAddress address = (*found).front();
  EXPECT_EQ(address.text(), "[fe80::1%lo]:80");
  const PeerAddress peer(address);
  EXPECT_EQ(peer.text(), "fe80::1%lo");
  EXPECT_EQ(peer.socket_address().text(), "[fe80::1%lo]:0");
  EXPECT_NE(peer, PeerAddress::parse("fe80::1"));
}

TEST(SocketAddressTest, TellsAZoneThatIsGoneByItsNumber) {
  SocketAddress address = any_address(true, 80);
  auto* const ipv6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
  inet_pton(AF_INET6, "fe80::1", &ipv6->sin6_addr);
  ipv6->sin6_scope_id = 0x7ffffffe;
  EXPECT_EQ(address.text(), "[fe80::1%2147483646]:80");
}

TEST(SocketAddressTest, KnowsTheAddressesThatStandForAll) {
  EXPECT_TRUE(any_address(true, 80).is_any());
  EXPECT_TRUE(any_address(false, 80).is_any());
  for (const char* literal : {"127.0.0.1", "::1", "::ffff:0.0.0.0"}) {
    EXPECT_FALSE(interface_addresses(literal, 80)->front().is_any()) << literal;
  }
}

TEST(PeerAddressTest, AnIpv4AddressIsANetworkOfItsOwn) {
  EXPECT_NE(peer("192.0.2.1").network(), 0U);
  EXPECT_EQ(peer("192.0.2.1").network(), peer("192.0.2.1").network());
  EXPECT_NE(peer("192.0.2.1").network(), peer("192.0.2.2").network());
  EXPECT_EQ(peer("192.0.2.1").network(), peer("::ffff:192.0.2.1").network());
}

TEST(PeerAddressTest, AnIpv6NetworkHas64Bits) {
  EXPECT_EQ(peer("2001:db8:0:1::1").network(), peer("2001:db8:0:1:ffff:ffff:ffff:ffff").network());
  EXPECT_NE(peer("2001:db8:0:1::1").network(), peer("2001:db8:0:2::1").network());
  EXPECT_NE(peer("::1").network(), peer("2001:db8::1").network());
  EXPECT_NE(peer("::1").network(), 0U);
}

TEST(PeerAddressTest, AUnixSocketHasNone) { EXPECT_EQ(PeerAddress().network(), 0U); }

}  // namespace
}  // namespace websockets
