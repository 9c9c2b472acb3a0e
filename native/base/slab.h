#pragma once
// A heap block of raw bytes with one owner, moved between threads.

#include <utility>

#include "base/block_cache.h"
#include "base/bytes.h"

namespace netmesh {

/// Uninitialised bytes; `size` of `capacity` are in use. Move-only.
class Slab {
 public:
  Slab() = default;
  /// At least `capacity` bytes.
  explicit Slab(std::size_t capacity) : capacity_(capacity) { data_ = BlockCache::take(capacity_); }
  Slab(Slab&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        capacity_(std::exchange(other.capacity_, 0)) {}
  Slab& operator=(Slab&& other) noexcept {
    if (this != &other) {
      BlockCache::give(data_, capacity_);
      data_ = std::exchange(other.data_, nullptr);
      size_ = std::exchange(other.size_, 0);
      capacity_ = std::exchange(other.capacity_, 0);
    }
    return *this;
  }
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;
  ~Slab() { BlockCache::give(data_, capacity_); }

  /// Hands the block to someone who will give it to `BlockCache::give` with this slab's capacity.
  std::byte* release() {
    size_ = capacity_ = 0;
    return std::exchange(data_, nullptr);
  }

  std::byte* data() { return data_; }
  const std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }
  std::size_t capacity() const { return capacity_; }
  std::size_t room() const { return capacity_ - size_; }
  ByteSpan bytes() const { return {data_, size_}; }

  /// Nothing is in use any more; the block stays.
  void clear() { size_ = 0; }

  /// The next `count` bytes, now in use; the caller has checked `room()`.
  std::byte* extend(std::size_t count) {
    std::byte* at = data_ + size_;
    size_ += count;
    return at;
  }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace netmesh
