#include "crypto/secret.h"

#include <gtest/gtest.h>

#include <new>
#include <set>
#include <thread>
#include <vector>

#include "crypto/crypto_testing.h"
#include "crypto/system_random.h"

namespace netmesh::crypto {
namespace {

using testing::repeated;

TEST(SecretKey, IsZeroAfterBeingMovedFrom) {
  SecretKey source(repeated(0x42));
  const SecretKey target(std::move(source));
  EXPECT_EQ(to_hex(target.bytes()), to_hex(repeated(0x42)));
  EXPECT_EQ(to_hex(source.bytes()),
            to_hex(Key{}));  // NOLINT(bugprone-use-after-move): that is the promise

  SecretKey assigned(repeated(0x11));
  SecretKey other(repeated(0x22));
  assigned = std::move(other);
  EXPECT_EQ(to_hex(assigned.bytes()), to_hex(repeated(0x22)));
  EXPECT_EQ(to_hex(other.bytes()), to_hex(Key{}));  // NOLINT(bugprone-use-after-move)
}

TEST(SecretKey, SurvivesBeingAssignedToItself) {
  SecretKey key(repeated(0x42));
  SecretKey& same = key;
  key = std::move(same);
  EXPECT_EQ(to_hex(key.bytes()), to_hex(repeated(0x42)));
}

TEST(SecretKey, IsWipedFromMemoryWhenItGoes) {
  alignas(SecretKey) std::array<std::byte, sizeof(SecretKey)> memory;
  auto* key = new (memory.data()) SecretKey(repeated(0x42));
  key->~SecretKey();
  EXPECT_EQ(to_hex(memory), to_hex(Key{}));
}

TEST(SecretKey, CloneIsIndependent) {
  SecretKey key(repeated(0x42));
  const SecretKey copy = key.clone();
  wipe(key.mutable_bytes());
  EXPECT_EQ(to_hex(copy.bytes()), to_hex(repeated(0x42)));
}

TEST(ConstantTimeEquality, ComparesContentAndLength) {
  const Key key = repeated(1);
  Key other = key;
  EXPECT_TRUE(equal_constant_time(key, other));
  other[31] = std::byte{2};
  EXPECT_FALSE(equal_constant_time(key, other));
  EXPECT_FALSE(equal_constant_time(key, ByteSpan(key).first(31)));
  EXPECT_TRUE(equal_constant_time({}, {}));
}

TEST(Wipe, AcceptsNothing) { wipe({}); }

TEST(Initialize, MayBeCalledFromManyThreads) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back([] { initialize(); });
  for (std::thread& thread : threads) thread.join();
}

TEST(SystemRandom, DoesNotRepeatItself) {
  SystemRandom random;
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(random.u64());
  EXPECT_EQ(seen.size(), 1000u);
  random.fill({});
}

}  // namespace
}  // namespace netmesh::crypto
