#include "session/congestion_controller.h"

#include "session/cubic.h"

namespace netmesh::session {

std::unique_ptr<CongestionController> make_congestion_controller(CongestionAlgorithm,
                                                                 std::size_t datagram_bytes,
                                                                 std::uint64_t) {
  return std::make_unique<Cubic>(datagram_bytes);
}

}  // namespace netmesh::session
