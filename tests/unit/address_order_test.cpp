// SPDX-License-Identifier: MIT
#include "dial/address_order.h"

#include <gtest/gtest.h>

#include <string>

namespace websockets {
namespace {

// "4a 6b" are the addresses 0.0.0.10 and ::b.
std::string ordered(const std::string& texts) {
  std::vector<SocketAddress> addresses;
  for (std::size_t at = 0; at < texts.size(); at += 3) {
    const std::string letter = texts.substr(at + 1, 1);
    addresses.push_back(*literal_address(texts[at] == '4' ? "0.0.0." + std::to_string(letter[0]) : "::" + letter, 1));
  }
  std::string result;
  for (const SocketAddress& address : interleave_families(addresses)) {
    const std::string text = address.text();
    if (!result.empty()) result += ' ';
    result += address.storage.ss_family == AF_INET ? std::string("4") + static_cast<char>(std::stoi(text.substr(6)))
                                                   : "6" + text.substr(3, 1);
  }
  return result;
}

TEST(AddressOrder, OneFamilyKeepsItsOrder) {
  EXPECT_EQ(ordered(""), "");
  EXPECT_EQ(ordered("4b"), "4b");
  EXPECT_EQ(ordered("4b 4a 4c"), "4b 4a 4c");
}

TEST(AddressOrder, FamiliesAlternateFromTheFirstOnesOn) {
  EXPECT_EQ(ordered("6a 6b 6c 4a 4b 4c"), "6a 4a 6b 4b 6c 4c");
  EXPECT_EQ(ordered("4a 6a 6b 4b"), "4a 6a 4b 6b");
}

TEST(AddressOrder, WhatIsLeftOfTheLargerFamilyFollows) {
  EXPECT_EQ(ordered("6a 6b 6c 4a"), "6a 4a 6b 6c");
  EXPECT_EQ(ordered("6a 4a 4b 4c"), "6a 4a 4b 4c");
}

}  // namespace
}  // namespace websockets
