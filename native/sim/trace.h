#pragma once
// What is recorded of a run: a readable timeline, and samples of every path for a plot.

#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "base/time.h"

namespace netmesh::sim {

/// How one sender saw its path at one instant.
struct PathSample {
  Duration at{};     ///< since the simulation began
  std::string path;  ///< "from -> to"
  const char* phase = "";
  std::uint64_t window = 0, in_flight = 0;  ///< bytes
  std::uint64_t delivered = 0;              ///< bytes acknowledged so far
  std::uint64_t lost = 0;                   ///< packets so far
  std::uint64_t pacing_rate = 0;            ///< bytes per second; 0: not paced
  Duration rtt{};                           ///< smoothed
  std::uint64_t bandwidth = 0;              ///< bytes per second, estimated; 0: no estimate
  double ambient_loss = 0;                  ///< share that is lost whatever the rate
};

/// Writes one line per happening; silent unless given a file. Owned by whoever starts a scenario.
class Trace {
 public:
  /// How often paths are sampled, and written into the timeline when they have changed.
  static constexpr Duration kSampleInterval = std::chrono::milliseconds(20);
  static constexpr Duration kLineInterval = std::chrono::milliseconds(100);

  Trace() = default;
  /// `keep_samples`: for a plot.
  explicit Trace(std::FILE* out, bool keep_samples = false)
      : out_(out), keep_samples_(keep_samples) {}

  bool on() const { return out_ != nullptr; }
  bool sampling() const { return on() || keep_samples_; }
  /// `elapsed`: since the simulation began.
  void line(Duration elapsed, const std::string& who, const std::string& what);
  void sample(PathSample sample);
  const std::vector<PathSample>& samples() const { return samples_; }

 private:
  std::FILE* out_ = nullptr;
  bool keep_samples_ = false;
  std::vector<PathSample> samples_;
  std::vector<PathSample> latest_;  ///< per path, as last written
};

}  // namespace netmesh::sim
