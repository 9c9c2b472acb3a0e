#include "session/congestion_controller.h"

#include "session/bbr.h"
#include "session/cubic.h"

namespace netmesh::session {

std::unique_ptr<CongestionController> make_congestion_controller(CongestionAlgorithm algorithm,
                                                                 std::size_t datagram_bytes,
                                                                 std::uint64_t random_seed) {
  switch (algorithm) {
    case CongestionAlgorithm::kCubic:
      return std::make_unique<Cubic>(datagram_bytes);
    case CongestionAlgorithm::kBbr:
      break;
  }
  return std::make_unique<Bbr>(datagram_bytes, random_seed);
}

}  // namespace netmesh::session
