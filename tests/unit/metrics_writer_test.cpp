// SPDX-License-Identifier: MIT
#include "server/metrics_writer.h"

#include <gtest/gtest.h>

namespace websockets {
namespace {

TEST(MetricsWriterTest, WritesTheFormatOfPrometheus) {
  MetricsWriter writer;
  writer.begin("topics", "gauge", "Topics.");
  writer.value(3);
  writer.begin("closed_total", "counter", "Closed.");
  writer.value("code", "1000", std::uint64_t{2});
  writer.value("code", "other", "0.5");
  EXPECT_EQ(writer.take(),
            "# HELP lua_websockets_topics Topics.\n# TYPE lua_websockets_topics gauge\nlua_websockets_topics 3\n"
            "# HELP lua_websockets_closed_total Closed.\n# TYPE lua_websockets_closed_total counter\n"
            "lua_websockets_closed_total{code=\"1000\"} 2\nlua_websockets_closed_total{code=\"other\"} 0.5\n");
}

}  // namespace
}  // namespace websockets
