#pragma once
// A network in virtual time: clock, event queue, and links that lose, delay, repeat and damage
// datagrams as a seed says. One thread; a run is a pure function of its seed.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/endpoint.h"
#include "base/time.h"
#include "sim/random.h"
#include "sim/trace.h"

namespace netmesh::sim {

/// One direction of a path. All probabilities are per datagram.
struct LinkConfig {
  double loss = 0;
  /// The same behind the line: what is lost there has used it, as over the air.
  double loss_behind = 0;
  /// With `burst_start` a burst begins, in which everything is lost for up to `burst_length`.
  double burst_start = 0;
  Duration burst_length = std::chrono::milliseconds(20);
  double duplicate = 0;
  double corrupt = 0;  ///< bit flips, truncation, or bytes appended
  Duration delay = std::chrono::milliseconds(5);
  Duration jitter{};  ///< up to this much more; datagrams overtake each other
  /// 0: unlimited. Else a queue of `queue_bytes` in front of a line of this speed; overflow is
  /// lost.
  std::uint64_t bytes_per_second = 0;
  std::uint64_t queue_bytes = 64 * 1024;
  /// Larger datagrams are lost; 0: none is.
  std::size_t mtu = 0;
  /// A line shared with other links (see `add_line`), instead of `bytes_per_second`.
  std::optional<std::size_t> line;
};

/// A bottleneck: a drop-tail queue in front of a line.
struct LineConfig {
  std::uint64_t bytes_per_second = 0;
  std::uint64_t queue_bytes = 0;
};

/// What a line has carried.
struct LineStats {
  std::uint64_t datagrams = 0, bytes = 0, overflowed = 0;
  Duration queue_delay_sum{}, queue_delay_max{};
};

/// Something with an address: a node, or a test that plays one.
class Port {
 public:
  virtual ~Port() = default;
  virtual void receive(const Endpoint& from, Bytes datagram) = 0;
};

/// What happened to the datagrams of a run.
struct NetworkStats {
  std::uint64_t sent = 0, delivered = 0, lost = 0, duplicated = 0, corrupted = 0, overflowed = 0;
};

class SimNetwork {
 public:
  explicit SimNetwork(std::uint64_t seed, Trace* trace = nullptr);
  SimNetwork(const SimNetwork&) = delete;
  SimNetwork& operator=(const SimNetwork&) = delete;

  // --- time ---
  Now now() const;
  Duration elapsed() const { return now_ - kBegin; }
  /// Calls `run` once, `delay` from now; same instants keep their order.
  void after(Duration delay, std::function<void()> run);
  /// One event; false when none is left.
  bool step();
  /// Until `done` or until `limit` has passed; whether `done` came true.
  bool run_until(const std::function<bool()>& done, Duration limit);
  void run_for(Duration duration);
  /// The machine sleeps: time passes at once, and what was due meanwhile happens late, at the new
  /// time.
  void jump(Duration duration) { now_ += duration; }

  // --- shape ---
  void attach(const Endpoint& address, Port& port);
  void detach(const Endpoint& address);
  void set_default_link(const LinkConfig& config) { default_link_ = config; }
  void set_link(const Endpoint& from, const Endpoint& to, const LinkConfig& config);
  void set_links(const Endpoint& a, const Endpoint& b, const LinkConfig& config);
  /// A line that several links may share; its number is for `LinkConfig::line`.
  std::size_t add_line(const LineConfig& config);
  const LineStats& line_stats(std::size_t line) const { return lines_[line].stats; }
  void reset_line_stats(std::size_t line) { lines_[line].stats = {}; }
  /// How long a datagram would wait in front of the line now.
  Duration queue_delay(std::size_t line) const;
  /// Nothing passes between the two, in either direction.
  void set_partitioned(const Endpoint& a, const Endpoint& b, bool partitioned);
  /// Datagrams that come from `from` seem to come from `seen` (a translating router, a moved
  /// phone); what is sent to `seen` reaches `from`. `seen == from` ends it.
  void set_translation(const Endpoint& from, const Endpoint& seen);

  // --- traffic ---
  void send(const Endpoint& from, const Endpoint& to, ByteSpan datagram);
  /// Past links and taps: arrives unchanged after `delay`.
  void inject(const Endpoint& from, const Endpoint& to, ByteSpan datagram, Duration delay = {});
  /// Sees every datagram that is sent, before the link has its way; false swallows it.
  using Tap = std::function<bool(const Endpoint& from, const Endpoint& to, ByteSpan datagram)>;
  void set_tap(Tap tap) { tap_ = std::move(tap); }

  SimRandom& random() { return random_; }
  const NetworkStats& stats() const { return stats_; }
  Trace* trace() const { return trace_; }
  void note(const std::string& who, const std::string& what) const;

 private:
  /// Any instant will do; not the clock's epoch, so that nobody mistakes it for "unset".
  static constexpr TimePoint kBegin{std::chrono::hours(1000)};
  static constexpr UnixNanos kBeginUnix = 1'800'000'000'000'000'000;

  struct Event {
    TimePoint at;
    std::uint64_t order;
    std::function<void()> run;
  };
  struct Later {
    bool operator()(const Event& a, const Event& b) const {
      return a.at != b.at ? a.at > b.at : a.order > b.order;
    }
  };
  using Direction = std::pair<Endpoint, Endpoint>;
  struct Line {
    LineConfig config;
    TimePoint free{};
    LineStats stats;
  };
  struct LinkState {
    TimePoint burst_ends{};
    Line own;
  };

  /// When a datagram that joins the queue now has left the line; nothing when it overflows.
  std::optional<TimePoint> queue(Line& line, std::size_t bytes);
  void deliver_after(Duration delay, const Endpoint& from, const Endpoint& to, Bytes datagram);
  void damage(Bytes& datagram);

  SimRandom random_;
  Trace* trace_;
  TimePoint now_ = kBegin;
  std::uint64_t next_order_ = 0;
  std::vector<Event> events_;  ///< a heap, earliest first
  std::unordered_map<Endpoint, Port*> ports_;
  LinkConfig default_link_;
  std::map<Direction, LinkConfig> links_;
  std::map<Direction, LinkState> states_;
  std::vector<Line> lines_;
  std::set<Direction> partitions_;
  std::unordered_map<Endpoint, Endpoint> seen_as_, reached_as_;
  Tap tap_;
  NetworkStats stats_;
};

}  // namespace netmesh::sim
