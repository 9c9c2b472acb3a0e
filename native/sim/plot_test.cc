#include "sim/plot.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "sim/scenario.h"

namespace netmesh::sim {
namespace {

std::size_t count_of(const std::string& text, const std::string& what) {
  std::size_t count = 0;
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++count;
  return count;
}

TEST(Plot, DrawsEveryPathThatCarriedData) {
  const Scenario* scenario = find_scenario("congestion-bbr-beside-tcp");
  ASSERT_NE(scenario, nullptr);
  Trace trace(nullptr, true);
  run_scenario(*scenario, 1, &trace);
  ASSERT_FALSE(trace.samples().empty());
  const std::string svg = render_plot("a <title>", trace.samples());
  EXPECT_TRUE(svg.starts_with("<svg xmlns="));
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
  EXPECT_NE(svg.find("a &lt;title&gt;"), std::string::npos);
  for (const char* text : {"left1 -&gt; right1", "TCP CUBIC 1", "time, s", "Mbit/s",
                           "congestion window", "bytes in flight", "round-trip time, ms"}) {
    EXPECT_NE(svg.find(text), std::string::npos) << text;
  }
  // Window, in flight, delivery and round trip of both paths; no path that only acknowledged.
  EXPECT_EQ(count_of(svg, "<polyline"), 8u);
  EXPECT_EQ(count_of(svg, "right1 -&gt; left1"), 0u);
  EXPECT_EQ(count_of(svg, "http"), 1u) << "nothing but the namespace: the file stands alone";
  EXPECT_LT(svg.size(), 1u << 20);
}

TEST(Plot, SurvivesARunWithoutTraffic) {
  const std::string svg = render_plot("nothing", {});
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
  EXPECT_EQ(svg.find("nan"), std::string::npos);
}

}  // namespace
}  // namespace netmesh::sim
