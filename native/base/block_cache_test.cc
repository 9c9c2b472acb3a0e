#include "base/block_cache.h"

#include <gtest/gtest.h>

#include <cstring>
#include <thread>
#include <vector>

#include "base/slab.h"

namespace netmesh {
namespace {

TEST(BlockCache, gives_blocks_of_at_least_the_size_asked_for) {
  for (std::size_t wanted : {0, 1, 2048, 2049, 4096, 5000, 65'536, 65'537, 262'144, 262'145}) {
    std::size_t capacity = wanted;
    std::byte* block = BlockCache::take(capacity);
    ASSERT_GE(capacity, wanted);
    std::memset(block, 0xAB, capacity);
    BlockCache::give(block, capacity);
  }
}

TEST(BlockCache, never_keeps_more_than_its_bound) {
  std::vector<Slab> slabs;
  for (int i = 0; i < 400; ++i) slabs.emplace_back(64 * 1024);
  slabs.clear();
  EXPECT_LE(BlockCache::cached_bytes(), BlockCache::kMaxCachedBytes);
}

TEST(BlockCache, blocks_freed_by_one_thread_serve_another) {
  const auto work = [](unsigned seed) {
    std::vector<Slab> held;
    for (unsigned i = 0; i < 20'000; ++i) {
      seed = seed * 1'664'525 + 1'013'904'223;
      Slab slab((seed >> 8) % 70'000);
      const std::byte mark{static_cast<unsigned char>(seed)};
      if (slab.capacity() > 0) slab.data()[0] = mark;
      if (slab.capacity() > 0) slab.data()[slab.capacity() - 1] = mark;
      held.push_back(std::move(slab));
      if (held.size() > 16) held.erase(held.begin() + seed % 16);
    }
  };
  std::thread other(work, 1);
  work(2);
  other.join();
  EXPECT_LE(BlockCache::cached_bytes(), BlockCache::kMaxCachedBytes);
}

}  // namespace
}  // namespace netmesh
