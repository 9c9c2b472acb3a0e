#pragma once
// Which congestion controller a session uses.

#include <cstdint>
#include <optional>
#include <string_view>

namespace netmesh::session {

enum class CongestionAlgorithm : std::uint8_t {
  kCubic,  ///< RFC 9438: fills the queue until something is lost
  kBbr,    ///< models the bottleneck and keeps its queue short
};

constexpr std::string_view name_of(CongestionAlgorithm algorithm) {
  return algorithm == CongestionAlgorithm::kCubic ? "cubic" : "bbr";
}

constexpr std::optional<CongestionAlgorithm> congestion_algorithm_of(std::string_view name) {
  if (name == "cubic") return CongestionAlgorithm::kCubic;
  if (name == "bbr") return CongestionAlgorithm::kBbr;
  return std::nullopt;
}

}  // namespace netmesh::session
