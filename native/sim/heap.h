#pragma once
// How much memory is in use, for scenarios that claim that it does not grow.

#include <malloc.h>

#include <cstddef>

namespace netmesh::sim {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kHeapIsMeasurable = false;
#else
inline constexpr bool kHeapIsMeasurable = true;
#endif

inline std::size_t heap_in_use() { return mallinfo2().uordblks; }

}  // namespace netmesh::sim
