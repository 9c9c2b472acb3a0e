#include "channel/name.h"

#include <gtest/gtest.h>

#include "channel/channel_testing.h"

namespace netmesh::channel {
namespace {

using testing::name_of;

TEST(ChannelName, HasTheDocumentedHashesAndStream) {
  const std::tuple<const char*, std::uint64_t, std::uint16_t, std::uint64_t> cases[] = {
      {"sensors/temp", 0xe477434ef307172d, 0x172d, 0xe477434ef307172d},
      {"lab/x", 0x6d5b83d90de02ee8, 0x2ee8, 0x6d5b83d90de02ee8},
      {"lab/open", 0x57d14d5a8457b61f, 0xb61f, 0x57d14d5a8457b61f},
      {"events/inference", 0x5c188de0f70642e9, 0x42e9, 0x5c198de0f70642e9},
      {"sensors/lidar", 0xec20e8ac7fa5e5d8, 0xe5d8, 0xec21e8ac7fa5e5d8},
      {"sensors/lidar/front", 0x9e966e6550443f32, 0x3f32, 0x9e976e6550443f32},
  };
  for (const auto& [text, hash, wire, stream] : cases) {
    const ChannelName name = name_of(text);
    EXPECT_EQ(name.hash().value, hash) << text;
    EXPECT_EQ(wire_hash(name.hash()), wire) << text;
    EXPECT_EQ(name.stream().value, stream) << text;
  }
}

TEST(ChannelName, IsRefusedWithTheDocumentedTextBehindAPrefix) {
  const auto refused = ChannelName::parse("a/Foo");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kChannel);
  EXPECT_EQ(refused.error().message,
            "channel: invalid name: invalid channel name format: uppercase character 'F' not "
            "allowed — channel names are lowercase only");
}

TEST(ChannelName, KnowsItsPlaceInTheHierarchy) {
  EXPECT_EQ(name_of("a").depth(), 1u);
  EXPECT_EQ(name_of("a/b/c").depth(), 3u);
  EXPECT_TRUE(name_of("a/b").is_within(name_of("a/b")));
  EXPECT_TRUE(name_of("a/b/c").is_within(name_of("a/b")));
  EXPECT_FALSE(name_of("a/bc").is_within(name_of("a/b")));
  EXPECT_FALSE(name_of("a").is_within(name_of("a/b")));
}

}  // namespace
}  // namespace netmesh::channel
