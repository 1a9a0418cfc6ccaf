// SPDX-License-Identifier: MIT
#include "server/admission.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace websockets {
namespace {

using Ticket = Admission::Ticket;

PeerAddress peer(const std::string& text) { return *PeerAddress::parse(text); }

const AddressList kNoProxies;

TEST(AdmissionTest, ATicketTakesThePlaceOfAPointer) { EXPECT_LE(sizeof(Ticket), sizeof(void*)); }

TEST(AdmissionTest, CountsInAll) {
  Admission admission(2, 0, kNoProxies);
  Ticket first = admission.admit(peer("192.0.2.1"));
  const Ticket second = admission.admit(PeerAddress());
  EXPECT_TRUE(first);
  EXPECT_TRUE(second);
  EXPECT_EQ(admission.check(peer("192.0.2.1")), AdmissionVerdict::kTooMany);
  EXPECT_FALSE(admission.admit(peer("192.0.2.1")));
  EXPECT_EQ(admission.total(), 2U);
  first = {};
  EXPECT_EQ(admission.total(), 1U);
  EXPECT_TRUE(admission.admit(peer("192.0.2.1")));
}

TEST(AdmissionTest, CountsEachAddress) {
  Admission admission(0, 2, kNoProxies);
  std::vector<Ticket> tickets;
  for (const char* address : {"192.0.2.1", "192.0.2.2", "2001:db8::1"}) {
    for (int i = 0; i < 2; ++i) {
      tickets.push_back(admission.admit(peer(address)));
      EXPECT_TRUE(tickets.back());
    }
    EXPECT_FALSE(admission.admit(peer(address)));
    EXPECT_EQ(admission.check(peer(address)), AdmissionVerdict::kTooManyOfAddress);
  }
  EXPECT_EQ(admission.check(peer("2001:db8::2")), AdmissionVerdict::kTooManyOfAddress);
  tickets[2] = {};  // of 192.0.2.2
  EXPECT_EQ(admission.check(peer("192.0.2.1")), AdmissionVerdict::kTooManyOfAddress);
  tickets[2] = admission.admit(peer("192.0.2.2"));
  EXPECT_TRUE(tickets[2]);
  EXPECT_EQ(admission.check(peer("192.0.2.2")), AdmissionVerdict::kTooManyOfAddress);
  for (int i = 0; i < 10; ++i) {
    tickets.push_back(admission.admit(PeerAddress()));
    EXPECT_TRUE(tickets.back());
  }
  EXPECT_EQ(admission.total(), 16U);
}

TEST(AdmissionTest, AProxySpeaksForMany) {
  AddressList proxies;
  ASSERT_TRUE(proxies.add("192.0.2.1"));
  Admission admission(3, 1, proxies);
  const Ticket first = admission.admit(peer("192.0.2.1"));
  const Ticket second = admission.admit(peer("192.0.2.1"));
  const Ticket third = admission.admit(peer("192.0.2.2"));
  EXPECT_TRUE(first && second && third);
  EXPECT_EQ(admission.check(peer("192.0.2.1")), AdmissionVerdict::kTooMany);
}

TEST(AdmissionTest, ATicketLeavesOnceWhateverBecomesOfIt) {
  Admission admission(0, 1, kNoProxies);
  Ticket ticket = admission.admit(peer("192.0.2.1"));
  {
    Ticket moved = std::move(ticket);
    EXPECT_TRUE(moved);
    ticket = std::move(moved);
  }
  EXPECT_EQ(admission.total(), 1U);
  ticket = admission.admit(peer("192.0.2.2"));
  EXPECT_EQ(admission.total(), 1U);
  EXPECT_EQ(admission.check(peer("192.0.2.1")), AdmissionVerdict::kAdmitted);
  EXPECT_EQ(admission.check(peer("192.0.2.2")), AdmissionVerdict::kTooManyOfAddress);
}

TEST(AdmissionTest, TellsOnlySoManyAtATime) {
  Admission admission(1, 0, kNoProxies);
  std::vector<Ticket> told;
  while (Ticket ticket = admission.admit_refused()) told.push_back(std::move(ticket));
  EXPECT_EQ(told.size(), 64U);
  EXPECT_EQ(admission.total(), 0U);
  told.pop_back();
  const Ticket another = admission.admit_refused();
  EXPECT_TRUE(another);
  EXPECT_FALSE(admission.admit_refused());
}

}  // namespace
}  // namespace websockets
