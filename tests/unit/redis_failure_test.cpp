// SPDX-License-Identifier: MIT
#include "cluster/redis_failure.h"

#include <gtest/gtest.h>

#include <string>

#include "failing_allocations.h"

namespace websockets {
namespace {

using Remedy = RedisFailure::Remedy;

TEST(RedisFailure, SaysWhatCanBeDoneAboutAnError) {
  for (const char* error : {"NOAUTH Authentication required.", "WRONGPASS invalid", "NOPERM User ann has no rights",
                            "DENIED Redis is running in protected mode", "MOVED 3999 127.0.0.1:6381", "ASK 1 a:1",
                            "CROSSSLOT Keys in request", "CLUSTERDOWN Hash slot not served"}) {
    EXPECT_EQ(remedy_for(error), Remedy::kHelp) << error;
    EXPECT_EQ(remedy_for_greeting(error), Remedy::kHelp) << error;
  }
  for (const char* error : {"READONLY You can't write", "MASTERDOWN Link with MASTER is down",
                            "ERR Error running script (call to f_1): @user_script:1: -READONLY You can't write"}) {
    EXPECT_EQ(remedy_for(error), Remedy::kRetry) << error;
  }
  EXPECT_EQ(remedy_for("LOADING Redis is loading the dataset in memory"), Remedy::kRetrySoon);
  for (const char* error : {"ERR no such key", "WRONGTYPE", "OOM command not allowed", "MISCONF Redis is configured",
                            "LOADINGX", "", "READONLYX You"}) {
    EXPECT_EQ(remedy_for(error), std::nullopt) << error;
  }
}

TEST(RedisFailure, AServerThatTakesNothingNowIsNotTheCommandsFault) {
  for (const char* const error : {"OOM command not allowed", "MISCONF Redis is configured to", "BUSY Redis is busy",
                                  "NOREPLICAS Not enough", "READONLY no", "NOPERM no",
                                  "ERR Error running script (call to f_1): @user_script:8: -OOM command not allowed"}) {
    EXPECT_TRUE(takes_nothing_now(error)) << error;
  }
  for (const char* const error : {"ERR no", "WRONGTYPE no", "", "OOMPH", "ERR key is -OOM", "ERR OOM no"}) {
    EXPECT_FALSE(takes_nothing_now(error)) << error;
  }
}

TEST(RedisFailure, AGreetingThatIsRefusedNeedsHelpUnlessItIsForAWhile) {
  EXPECT_EQ(remedy_for_greeting("ERR DB index is out of range"), Remedy::kHelp);
  EXPECT_EQ(remedy_for_greeting("ERR unknown command 'ROLE'"), Remedy::kHelp);
  EXPECT_EQ(remedy_for_greeting("ERR max number of clients reached"), Remedy::kRetry);
  EXPECT_EQ(remedy_for_greeting("BUSY Redis is busy running a script"), Remedy::kRetry);
  EXPECT_EQ(remedy_for_greeting("LOADING"), Remedy::kRetrySoon);
}

TEST(RedisFailure, QuotesNoPasswordAndNothingThatCannotBePrinted) {
  EXPECT_EQ(printable_redis_error("WRONGPASS no", "pw"), "WRONGPASS no");
  EXPECT_EQ(printable_redis_error("ERR unknown command 'AUTH', with args beginning with: 'pw' ", "pw"),
            "ERR unknown command 'AUTH'");
  EXPECT_EQ(printable_redis_error("ERR apwpw b", "pw"), "ERR a****** b");
  EXPECT_EQ(printable_redis_error("ERR **", "*"), "ERR ******");
  EXPECT_EQ(printable_redis_error("ERR a\n\x1B[0m", ""), "ERR a??[0m");
  EXPECT_EQ(printable_redis_error(std::string(10'000, 'x'), "").size(), 300U);
}

TEST(RedisFailure, ARoleIsAMastersOrSaysWhyNot) {
  RedisReply reply;
  const auto check = [&](const std::string& role) {
    reply.type = RedisReply::Type::kArray;
    reply.elements.assign(1, {});
    reply.elements[0].text = role;
    return check_role(reply, "there");
  };
  EXPECT_FALSE(check("master"));
  EXPECT_EQ(check("slave")->remedy, Remedy::kRetry);
  EXPECT_EQ(check("slave")->why, "there: it is a replica, and no master");
  EXPECT_EQ(check("sentinel")->remedy, Remedy::kHelp);
  EXPECT_EQ(check("other")->remedy, Remedy::kHelp);
  EXPECT_EQ(check_role({}, "there")->remedy, Remedy::kHelp);
}

TEST(RedisFailure, SaysSoWhenMemoryIsShort) {
  const std::string part(1000, 'x');
  EXPECT_EQ(redis_failure(Remedy::kHelp, {part, "y"}).why, part + "y");
  const FailingAllocation failure(1);
  const RedisFailure made = redis_failure(Remedy::kHelp, {part, "y"});
  EXPECT_TRUE(failure.has_failed());
  EXPECT_EQ(made.why, "memory is short");
  EXPECT_EQ(made.remedy, Remedy::kHelp);
}

TEST(RedisFailure, OneOfADialIsForGoodIfAnotherWouldFailInTheSameWay) {
  Failure failure;
  failure.message = "no";
  EXPECT_EQ(redis_failure(failure).remedy, Remedy::kRetry);
  failure.is_final = true;
  EXPECT_EQ(redis_failure(failure).remedy, Remedy::kHelp);
  EXPECT_EQ(redis_failure(failure).why, "no");
}

}  // namespace
}  // namespace websockets
