#include "wire/window_grant.h"

#include "wire/wire_testing.h"

namespace netmesh::wire {
namespace {

using testing::concat;
using testing::for_each_cut;
using testing::for_each_seed;
using testing::hex;
using testing::Random;

Bytes written(const WindowGrant& grant) {
  Bytes out(kWindowGrantBytes);
  write_window_grant(grant, out);
  return out;
}

TEST(WindowGrant, TheExampleOfSpec10) {
  const Bytes message = hex("0700000000000000 5900000000000000");
  const WindowGrant grant{StreamId{7}, 89};
  EXPECT_EQ(to_hex(written(grant)), to_hex(message));
  EXPECT_EQ(parse_window_grant(message), grant);
}

TEST(WindowGrant, IsExactlySixteenBytes) {
  const Bytes message = hex("0700000000000000 5900000000000000");
  for_each_cut(message, [](ByteSpan cut) { EXPECT_FALSE(parse_window_grant(cut)); });
  EXPECT_FALSE(parse_window_grant(concat({message, hex("00")})));
  // The form of later releases.
  EXPECT_FALSE(parse_window_grant(concat({message, Bytes(8)})));
}

TEST(WindowGrant, RoundTrips) {
  for_each_seed([](Random& random) {
    const WindowGrant grant{StreamId{random.u64()}, random.u64()};
    EXPECT_EQ(parse_window_grant(written(grant)), grant);
    const Bytes raw = random.bytes(kWindowGrantBytes);
    EXPECT_EQ(written(parse_window_grant(raw).value()), raw);
  });
}

}  // namespace
}  // namespace netmesh::wire
