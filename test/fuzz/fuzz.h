#pragma once
// What every fuzz target needs: the input as bytes, and a check that ends the run when it fails.

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "base/bytes.h"

#define FUZZ_CHECK(expression)                                                             \
  do {                                                                                     \
    if (!(expression)) {                                                                   \
      std::fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #expression); \
      std::abort();                                                                        \
    }                                                                                      \
  } while (false)

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace netmesh::fuzz {

inline ByteSpan input_bytes(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const std::byte*>(data), size};
}

inline bool equal(ByteSpan a, ByteSpan b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

}  // namespace netmesh::fuzz
