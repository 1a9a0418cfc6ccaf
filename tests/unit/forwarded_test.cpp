// SPDX-License-Identifier: MIT
#include "http/forwarded.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace websockets {
namespace {

using Hops = std::vector<std::pair<std::string, std::string>>;

Hops copy_of(const std::vector<ForwardedHop>& hops) {
  Hops copy;
  for (const ForwardedHop& hop : hops) copy.emplace_back(hop.address, hop.scheme);
  return copy;
}

Hops forwarded(std::string_view list) {
  const std::vector<ForwardedHop> hops = read_forwarded(list);
  for (const ForwardedHop& hop : hops) EXPECT_FALSE(hop.is_malformed) << list;
  return copy_of(hops);
}

TEST(ForwardedTest, ReadsElements) {
  EXPECT_EQ(forwarded("for=192.0.2.43"), Hops({{"192.0.2.43", ""}}));
  EXPECT_EQ(forwarded("For=192.0.2.43;PROTO=https;by=203.0.113.43"), Hops({{"192.0.2.43", "https"}}));
  EXPECT_EQ(forwarded("for=192.0.2.43, for=198.51.100.17;proto=http"),
            Hops({{"192.0.2.43", ""}, {"198.51.100.17", "http"}}));
  EXPECT_EQ(forwarded("proto=https"), Hops({{"", "https"}}));
  EXPECT_EQ(forwarded("for=_hidden, for=unknown"), Hops({{"_hidden", ""}, {"unknown", ""}}));
  EXPECT_EQ(forwarded(" for=a ; proto=b , for=c "), Hops({{"a", "b"}, {"c", ""}}));
  EXPECT_EQ(forwarded("for=a;;proto=b;"), Hops({{"a", "b"}}));
  EXPECT_EQ(forwarded(""), Hops({{"", ""}}));
}

TEST(ForwardedTest, ReadsQuotedValues) {
  EXPECT_EQ(forwarded("for=\"[2001:db8::1]:4711\""), Hops({{"2001:db8::1", ""}}));
  EXPECT_EQ(forwarded("for=\"[2001:db8::1]\";proto=\"https\""), Hops({{"2001:db8::1", "https"}}));
  EXPECT_EQ(forwarded("for=\"192.0.2.43:80\",for=x"), Hops({{"192.0.2.43", ""}, {"x", ""}}));
  EXPECT_EQ(forwarded("for=\"a,b;c=d\""), Hops({{"a,b;c=d", ""}}));
  EXPECT_EQ(forwarded("for=\"a\\\",for=b\""), Hops({{"a\\\",for=b", ""}}));
}

TEST(ForwardedTest, ReadsWhatIsBehindSomethingMalformed) {
  for (const std::string malformed : {"for", "for=", "for=a b", "for=\"a", "for=\"a\\\"", "for=a;b", "=a", "for=[::1]",
                                      "for==a", "for=a, for=2001:db8::1", "for=1.2.3.4:5", "for=\"a\"b", "for=a@b",
                                      "for=\"a, for=\"b\", for=\"", "\\\"", "\""}) {
    std::vector<ForwardedHop> hops = read_forwarded(malformed);
    ASSERT_EQ(hops.size(), 1U) << malformed;
    EXPECT_TRUE(hops[0].is_malformed) << malformed;
    EXPECT_TRUE(hops[0].address.empty()) << malformed;
    for (const std::string good : {"for=x", "for=\"x:1\"", "for=\"x\";by=\"a,b\\\",\""}) {
      const std::string list = "for=y, " + malformed + ", " + good + ",for=z";
      hops = read_forwarded(list);
      ASSERT_EQ(hops.size(), 3U) << list;
      EXPECT_TRUE(hops[0].is_malformed) << list;
      EXPECT_EQ(hops[1].address, "x") << list;
      EXPECT_EQ(hops[2].address, "z") << list;
    }
  }
}

TEST(ForwardedTest, ReadsTheOlderHeaders) {
  const auto read = [](std::string_view addresses, std::string_view schemes) {
    return copy_of(read_x_forwarded(addresses, schemes));
  };
  EXPECT_EQ(read("192.0.2.1", ""), Hops({{"192.0.2.1", ""}}));
  EXPECT_EQ(read("192.0.2.1,  2001:db8::1 ,10.0.0.1:80", "https"),
            Hops({{"192.0.2.1", "https"}, {"2001:db8::1", "https"}, {"10.0.0.1", "https"}}));
  EXPECT_EQ(read("[2001:db8::1]:80, [::1]", "http, https"), Hops({{"2001:db8::1", "https"}, {"::1", "https"}}));
  EXPECT_EQ(read("[::1", " wss "), Hops({{"", "wss"}}));
  EXPECT_EQ(read("", "https"), Hops({{"", "https"}}));
  EXPECT_EQ(read("a,,b", ""), Hops({{"a", ""}, {"", ""}, {"b", ""}}));
}

}  // namespace
}  // namespace websockets
