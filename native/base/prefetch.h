#pragma once
// Asking for memory before it is written.

#include <cstddef>
#include <cstdint>

namespace netmesh {

/// Whoever fills a large block from its begin to its end writes to lines that are in no cache yet:
/// asks for what lies a page ahead of `[to, to + bytes)`, so that the copy does not wait for it.
/// Nothing need be there.
inline void prefetch_ahead(const std::byte* to, std::size_t bytes) {
  constexpr std::size_t kAhead = 4096;
  constexpr std::size_t kLine = 64;
  if (bytes > kAhead) return;  // the processor sees by itself where this goes
  const auto begin = reinterpret_cast<std::uintptr_t>(to) + kAhead;
  for (std::uintptr_t line = begin / kLine * kLine; line < begin + bytes; line += kLine)
    __builtin_prefetch(reinterpret_cast<const void*>(line), 1);
}

}  // namespace netmesh
