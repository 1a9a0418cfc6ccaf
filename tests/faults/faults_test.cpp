// SPDX-License-Identifier: MIT
// Each scenario over and over again: each time another call fails, until none is left to fail. Nothing crashes or
// leaks; no callback is called twice; a client gets whole messages, in order, or the connection ends, and nobody is
// kept waiting; what may happen at any time, like a signal or a full kernel, changes nothing at all.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "scenarios.h"

namespace websockets::faults {
namespace {

// What begins with '?' comes as often as it likes: events, and texts.
bool is_exact(const std::string& event) { return !event.starts_with('?') && !event.starts_with("text:?"); }

// Among what a client has sent itself it may come at any time.
bool comes_from_others(const std::string& event) { return event == "text:published" || event == "text:broadcast"; }

// Whole messages, in order; some may be missing: what others would have sent.
void expect_some(const Outcome& outcome, const Outcome& all) {
  EXPECT_EQ(outcome.error, ProtocolError::kNone);
  for (const bool of_others : {false, true}) {
    auto next = all.events.begin();
    for (const std::string& event : outcome.events) {
      if (event.starts_with("close ") || is_refusal(event) || !is_exact(event)) continue;
      if (comes_from_others(event) != of_others) continue;
      next = std::find(next, all.events.end(), event);
      ASSERT_NE(next, all.events.end()) << event << " of " << testing::PrintToString(outcome.events);
      ++next;
    }
  }
}

// Whatever has failed.
void expect_less(const Result& result, const Result& all) {
  EXPECT_EQ(result.left, "");
  for (const int client : result.waiting) ADD_FAILURE() << "client " << client << " waits";
  for (std::size_t i = 0; i < result.clients.size(); ++i) expect_some(result.clients[i], all.clients[i]);
  for (const auto& [note, count] : result.notes) {
    EXPECT_TRUE(note == "error" || !is_exact(note) || (all.notes.contains(note) && count <= all.notes.at(note)))
        << note;
  }
}

// Without what varies.
Result exact(Result result) {
  std::erase_if(result.notes, [](const auto& note) { return !is_exact(note.first); });
  for (Outcome& client : result.clients) {
    std::erase_if(client.events, [](const std::string& event) { return !is_exact(event); });
  }
  return result;
}

void expect_same(const Result& result, const Result& all) {
  expect_less(result, all);
  EXPECT_EQ(result.errors, all.errors);
  EXPECT_EQ(exact(result).notes, exact(all).notes);
  EXPECT_EQ(exact(result).clients, exact(all).clients);
}

class FaultsTest : public testing::TestWithParam<const Scenario*> {
 protected:
  // What is made once and stays is there after the first time.
  FaultsTest() : all_((Play::run(*GetParam()), Play::run(*GetParam()))) {}

  // Fails the call of this number, if there is one, and gives the result to `check`. Returns whether there was.
  template <typename Check>
  bool fail_call(Kind kind, long number, int error, Check check) {
    injector.arm(kind, number, error);
    Result result = Play::run(*GetParam());
    const bool was_made = injector.disarm();
    SCOPED_TRACE("error " + std::to_string(error) + " at call " + std::to_string(number));
    check(result);
    ++tries_;
    return was_made;
  }

  // Until there is no call left to fail. Returns how many there were.
  template <typename Check>
  long fail_each(Kind kind, int error, Check check) {
    long number = 1;
    while (fail_call(kind, number, error, check) && !HasFailure()) ++number;
    return number - 1;
  }

  // Only the first of those that are made by the same way.
  template <typename Check>
  void fail_one_of_each_way(Kind kind, Check check) {
    injector.record(kind);
    static_cast<void>(Play::run(*GetParam()));
    for (const long number : injector.recorded()) {
      fail_call(kind, number, 0, check);
      if (HasFailure()) return;
    }
  }

  void TearDown() override { RecordProperty("tries", std::to_string(tries_)); }

  // Only what could not be opened is an error.
  void fail_each_call(Kind kind, std::initializer_list<int> errors) {
    for (const int error : errors) {
      fail_each(kind, error, [&](Result& result) {
        expect_less(result, all_);
        if (all_.notes.contains("closed")) {
          EXPECT_EQ(result.notes["open"], result.notes["closed"]);
        }
        EXPECT_TRUE(result.errors.empty() || result.notes["open"] == 0) << result.errors.front();
      });
    }
  }

  void fail_each_allocation(Kind kind) {
    const auto check = [&](Result& result) {
      expect_less(result, all_);
      for (const std::string& error : result.errors) {
        EXPECT_NE(error.find("memory"), std::string::npos) << error;
      }
      // One that could not be called is reported.
      if (!all_.notes.contains("closed")) return;
      EXPECT_GE(result.notes["closed"] + result.notes["error"] + result.notes["?error"], result.notes["open"]);
    };
    if (GetParam()->is_long && std::getenv("EVERY_FAULT") == nullptr) {
      fail_one_of_each_way(kind, check);
    } else {
      fail_each(kind, 0, check);
    }
  }

  Result all_;
  long tries_ = 0;
};

TEST_P(FaultsTest, NothingFails) {
  EXPECT_TRUE(all_.errors.empty()) << all_.errors.front();
  EXPECT_TRUE(all_.lacking.empty());
  EXPECT_EQ(exact(all_).notes, GetParam()->notes);
  EXPECT_EQ(all_.left, "");
}

TEST_P(FaultsTest, WhatHappensAtAnyTimeChangesNothing) {
  for (const int error : {EAGAIN, EINTR, 0}) {
    // What cannot be sent at the very end is lost.
    const bool loses = error == EAGAIN && GetParam()->only == "stop";
    const long count = fail_each(Kind::kInputOutput, error, [&](const Result& result) {
      loses ? expect_less(result, all_) : expect_same(result, all_);
    });
    EXPECT_TRUE(count > 5 || !GetParam()->only.empty()) << count;
  }
}

TEST_P(FaultsTest, NoInputAndOutput) {
  if (!GetParam()->only.empty()) return fail_each_call(Kind::kInputOutput, {EPIPE});
  fail_each_call(Kind::kInputOutput, {ECONNRESET, EPIPE, ENOBUFS, EMFILE, EIO});
}

TEST_P(FaultsTest, NotToBeWatched) { fail_each_call(Kind::kWatch, {ENOMEM, ENOSPC}); }

TEST_P(FaultsTest, NotToBeMade) { fail_each_call(Kind::kOpen, {EMFILE, ENOMEM}); }

TEST_P(FaultsTest, MemoryIsShort) { fail_each_allocation(Kind::kAllocation); }

TEST_P(FaultsTest, LibrariesAreShortOfMemory) { fail_each_allocation(Kind::kLibraryAllocation); }

INSTANTIATE_TEST_SUITE_P(, FaultsTest,
                         testing::Values(&kMessages, &kByPoll, &kByIoUring, &kOuterLoop, &kOneDescriptor, &kTls,
                                         &kPings, &kDeflate, &kDeflateTakeover, &kFiles, &kFork, &kNames, &kCrowd,
                                         &kCrowdInBatches, &kFullAtTheEnd, &kRun, &kRunByPoll, &kRunInOuterLoop,
                                         &kSignals, &kCertificates, &kReload, &kHandshake, &kOldHandshake),
                         [](const auto& info) { return std::string(info.param->name); });

}  // namespace
}  // namespace websockets::faults
