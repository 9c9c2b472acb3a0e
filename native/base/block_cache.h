#pragma once
// Recently freed blocks, kept to be used again.

#include <cstddef>

namespace netmesh {

/// Blocks of 4 to 256 KiB that one thread fills and another frees, a hundred thousand times per
/// second. The system's allocator hands such blocks back to the kernel and faults their pages in
/// anew, which costs more than filling them. Process-wide, any thread, at most `kMaxCachedBytes`;
/// blocks of other sizes go to the system directly, as do all under AddressSanitizer, which wants
/// to see every free.
class BlockCache {
 public:
  static constexpr std::size_t kSmallest = 4 * 1024;
  static constexpr std::size_t kLargest = 256 * 1024;
  static constexpr std::size_t kMaxCachedBytes = 16 * 1024 * 1024;

  /// Uninitialised memory of at least `capacity` bytes; `capacity` becomes its real size, which
  /// `give` needs. Throws std::bad_alloc.
  static std::byte* take(std::size_t& capacity);
  /// Null is nothing.
  static void give(std::byte* block, std::size_t capacity) noexcept;
  /// Bytes that wait to be used again.
  static std::size_t cached_bytes();
};

}  // namespace netmesh
