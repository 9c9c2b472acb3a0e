#include "base/assert.h"

#include <cstdio>
#include <cstdlib>

namespace netmesh::detail {

void assertion_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: invariant violated: %s\n", file, line, expression);
  std::fflush(stderr);
  std::abort();
}

}  // namespace netmesh::detail
