// SPDX-License-Identifier: MIT
#include "net/address_list.h"

#include <gtest/gtest.h>

namespace websockets {
namespace {

bool is_in(std::string_view address, std::string_view network) {
  AddressList list;
  EXPECT_TRUE(list.add(network)) << network;
  return list.contains(*PeerAddress::parse(address));
}

TEST(AddressListTest, TakesSingleAddresses) {
  EXPECT_TRUE(is_in("192.0.2.1", "192.0.2.1"));
  EXPECT_FALSE(is_in("192.0.2.2", "192.0.2.1"));
  EXPECT_TRUE(is_in("2001:db8::1", "2001:DB8:0::1"));
  EXPECT_FALSE(is_in("2001:db8::2", "2001:db8::1"));
  EXPECT_TRUE(is_in("::ffff:192.0.2.1", "192.0.2.1"));
}

TEST(AddressListTest, TakesNetworks) {
  EXPECT_TRUE(is_in("10.255.0.1", "10.0.0.0/8"));
  EXPECT_FALSE(is_in("11.0.0.0", "10.0.0.0/8"));
  EXPECT_TRUE(is_in("10.1.2.3", "10.9.9.9/8"));
  EXPECT_TRUE(is_in("192.0.2.130", "192.0.2.128/25"));
  EXPECT_FALSE(is_in("192.0.2.127", "192.0.2.128/25"));
  EXPECT_TRUE(is_in("192.0.2.6", "192.0.2.7/31"));
  EXPECT_FALSE(is_in("192.0.2.5", "192.0.2.7/31"));
  EXPECT_TRUE(is_in("192.0.2.7", "192.0.2.7/32"));
  EXPECT_TRUE(is_in("1.2.3.4", "0.0.0.0/0"));
  EXPECT_FALSE(is_in("2001:db8::1", "0.0.0.0/0"));
  EXPECT_TRUE(is_in("2001:db8:ffff::1", "2001:db8::/32"));
  EXPECT_FALSE(is_in("2001:db9::1", "2001:db8::/32"));
  EXPECT_TRUE(is_in("fd00::1", "fc00::/7"));
  EXPECT_FALSE(is_in("fe00::1", "fc00::/7"));
  EXPECT_TRUE(is_in("2001:db8::1", "::/0"));
  EXPECT_FALSE(is_in("::2", "::1/128"));
}

TEST(AddressListTest, TakesUnixSocketsByTheirName) {
  AddressList list;
  EXPECT_TRUE(list.empty());
  EXPECT_TRUE(list.add("::/0"));
  EXPECT_FALSE(list.contains(PeerAddress()));
  EXPECT_TRUE(list.add("unix"));
  EXPECT_TRUE(list.contains(PeerAddress()));
  AddressList only;
  EXPECT_TRUE(only.add("unix"));
  EXPECT_FALSE(only.empty());
  EXPECT_FALSE(only.contains(*PeerAddress::parse("127.0.0.1")));
}

TEST(AddressListTest, RefusesWhatIsNoAddress) {
  AddressList list;
  for (const char* text : {"",
                           "/",
                           "x",
                           "localhost",
                           "192.0.2",
                           "192.0.2.1/",
                           "192.0.2.1/33",
                           "192.0.2.1/-1",
                           "192.0.2.1/8x",
                           "192.0.2.1/+8",
                           "::1/129",
                           "::1/ 1",
                           "/8",
                           "192.0.2.1:80",
                           "[::1]",
                           "fe80::1%eth0",
                           "192.0.2.1 ",
                           "unix:",
                           "UNIX",
                           "1.2.3.4/8/8"}) {
    EXPECT_FALSE(list.add(text)) << text;
  }
  EXPECT_FALSE(list.add(std::string_view("1.2.3.4\0", 8)));
  EXPECT_TRUE(list.empty());
}

TEST(PeerAddressTest, ParsesAndPrints) {
  for (const char* text : {"192.0.2.1", "0.0.0.0", "2001:db8::1", "::1"}) {
    EXPECT_EQ(PeerAddress::parse(text)->text(), text);
  }
  EXPECT_EQ(PeerAddress::parse("::ffff:192.0.2.1")->text(), "192.0.2.1");
  EXPECT_EQ(*PeerAddress::parse("::ffff:192.0.2.1"), *PeerAddress::parse("192.0.2.1"));
  EXPECT_FALSE(PeerAddress::parse(std::string(100, '1')));
}

}  // namespace
}  // namespace websockets
