#include "wire/modern_packet.h"

#include "wire/wire_testing.h"

namespace netmesh::wire {
namespace {

using testing::concat;
using testing::for_each_cut;
using testing::for_each_seed;
using testing::hex;
using testing::Random;

TEST(ModernHeader, EveryFieldHasItsOffset) {
  ModernHeader header;
  header.key_phase = true;
  header.session_id = SessionId{0x0b0a090807060504};
  header.packet_number = PacketNumber{0x131211100f0e0d0c};
  Bytes out(kModernHeaderBytes);
  write_modern_header(header, out.data());
  EXPECT_EQ(to_hex(out), "454e02010405060708090a0b0c0d0e0f10111213");
}

TEST(ModernHeader, NeedsHeaderAndTag) {
  const Bytes smallest = concat({hex("454e0200 0405060708090a0b 0c0d0e0f10111213"), Bytes(16)});
  EXPECT_TRUE(parse_modern_header(smallest));
  for_each_cut(smallest, [](ByteSpan cut) { EXPECT_FALSE(parse_modern_header(cut)); });
  for (std::size_t at = 0; at < 3; ++at) {
    Bytes other = smallest;
    other[at] ^= std::byte{0x80};
    EXPECT_FALSE(parse_modern_header(other));
  }
}

TEST(ModernHeader, UnknownFlagsAreIgnored) {
  Bytes packet = concat({hex("454e02fe 0405060708090a0b 0c0d0e0f10111213"), Bytes(16)});
  EXPECT_FALSE(parse_modern_header(packet)->key_phase);
  packet[3] = std::byte{0xFF};
  EXPECT_TRUE(parse_modern_header(packet)->key_phase);
}

TEST(ModernHeader, RoundTrips) {
  for_each_seed([](Random& random) {
    Bytes packet(kModernOverheadBytes + random.below(64));
    const ModernHeader header{random.flip(), SessionId{random.u64()}, PacketNumber{random.u64()}};
    write_modern_header(header, packet.data());
    const auto parsed = parse_modern_header(packet);
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->key_phase, header.key_phase);
    EXPECT_EQ(parsed->session_id, header.session_id);
    EXPECT_EQ(parsed->packet_number, header.packet_number);
  });
}

}  // namespace
}  // namespace netmesh::wire
