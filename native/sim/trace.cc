#include "sim/trace.h"

#include <algorithm>

namespace netmesh::sim {
namespace {

double milliseconds_of(Duration duration) { return static_cast<double>(duration.count()) * 1e-6; }

}  // namespace

void Trace::line(Duration elapsed, const std::string& who, const std::string& what) {
  if (out_ == nullptr) return;
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(elapsed).count();
  std::fprintf(out_, "%10.3f ms  %-10s %s\n", static_cast<double>(micros) / 1000, who.c_str(),
               what.c_str());
}

void Trace::sample(PathSample sample) {
  if (keep_samples_) samples_.push_back(sample);
  if (!on()) return;
  auto last = std::find_if(latest_.begin(), latest_.end(),
                           [&](const PathSample& other) { return other.path == sample.path; });
  if (last == latest_.end()) last = latest_.insert(last, PathSample{-kLineInterval, sample.path});
  const bool same = last->window == sample.window && last->delivered == sample.delivered &&
                    last->lost == sample.lost && last->phase == sample.phase;
  if (same || sample.at - last->at < kLineInterval) return;
  char text[240];
  std::snprintf(text, sizeof text,
                "=  %-20s window %llu  in flight %llu  rtt %.1f ms  pacing %.2f Mbit/s  "
                "bandwidth %.2f Mbit/s  delivered %llu  lost %llu  noise %.1f %%",
                sample.phase, static_cast<unsigned long long>(sample.window),
                static_cast<unsigned long long>(sample.in_flight), milliseconds_of(sample.rtt),
                static_cast<double>(sample.pacing_rate) * 8e-6,
                static_cast<double>(sample.bandwidth) * 8e-6,
                static_cast<unsigned long long>(sample.delivered),
                static_cast<unsigned long long>(sample.lost), 100 * sample.ambient_loss);
  line(sample.at, sample.path, text);
  *last = std::move(sample);
}

}  // namespace netmesh::sim
