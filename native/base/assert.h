#pragma once
// Invariants, checked in debug, sanitizer and simulator builds.

namespace netmesh::detail {
[[noreturn]] void assertion_failed(const char* expression, const char* file, int line);
}

#if defined(NETMESH_ASSERTS) || !defined(NDEBUG)
#define NM_ASSERT(expression) \
  ((expression) ? void(0) : ::netmesh::detail::assertion_failed(#expression, __FILE__, __LINE__))
#else
#define NM_ASSERT(expression) void(0)
#endif
