// SPDX-License-Identifier: MIT
#include "net/tls_session_cache.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <array>
#include <ctime>
#include <string>

namespace websockets {
namespace {

// As a server of that version gives it out; `number` tells it from others.
TlsSessionCache::Session make_session(int version, unsigned char number = 0) {
  TlsSessionCache::Session session(SSL_SESSION_new());
  const std::array<unsigned char, 1> id{number};
  EXPECT_EQ(SSL_SESSION_set_protocol_version(session.get(), version), 1);
  EXPECT_EQ(SSL_SESSION_set1_id(session.get(), id.data(), id.size()), 1);
  return session;
}

// -1: none.
int number_of(const TlsSessionCache::Session& session) {
  unsigned int size = 0;
  return session == nullptr ? -1 : SSL_SESSION_get_id(session.get(), &size)[0];
}

TEST(TlsSessionCache, GivesATicketOfTls13Once) {
  TlsSessionCache cache;
  cache.add("a", make_session(TLS1_3_VERSION, 1));
  cache.add("b", make_session(TLS1_3_VERSION, 2));
  cache.add("a", make_session(TLS1_3_VERSION, 3));
  EXPECT_EQ(number_of(cache.take("a")), 3) << "the latest is first";
  EXPECT_EQ(number_of(cache.take("a")), 1);
  EXPECT_EQ(number_of(cache.take("a")), -1);
  EXPECT_EQ(number_of(cache.take("b")), 2);
  EXPECT_EQ(cache.size(), 0U);
}

TEST(TlsSessionCache, GivesASessionOfTls12AsOftenAsItIsAskedFor) {
  TlsSessionCache cache;
  cache.add("a", make_session(TLS1_2_VERSION, 1));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(number_of(cache.take("a")), 1);
  EXPECT_EQ(number_of(cache.take("b")), -1);
}

TEST(TlsSessionCache, KeepsAFewOfEachKey) {
  TlsSessionCache cache;
  cache.add("b", make_session(TLS1_3_VERSION, 200));
  for (unsigned char i = 1; i <= 2 * TlsSessionCache::kMostOfKey; ++i) cache.add("a", make_session(TLS1_3_VERSION, i));
  EXPECT_EQ(cache.size(), TlsSessionCache::kMostOfKey + 1);
  for (std::size_t i = 2 * TlsSessionCache::kMostOfKey; i > TlsSessionCache::kMostOfKey; --i) {
    EXPECT_EQ(number_of(cache.take("a")), static_cast<int>(i));
  }
  EXPECT_EQ(number_of(cache.take("a")), -1);
  EXPECT_EQ(number_of(cache.take("b")), 200);
}

TEST(TlsSessionCache, ForgetsTheOldest) {
  TlsSessionCache cache;
  for (std::size_t i = 0; i <= TlsSessionCache::kMost; ++i) cache.add(std::to_string(i), make_session(TLS1_2_VERSION));
  EXPECT_EQ(cache.size(), TlsSessionCache::kMost);
  EXPECT_EQ(number_of(cache.take("0")), -1);
  EXPECT_EQ(number_of(cache.take("1")), 0);
  EXPECT_EQ(number_of(cache.take(std::to_string(TlsSessionCache::kMost))), 0);
}

TEST(TlsSessionCache, GivesNoneThatIsOver) {
  TlsSessionCache cache;
  for (const long age : {-1000L, 1000L}) {
    TlsSessionCache::Session session = make_session(TLS1_2_VERSION);
    SSL_SESSION_set_timeout(session.get(), 500);
#if OPENSSL_VERSION_NUMBER >= 0x30300000L
    SSL_SESSION_set_time_ex(session.get(), std::time(nullptr) - age);
#else
    SSL_SESSION_set_time(session.get(), static_cast<long>(std::time(nullptr)) - age);
#endif
    cache.add("a", std::move(session));
    EXPECT_EQ(number_of(cache.take("a")), -1) << age;
    EXPECT_EQ(cache.size(), 0U) << age;
  }
  TlsSessionCache::Session session = make_session(TLS1_2_VERSION);
  SSL_SESSION_set_timeout(session.get(), 500);
  cache.add("a", std::move(session));
  EXPECT_EQ(number_of(cache.take("a")), 0);
}

}  // namespace
}  // namespace websockets
