// Sessions at a bottleneck: what they get, what they leave to others, what they do to its queue.

#include <array>

#include "session/congestion_controller.h"
#include "sim/bulk.h"
#include "sim/traffic.h"

namespace netmesh::sim {
namespace {

using session::CongestionAlgorithm;

/// A run simulates tens of thousands of packets: enough seeds to see luck, few enough for a test.
constexpr std::uint64_t kSeeds = 6;

std::string percent(double share) { return std::to_string(static_cast<int>(100 * share)) + " %"; }

std::string name(CongestionAlgorithm algorithm) { return std::string(session::name_of(algorithm)); }

/// 4 to 20 Mbit/s, 20 to 80 ms, and a queue of `least_bdp` to `most_bdp`.
DumbbellConfig draw_path(SimRandom& random, double least_bdp, double most_bdp) {
  DumbbellConfig config;
  config.bytes_per_second = random.between(500'000, 2'500'000);
  config.round_trip = random.duration(milliseconds(20), milliseconds(80));
  const double bdp = static_cast<double>(config.bytes_per_second) *
                     static_cast<double>(config.round_trip.count()) * 1e-9;
  config.queue_bytes =
      static_cast<std::uint64_t>((least_bdp + (most_bdp - least_bdp) * random.unit()) * bdp);
  return config;
}

void describe(World& world, const DumbbellConfig& path) {
  world.network.note("path", std::to_string(path.bytes_per_second / 125) + " kbit/s, " +
                                 std::to_string(path.round_trip / milliseconds(1)) + " ms, queue " +
                                 std::to_string(path.queue_bytes) + " bytes, loss " +
                                 std::to_string(path.loss));
}

void expect_at_least(World& world, double value, double least, const std::string& what) {
  world.expect(value >= least, what + " is " + percent(value) + ", not " + percent(least));
}

template <CongestionAlgorithm kAlgorithm>
void two_alike(World& world, SimRandom& random) {
  const DumbbellConfig path = draw_path(random, 0.5, 4);
  describe(world, path);
  Dumbbell dumbbell(world, path);
  dumbbell.add_netmesh(kAlgorithm);
  dumbbell.run(random.duration(Duration(0), seconds(5)), Duration(1));
  dumbbell.add_netmesh(kAlgorithm);  // comes when the line is full
  // Clocks that tick alike would let the same one lose whenever the queue overflows.
  for (std::size_t flow = 0; flow < 2; ++flow) dumbbell.sender(flow).timer_slack = milliseconds(1);
  // CUBIC flows approach each other over several losses, which a long queue makes rare.
  const DumbbellResult result = dumbbell.run(seconds(30), seconds(90));
  expect_at_least(world, result.jain, 0.9, "Jain's index");
  expect_at_least(world, result.utilisation, 0.85, "utilisation");
}

template <CongestionAlgorithm kAlgorithm>
void beside_tcp(World& world, SimRandom& random) {
  const DumbbellConfig path = draw_path(random, 1, 4);
  describe(world, path);
  Dumbbell dumbbell(world, path);
  dumbbell.add_tcp();
  dumbbell.run(random.duration(Duration(0), seconds(5)), Duration(1));
  dumbbell.add_netmesh(kAlgorithm);
  const DumbbellResult result = dumbbell.run(seconds(20), seconds(90));
  expect_at_least(world, result.shares[0], 0.3, "the share of " + name(kAlgorithm));
  expect_at_least(world, result.shares[1], 0.3, "the share of TCP");
  expect_at_least(world, result.utilisation, 0.85, "utilisation");
}

void random_loss(World& world, SimRandom& random) {
  struct Level {
    double loss, bbr, cubic;
  };
  // CUBIC takes every loss for congestion: it gets through, no more.
  constexpr std::array levels{Level{0, 0.85, 0.85}, Level{0.01, 0.65, 0.12}, Level{0.05, 0.5, 0.04},
                              Level{0.2, 0.45, 0.012}, Level{0.4, 0.2, 0.004}};
  const Level level = levels[random.below(levels.size())];
  const auto algorithm =
      random.chance(0.7) ? CongestionAlgorithm::kBbr : CongestionAlgorithm::kCubic;
  DumbbellConfig path;
  path.loss = level.loss;
  path.ack_loss = random.chance(0.5) ? level.loss : 0;
  describe(world, path);
  Dumbbell dumbbell(world, path);
  dumbbell.add_netmesh(algorithm);
  const DumbbellResult result = dumbbell.run(seconds(15), seconds(30));
  expect_at_least(world, result.utilisation,
                  algorithm == CongestionAlgorithm::kBbr ? level.bbr : level.cubic,
                  "utilisation by " + name(algorithm) + " at " + percent(level.loss) + " loss");
}

/// The line of a benchmark with real kernels (P12): what is lost on it has used it. Measured from
/// the first seconds on.
void noisy_line(World& world, SimRandom& random) {
  struct Level {
    double loss, utilisation;
  };
  constexpr std::array levels{Level{0.01, 0.88}, Level{0.05, 0.82}, Level{0.2, 0.66}};
  const Level level = levels[random.below(levels.size())];
  DumbbellConfig path;
  path.bytes_per_second = 12'500'000;
  path.round_trip = milliseconds(20);
  path.queue_bytes = 256 * 1'024;
  path.loss_behind = path.ack_loss = level.loss;
  describe(world, path);
  Dumbbell dumbbell(world, path);
  dumbbell.add_netmesh(CongestionAlgorithm::kBbr);
  dumbbell.sender(0).timer_slack = dumbbell.receiver(0).timer_slack = milliseconds(1);
  const DumbbellResult result = dumbbell.run(milliseconds(1500), milliseconds(4500));
  expect_at_least(world, result.utilisation, level.utilisation,
                  "utilisation at " + percent(level.loss) + " loss behind the line");
  world.expect(result.mean_queue_delay < path.round_trip, "BBR leaves the queue short");
}

/// Many at a queue too short to show much in their round trips: tests for noise must not mislead
/// one after the other into taking more.
void crowd(World& world, SimRandom& random) {
  DumbbellConfig path;
  path.bytes_per_second = random.between(1'250'000, 3'750'000);
  path.round_trip = random.duration(milliseconds(20), milliseconds(60));
  path.queue_bytes = random.between(15, 50) *
                     static_cast<std::uint64_t>(path.round_trip / milliseconds(1)) *
                     path.bytes_per_second / 100'000;
  path.queue_bytes = std::max<std::uint64_t>(path.queue_bytes, 20'000);  // a burst each
  describe(world, path);
  Dumbbell dumbbell(world, path);
  for (int flow = 0; flow < 4; ++flow) {
    dumbbell.add_netmesh(CongestionAlgorithm::kBbr);
    dumbbell.run(random.duration(Duration(0), seconds(2)), Duration(1));
  }
  const DumbbellResult result = dumbbell.run(seconds(10), seconds(40));
  expect_at_least(world, result.utilisation, 0.85, "utilisation");
  expect_at_least(world, 1 - result.repeated, 0.9, "share of packets sent once");
  expect_at_least(world, result.jain, 0.65, "Jain's index");
}

void shallow_queue(World& world, SimRandom& random) {
  DumbbellConfig path = draw_path(random, 0.1, 0.5);
  // Room for one burst, or nobody could do anything about the loss.
  path.queue_bytes = std::max<std::uint64_t>(path.queue_bytes, 10'000);
  describe(world, path);
  Dumbbell dumbbell(world, path);
  dumbbell.add_netmesh(CongestionAlgorithm::kBbr);
  const bool with_tcp = random.chance(0.5);
  if (with_tcp)
    dumbbell.add_tcp();
  else
    dumbbell.add_netmesh(CongestionAlgorithm::kBbr);
  const DumbbellResult result = dumbbell.run(seconds(20), seconds(60));
  expect_at_least(world, result.utilisation, 0.8, "utilisation");
  expect_at_least(world, 1 - result.repeated, 0.95, "share of packets sent once");
  expect_at_least(world, result.shares[1], with_tcp ? 0.15 : 0.35, "the share of the other");
}

void deep_queue(World& world, SimRandom& random) {
  const DumbbellConfig path = draw_path(random, 8, 16);
  describe(world, path);
  Dumbbell dumbbell(world, path);
  dumbbell.add_netmesh(CongestionAlgorithm::kBbr);
  const DumbbellResult result = dumbbell.run(seconds(5), seconds(30));
  expect_at_least(world, result.utilisation, 0.85, "utilisation");
  world.expect(result.mean_queue_delay < path.round_trip / 2,
               "BBR leaves a deep queue empty; mean delay in it " +
                   std::to_string(result.mean_queue_delay / microseconds(1)) + " us of " +
                   std::to_string(path.round_trip / microseconds(1)) + " us round trip");
}

void blackout(World& world, SimRandom& random) {
  const DumbbellConfig path = draw_path(random, 1, 2);
  describe(world, path);
  const auto algorithm =
      random.chance(0.5) ? CongestionAlgorithm::kBbr : CongestionAlgorithm::kCubic;
  Dumbbell dumbbell(world, path);
  dumbbell.add_netmesh(algorithm);
  dumbbell.run(random.duration(seconds(2), seconds(6)), Duration(1));
  const Endpoint a = dumbbell.sender(0).address();
  const Endpoint b = dumbbell.receiver(0).address();
  world.network.set_partitioned(a, b, true);
  world.network.run_for(seconds(5));
  const std::uint64_t received = dumbbell.netmesh(0).received_bytes();
  world.network.set_partitioned(a, b, false);
  // The next probe is at most a second away; then the first losses are repeated.
  world.run_until(
      "data flows again soon after the outage",
      [&] { return dumbbell.netmesh(0).received_bytes() > received; }, milliseconds(1500));
  const DumbbellResult result = dumbbell.run(seconds(4), seconds(10));
  expect_at_least(world, result.utilisation, 0.7,
                  "utilisation by " + name(algorithm) + " afterwards");
}

void clock_jump(World& world, SimRandom& random) {
  const DumbbellConfig path = draw_path(random, 1, 2);
  describe(world, path);
  const auto algorithm =
      random.chance(0.5) ? CongestionAlgorithm::kBbr : CongestionAlgorithm::kCubic;
  Dumbbell dumbbell(world, path);
  dumbbell.add_netmesh(algorithm);
  dumbbell.run(seconds(4), Duration(1));
  for (int jump = 0; jump < 3; ++jump) {
    SimNode& sleeper = random.chance(0.7) ? dumbbell.sender(0) : dumbbell.receiver(0);
    // A moment up to ten minutes, every magnitude alike.
    sleeper.jump(Duration(random.between(1'000'000, 1ull << random.between(24, 39))));
    world.network.run_for(random.duration(Duration(0), seconds(2)));
  }
  const DumbbellResult result = dumbbell.run(seconds(6), seconds(10));
  expect_at_least(world, result.utilisation, 0.7,
                  "utilisation by " + name(algorithm) + " afterwards");
}

void reordering(World& world, SimRandom& random) {
  DumbbellConfig path = draw_path(random, 2, 4);
  path.jitter = random.duration(milliseconds(1), path.round_trip / 4);
  describe(world, path);
  const auto algorithm =
      random.chance(0.5) ? CongestionAlgorithm::kBbr : CongestionAlgorithm::kCubic;
  Dumbbell dumbbell(world, path);
  dumbbell.add_netmesh(algorithm);
  const DumbbellResult result = dumbbell.run(seconds(10), seconds(20));
  expect_at_least(world, result.utilisation, 0.6, "utilisation by " + name(algorithm));
  const auto info = dumbbell.netmesh(0).info();
  if (!world.expect(info && info->congestion, "the session lives on")) return;
  // Most of what was overtaken is waited for.
  expect_at_least(world, 1 - result.repeated, 0.9, "share of packets sent once");
}

void within_window(World& world, SimRandom& random) {
  const DumbbellConfig path = draw_path(random, 0.25, 2);
  describe(world, path);
  const auto algorithm =
      random.chance(0.5) ? CongestionAlgorithm::kBbr : CongestionAlgorithm::kCubic;
  Dumbbell dumbbell(world, path);
  dumbbell.add_netmesh(algorithm);
  dumbbell.netmesh(0).start();
  // Control frames and probes do not ask the window; a window that shrinks cannot call back.
  constexpr std::uint64_t kSlack = 4 * 1200;
  std::uint64_t in_flight_before = 0;
  for (int i = 0; i < 20'000 && world.ok(); ++i) {
    world.network.run_for(milliseconds(1));
    const auto info = dumbbell.netmesh(0).info();
    if (!info || !info->congestion) continue;
    const auto& state = *info->congestion;
    world.expect(state.in_flight <= std::max(state.window, in_flight_before) + kSlack,
                 "bytes in flight exceed the window");
    world.expect(state.window <= session::CongestionController::kMaxWindowBytes,
                 "the window has a bound");
    in_flight_before = state.in_flight;
  }
}

constexpr std::array kScenarios{
    Scenario{"congestion-two-cubic", "two CUBIC flows share a bottleneck evenly",
             two_alike<CongestionAlgorithm::kCubic>, kSeeds},
    Scenario{"congestion-two-bbr", "two BBR flows share a bottleneck evenly",
             two_alike<CongestionAlgorithm::kBbr>, kSeeds},
    Scenario{"congestion-cubic-beside-tcp", "CUBIC and a TCP CUBIC flow both get 30 to 70 %",
             beside_tcp<CongestionAlgorithm::kCubic>, kSeeds},
    Scenario{"congestion-bbr-beside-tcp", "BBR and a TCP CUBIC flow both get 30 to 70 %",
             beside_tcp<CongestionAlgorithm::kBbr>, kSeeds},
    Scenario{"congestion-random-loss",
             "BBR keeps a line busy at 0 to 40 % random loss, and CUBIC gets through", random_loss,
             kSeeds},
    Scenario{"congestion-noisy-line",
             "BBR tells noise from congestion within the first seconds of a transfer", noisy_line,
             kSeeds},
    Scenario{"congestion-crowd",
             "four BBR flows at a short queue do not talk each other into noise", crowd, kSeeds},
    Scenario{"congestion-shallow-queue",
             "BBR does not take the overflow of a short queue for noise of the path", shallow_queue,
             kSeeds},
    Scenario{"congestion-deep-queue", "BBR does not fill a queue because it is there", deep_queue,
             kSeeds},
    Scenario{"congestion-blackout", "a transfer goes on soon after an outage of 5 s", blackout,
             kSeeds},
    Scenario{"congestion-clock-jump", "a transfer survives machines that sleep", clock_jump,
             kSeeds},
    Scenario{"congestion-reordering", "packets that overtake each other cost little", reordering,
             kSeeds},
    Scenario{"congestion-within-window", "bytes in flight stay within the window", within_window,
             kSeeds},
};

}  // namespace

std::span<const Scenario> congestion_scenarios() { return kScenarios; }

}  // namespace netmesh::sim
