#include "linkem/options.h"

#include <gtest/gtest.h>

#include <vector>

namespace netmesh::linkem {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

Expected<Options> parse(std::vector<const char*> arguments) {
  return parse_options(static_cast<int>(arguments.size()), arguments.data());
}

std::string refusal(std::string_view condition) {
  Conditions conditions;
  const auto applied = apply_condition(conditions, condition);
  EXPECT_EQ(conditions, Conditions()) << condition;
  return applied ? "accepted" : applied.error().message;
}

TEST(Conditions, AreReadWithTheirUnits) {
  Conditions c;
  for (const char* text :
       {"loss=1%", "burst-start=0.002", "burst-end=20%", "burst-loss=0.5", "delay=20ms",
        "jitter=150us", "reorder=2%", "reorder-by=3ms", "duplicate=0.5%", "corrupt=5%",
        "corruption=wire", "rate=100mbit", "queue=256k", "mtu=1280", "oversize=icmp", "down=true"})
    ASSERT_TRUE(apply_condition(c, text)) << text;
  EXPECT_DOUBLE_EQ(c.loss, 0.01);
  EXPECT_DOUBLE_EQ(c.burst_start, 0.002);
  EXPECT_DOUBLE_EQ(c.burst_end, 0.2);
  EXPECT_DOUBLE_EQ(c.burst_loss, 0.5);
  EXPECT_EQ(c.delay, milliseconds(20));
  EXPECT_EQ(c.jitter, microseconds(150));
  EXPECT_DOUBLE_EQ(c.reorder, 0.02);
  EXPECT_EQ(c.reorder_by, milliseconds(3));
  EXPECT_DOUBLE_EQ(c.duplicate, 0.005);
  EXPECT_DOUBLE_EQ(c.corrupt, 0.05);
  EXPECT_EQ(c.corruption, CorruptionStyle::kWire);
  EXPECT_EQ(c.bits_per_second, 100'000'000u);
  EXPECT_EQ(c.queue_bytes, 256u * 1024);
  EXPECT_EQ(c.mtu, 1280u);
  EXPECT_EQ(c.oversize, OversizePolicy::kIcmp);
  EXPECT_TRUE(c.down);
}

TEST(Conditions, AreRefusedWithWhatIsAllowedAndNothingChanges) {
  for (const char* text : {"loss=101%", "loss=1.5", "loss=-1", "loss=", "loss", "loss=1ms",
                           "loss=nan", "loss=inf", "duplicate=x"})
    EXPECT_NE(refusal(text).find("takes a probability"), std::string::npos) << text;
  for (const char* text : {"delay=20", "delay=-1ms", "delay=2h", "delay=7200s", "jitter=1%"})
    EXPECT_NE(refusal(text).find("takes a time"), std::string::npos) << text;
  for (const char* text : {"rate=fast", "rate=1e30", "rate=10mb"})
    EXPECT_NE(refusal(text).find("takes a rate"), std::string::npos) << text;
  for (const char* text : {"mtu=67", "mtu=65536", "mtu=1280.5", "mtu=x"})
    EXPECT_NE(refusal(text).find("mtu takes 0 or"), std::string::npos) << text;
  EXPECT_NE(refusal("queue=2000m").find("takes bytes"), std::string::npos);
  EXPECT_NE(refusal("oversize=maybe").find("silent or icmp"), std::string::npos);
  EXPECT_NE(refusal("corruption=deep").find("payload or wire"), std::string::npos);
  EXPECT_NE(refusal("down=yes").find("true or false"), std::string::npos);
  EXPECT_NE(refusal("losss=1%").find("there is no condition \"losss\"; there are loss,"),
            std::string::npos);
}

TEST(Command, SetsOneDirectionOrBothAndKeepsTheRest) {
  BothConditions current;
  current[kAToB].loss = 0.5;
  const auto command = parse_command("set ba delay=5ms  loss=10%", current);
  ASSERT_TRUE(command);
  EXPECT_EQ(command->kind, Command::Kind::kSet);
  EXPECT_EQ(command->conditions[kAToB], current[kAToB]);
  EXPECT_EQ(command->conditions[kBToA].delay, milliseconds(5));
  const auto both = parse_command("set both rate=1mbit", current);
  ASSERT_TRUE(both);
  EXPECT_EQ(both->conditions[kAToB].loss, 0.5);
  EXPECT_EQ(both->conditions[kAToB].bits_per_second, 1'000'000u);
  EXPECT_EQ(both->conditions[kBToA].bits_per_second, 1'000'000u);
}

TEST(Command, IsRefusedWhole) {
  for (const char* line : {"set", "set ab", "set up loss=1%", "set both loss=1% delay=x", "go",
                           "stats now", "quit now"}) {
    EXPECT_FALSE(parse_command(line, {})) << line;
  }
  EXPECT_EQ(parse_command("stats", {})->kind, Command::Kind::kStats);
  EXPECT_EQ(parse_command(" quit\r", {})->kind, Command::Kind::kQuit);
  EXPECT_EQ(parse_command("", {})->kind, Command::Kind::kNothing);
}

TEST(CommandLine, NamesDevicesSeedAndConditions) {
  const auto options = parse({"--a", "left:tun0", "--b", "tun1", "--seed", "42", "--device-mtu",
                              "9000", "--set", "both delay=10ms", "--set", "ab loss=1%"});
  ASSERT_TRUE(options) << options.error().message;
  EXPECT_EQ(options->a.netns, "left");
  EXPECT_EQ(options->a.name, "tun0");
  EXPECT_EQ(options->b.netns, "");
  EXPECT_EQ(options->b.name, "tun1");
  EXPECT_EQ(options->seed, 42u);
  EXPECT_EQ(options->device_mtu, 9000u);
  EXPECT_EQ(options->conditions[kAToB].delay, milliseconds(10));
  EXPECT_EQ(options->conditions[kAToB].loss, 0.01);
  EXPECT_EQ(options->conditions[kBToA].loss, 0);
}

TEST(CommandLine, IsRefusedWithAReason) {
  EXPECT_FALSE(parse({}));
  EXPECT_FALSE(parse({"--a", "x"}));
  EXPECT_FALSE(parse({"--a", "x", "--b"}));
  EXPECT_FALSE(parse({"--a", "x", "--b", "y", "--speed", "1"}));
  EXPECT_FALSE(parse({"--a", "x", "--b", "y", "--seed", "-1"}));
  EXPECT_FALSE(parse({"--a", "x", "--b", "y", "--seed", "9007199254740992"}));
  EXPECT_FALSE(parse({"--a", "x", "--b", "y", "--device-mtu", "10"}));
  EXPECT_FALSE(parse({"--a", "x", "--b", "y", "--set", "ab loss=2"}));
  EXPECT_TRUE(parse({"--help"})->help);
}

}  // namespace
}  // namespace netmesh::linkem
