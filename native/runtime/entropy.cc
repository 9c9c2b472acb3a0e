#include "runtime/entropy.h"

#include "crypto/secret.h"
#include "crypto/system_random.h"

namespace netmesh::runtime {

RandomSource& entropy() {
  static crypto::SystemRandom random = [] {
    crypto::initialize();
    return crypto::SystemRandom();
  }();
  return random;
}

}  // namespace netmesh::runtime
