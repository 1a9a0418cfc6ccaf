// SPDX-License-Identifier: MIT
#include "net/name_lookup.h"

#include <gtest/gtest.h>
#include <netdb.h>

#include <new>

namespace websockets {
namespace {

using Addresses = std::vector<SocketAddress>;

std::string text_of(const Addresses& addresses) {
  std::string text;
  for (const SocketAddress& address : addresses) text += (text.empty() ? "" : " ") + address.text();
  return text;
}

std::string without_lookup(const std::string& host) {
  const auto addresses = addresses_without_lookup(host, 80);
  return addresses ? text_of(*addresses) : "look-up";
}

class FakeOwner final : public NameLookupOwner {
 public:
  void on_addresses(Result<Addresses> found) override {
    text = found ? text_of(*found) : found.error().text;
    code = found.error().code;
  }
  std::string text;
  int code = 0;
};

TEST(NameLookup, AsksForTheHostWithItsPort) {
  FakeOwner owner;
  NameLookup lookup("example.org", 80, owner, [](const std::string& host, std::uint16_t port) {
    EXPECT_EQ(host, "example.org");
    return Result(Addresses{*literal_address("192.0.2.1", port), *literal_address("2001:db8::1", port)});
  });
  lookup.run();
  EXPECT_EQ(owner.text, "");
  lookup.on_done(true);
  EXPECT_EQ(owner.text, "192.0.2.1:80 [2001:db8::1]:80");
}

TEST(NameLookup, AsksTheSystem) {
  FakeOwner owner;
  NameLookup lookup("127.1", 80, owner);
  lookup.run();
  lookup.on_done(true);
  EXPECT_EQ(owner.text, "127.0.0.1:80");
}

TEST(NameLookup, SaysWhyThereIsNone) {
  FakeOwner owner;
  const std::string host(300, 'a');  // too long for the DNS
  NameLookup lookup(host, 80, owner);
  lookup.run();
  lookup.on_done(true);
  EXPECT_EQ(owner.text.find("'" + host + "': "), 0U) << owner.text;
  EXPECT_NE(owner.code, 0);
}

TEST(NameLookup, ANameWithoutAddressesHasNone) {
  FakeOwner owner;
  NameLookup lookup("example.org", 80, owner, [](const std::string&, std::uint16_t) { return Result(Addresses()); });
  lookup.run();
  lookup.on_done(true);
  EXPECT_EQ(owner.text, "'example.org' has no address");
}

TEST(NameLookup, AShortageOfMemoryIsAnError) {
  FakeOwner owner;
  NameLookup lookup("example.org", 80, owner,
                    [](const std::string&, std::uint16_t) -> Result<Addresses> { throw std::bad_alloc(); });
  lookup.run();
  lookup.on_done(true);
  EXPECT_EQ(owner.code, EAI_MEMORY);
}

TEST(NameLookup, OneThatAForkHasCutShortIsAnError) {
  FakeOwner owner;
  NameLookup lookup("example.org", 80, owner);
  lookup.on_done(false);
  EXPECT_EQ(owner.text, "'example.org': the look-up was lost by a fork");
  EXPECT_EQ(owner.code, EAI_AGAIN);
}

TEST(NameLookup, LiteralsNeedNone) {
  EXPECT_EQ(without_lookup("192.0.2.1"), "192.0.2.1:80");
  EXPECT_EQ(without_lookup("2001:db8::1"), "[2001:db8::1]:80");
  EXPECT_EQ(without_lookup("fe80::1%lo"), "[fe80::1%lo]:80");
}

// RFC 6761 6.3.
TEST(NameLookup, LocalhostNeedsNone) {
  for (const char* const host :
       {"localhost", "LocalHost", "localhost.", "a.localhost", "a.b.localhost", ".localhost"}) {
    EXPECT_EQ(without_lookup(host), "[::1]:80 127.0.0.1:80") << host;
  }
  for (const char* const host : {"", "example.org", "localhost.example.org", "mylocalhost", "lo", "localhost.."}) {
    EXPECT_EQ(without_lookup(host), "look-up") << host;
  }
}

}  // namespace
}  // namespace websockets
