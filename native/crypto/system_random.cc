#include "crypto/system_random.h"

#include <sodium.h>

#include "crypto/secret.h"

namespace netmesh::crypto {

void SystemRandom::fill(MutableByteSpan out) {
  initialize();
  if (!out.empty()) randombytes_buf(out.data(), out.size());
}

}  // namespace netmesh::crypto
