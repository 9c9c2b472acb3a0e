#include "base/block_cache.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdlib>
#include <mutex>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#define NETMESH_NO_BLOCK_CACHE 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define NETMESH_NO_BLOCK_CACHE 1
#endif
#endif

namespace netmesh {
namespace {

std::byte* allocate(std::size_t bytes) {
  auto* block = static_cast<std::byte*>(std::malloc(std::max<std::size_t>(bytes, 1)));
  if (block == nullptr) throw std::bad_alloc();
  return block;
}

#if !defined(NETMESH_NO_BLOCK_CACHE)

/// Free blocks of one size, linked through their first bytes.
class SizeClass {
 public:
  std::byte* pop() {
    const std::lock_guard lock(mutex_);
    Link* link = first_;
    if (link != nullptr) first_ = link->next;
    return reinterpret_cast<std::byte*>(link);
  }
  void push(std::byte* block) {
    const std::lock_guard lock(mutex_);
    first_ = new (block) Link{first_};
  }

 private:
  struct Link {
    Link* next;
  };
  std::mutex mutex_;
  Link* first_ = nullptr;
};

constexpr int kClasses =
    std::countr_zero(BlockCache::kLargest) - std::countr_zero(BlockCache::kSmallest) + 1;

// Trivially destructible on purpose: JavaScript's collector frees blocks while the process ends.
std::array<SizeClass, kClasses>& classes() {
  static auto* const all = new std::array<SizeClass, kClasses>;
  return *all;
}

std::atomic<std::size_t> cached{0};

SizeClass& class_of(std::size_t capacity) {
  return classes()[static_cast<std::size_t>(std::countr_zero(capacity) -
                                            std::countr_zero(BlockCache::kSmallest))];
}

bool is_cacheable(std::size_t capacity) {
  return std::has_single_bit(capacity) && capacity >= BlockCache::kSmallest &&
         capacity <= BlockCache::kLargest;
}

#endif

}  // namespace

#if defined(NETMESH_NO_BLOCK_CACHE)

std::byte* BlockCache::take(std::size_t& capacity) { return allocate(capacity); }
void BlockCache::give(std::byte* block, std::size_t) noexcept { std::free(block); }
std::size_t BlockCache::cached_bytes() { return 0; }

#else

std::byte* BlockCache::take(std::size_t& capacity) {
  // Rounding up from half a class wastes address space, not memory: pages unused are never touched.
  if (capacity <= kSmallest / 2 || capacity > kLargest) return allocate(capacity);
  capacity = std::bit_ceil(std::max(capacity, kSmallest));
  if (std::byte* block = class_of(capacity).pop()) {
    cached.fetch_sub(capacity, std::memory_order_relaxed);
    return block;
  }
  return allocate(capacity);
}

void BlockCache::give(std::byte* block, std::size_t capacity) noexcept {
  if (block == nullptr) return;
  if (is_cacheable(capacity)) {
    if (cached.fetch_add(capacity, std::memory_order_relaxed) + capacity <= kMaxCachedBytes) {
      class_of(capacity).push(block);
      return;
    }
    cached.fetch_sub(capacity, std::memory_order_relaxed);
  }
  std::free(block);
}

std::size_t BlockCache::cached_bytes() { return cached.load(std::memory_order_relaxed); }

#endif

}  // namespace netmesh
