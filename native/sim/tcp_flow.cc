#include "sim/tcp_flow.h"

#include <algorithm>
#include <cmath>

namespace netmesh::sim {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kAckBytes = 64;
constexpr std::size_t kSackBlocks = 3;
constexpr Duration kDelayedAck = milliseconds(40);
constexpr Duration kLeastTimeout = milliseconds(200);
constexpr std::uint64_t kReordering = 3;

double seconds_of(Duration duration) { return static_cast<double>(duration.count()) * 1e-9; }

/// `segment`: cumulative in an ACK. `echo`: when the segment left that caused this ACK.
struct Header {
  std::uint64_t segment = 0;
  std::uint64_t echo = 0;
  struct Block {
    std::uint64_t begin = 0, end = 0;
  };
  std::array<Block, kSackBlocks> sacks{};
};

Bytes encode(const Header& header, std::size_t size) {
  Bytes out(size);
  ByteWriter writer(out);
  writer.u64(header.segment);
  writer.u64(header.echo);
  for (const Header::Block& block : header.sacks) {
    writer.u64(block.begin);
    writer.u64(block.end);
  }
  return out;
}

Header decode(ByteSpan bytes) {
  Header header;
  const auto at = [&](std::size_t index) {
    return load_le<std::uint64_t>(bytes.data() + 8 * index);
  };
  header.segment = at(0);
  header.echo = at(1);
  for (std::size_t i = 0; i < kSackBlocks; ++i) header.sacks[i] = {at(2 + 2 * i), at(3 + 2 * i)};
  return header;
}

}  // namespace

class TcpFlow::Receiver final : public Port {
 public:
  Receiver(SimNetwork& network, const Endpoint& self, const Endpoint& peer)
      : network_(network), self_(self), peer_(peer), alive_(std::make_shared<bool>(true)) {
    network_.attach(self_, *this);
  }
  ~Receiver() override {
    *alive_ = false;
    network_.detach(self_);
  }

  void receive(const Endpoint&, Bytes datagram) override {
    if (datagram.size() < kAckBytes) return;
    const Header header = decode(datagram);
    echo_ = header.echo;
    const bool in_order = header.segment == next_;
    if (header.segment >= next_) early_.insert(header.segment);
    latest_ = header.segment;
    while (!early_.empty() && *early_.begin() == next_) {
      early_.erase(early_.begin());
      ++next_;
    }
    ++unacknowledged_;
    if (!in_order || !early_.empty() || unacknowledged_ >= 2) {
      acknowledge();
    } else if (!timer_) {
      timer_ = true;
      network_.after(kDelayedAck, [this, alive = alive_] {
        if (!*alive) return;
        timer_ = false;
        if (unacknowledged_ > 0) acknowledge();
      });
    }
  }
  std::uint64_t in_order() const { return next_; }

 private:
  void acknowledge() {
    unacknowledged_ = 0;
    Header header{next_, echo_, {}};
    // The block with the latest arrival first (RFC 2018 §4), then the highest ones.
    std::size_t count = 0;
    const auto add_block_around = [&](std::set<std::uint64_t>::const_iterator at) {
      Header::Block block{*at, *at + 1};
      for (auto it = at; it != early_.begin() && *std::prev(it) + 1 == block.begin; --it)
        --block.begin;
      for (auto it = std::next(at); it != early_.end() && *it == block.end; ++it) ++block.end;
      header.sacks[count++] = block;
      return block;
    };
    std::optional<Header::Block> first;
    if (const auto it = early_.find(latest_); it != early_.end()) first = add_block_around(it);
    auto it = early_.end();
    while (count < kSackBlocks && it != early_.begin()) {
      const auto last = std::prev(it);
      if (first && *last >= first->begin && *last < first->end) {
        it = early_.lower_bound(first->begin);
        continue;
      }
      it = early_.lower_bound(add_block_around(last).begin);
    }
    network_.send(self_, peer_, encode(header, kAckBytes));
  }

  SimNetwork& network_;
  const Endpoint self_, peer_;
  std::shared_ptr<bool> alive_;
  std::set<std::uint64_t> early_;
  std::uint64_t next_ = 0;
  std::uint64_t latest_ = 0;
  std::uint64_t echo_ = 0;
  unsigned unacknowledged_ = 0;
  bool timer_ = false;
};

class TcpFlow::Sender final : public Port {
 public:
  Sender(SimNetwork& network, const Endpoint& self, const Endpoint& peer)
      : network_(network), self_(self), peer_(peer), alive_(std::make_shared<bool>(true)) {
    network_.attach(self_, *this);
  }
  ~Sender() override {
    *alive_ = false;
    network_.detach(self_);
  }

  void transmit() {
    while (static_cast<double>(pipe_) < std::floor(window_)) {
      if (!lost_.empty()) {
        const std::uint64_t segment = *lost_.begin();
        lost_.erase(lost_.begin());
        ++repeated;
        send(segment);
      } else {
        segments_.push_back({});
        send(una_ + segments_.size() - 1);
      }
    }
    arm();
  }

  void receive(const Endpoint&, Bytes datagram) override {
    if (datagram.size() < kAckBytes) return;
    const Header header = decode(datagram);
    const TimePoint now = network_.now().monotonic;
    const std::uint64_t una_before = una_;
    double acked = 0;
    if (header.segment > una_ + segments_.size()) return;
    while (una_ < header.segment) {
      acked += settle(una_);
      segments_.pop_front();
      ++una_;
    }
    for (const Header::Block& block : header.sacks) {
      for (std::uint64_t s = std::max(block.begin, una_);
           s < std::min(block.end, una_ + segments_.size()); ++s) {
        acked += settle(s);
      }
    }
    if (acked > 0) {
      measure(now - TimePoint(Duration(static_cast<std::int64_t>(header.echo))));
      if (una_ > una_before) backoff_ = 0;
      timeout_at_ = now + timeout();
    }
    detect_losses();
    if (recovery_until_ && una_ >= *recovery_until_) recovery_until_.reset();
    if (acked > 0 && !recovery_until_) grow(acked, now);
    transmit();
  }

  std::uint64_t sent = 0, repeated = 0;
  double window() const { return window_; }
  std::uint64_t pipe() const { return pipe_; }
  Duration srtt() const { return srtt_; }

 private:
  struct Segment {
    std::uint64_t order = 0;  ///< of its last transmission
    bool sacked = false;
    bool in_pipe = false;
  };

  void send(std::uint64_t number) {
    Segment& segment = segments_[number - una_];
    segment.order = ++order_;
    segment.in_pipe = true;
    ++pipe_;
    ++sent;
    const TimePoint now = network_.now().monotonic;
    if (pipe_ == 1) timeout_at_ = now + timeout();
    network_.send(self_, peer_,
                  encode({number, static_cast<std::uint64_t>(now.time_since_epoch().count()), {}},
                         kSegmentBytes));
  }
  /// 1 when the segment is acknowledged for the first time.
  double settle(std::uint64_t number) {
    Segment& segment = segments_[number - una_];
    if (segment.sacked) return 0;
    segment.sacked = true;
    newest_order_ = std::max(newest_order_, segment.order);
    if (segment.in_pipe) --pipe_;
    segment.in_pipe = false;
    lost_.erase(number);
    return 1;
  }
  void detect_losses() {
    bool fresh = false;
    for (std::size_t i = 0; i < segments_.size(); ++i) {
      Segment& segment = segments_[i];
      if (segment.sacked || !segment.in_pipe || segment.order + kReordering > newest_order_)
        continue;
      segment.in_pipe = false;
      --pipe_;
      lost_.insert(una_ + i);
      fresh = true;
    }
    if (!fresh || recovery_until_) return;
    recovery_until_ = una_ + segments_.size();
    reduce();
    window_ = threshold_;
  }
  void reduce() {
    w_max_ = window_ < w_max_ ? window_ * 0.85 : window_;
    prior_ = window_;
    threshold_ = std::max(window_ * 0.7, 2.0);
    epoch_.reset();
  }
  void measure(Duration sample) {
    if (srtt_ == Duration::zero()) {
      srtt_ = sample;
      variation_ = sample / 2;
      least_rtt_ = sample;
    } else {
      variation_ += ((srtt_ > sample ? srtt_ - sample : sample - srtt_) - variation_) / 4;
      srtt_ += (sample - srtt_) / 8;
      least_rtt_ = std::min(least_rtt_, sample);
    }
    if (window_ >= threshold_ || window_ < 16) return;
    // HyStart by delay: the least of the first eight round trips of a round.
    if (una_ >= round_ends_) {
      round_ends_ = una_ + segments_.size();
      round_least_ = Duration::max();
      round_samples_ = 0;
    }
    if (round_samples_ >= 8) return;
    round_least_ = std::min(round_least_, sample);
    if (++round_samples_ == 8 &&
        round_least_ >
            least_rtt_ + std::clamp<Duration>(least_rtt_ / 8, milliseconds(4), milliseconds(16))) {
      threshold_ = window_;
    }
  }
  void grow(double acked, TimePoint now) {
    if (window_ < threshold_) {
      window_ += acked;
      return;
    }
    if (!epoch_) {
      epoch_ = now;
      reno_ = window_;
      if (w_max_ < window_) w_max_ = window_;
      k_ = std::cbrt((w_max_ - window_) / 0.4);
    }
    const double t = seconds_of(now - *epoch_) + seconds_of(least_rtt_);
    const double target = std::clamp(w_max_ + 0.4 * std::pow(t - k_, 3), window_, 1.5 * window_);
    reno_ += (reno_ < prior_ ? 3 * 0.3 / 1.7 : 1.0) * acked / window_;
    window_ += (target - window_) / window_ * acked;
    window_ = std::max(window_, reno_);
  }
  Duration timeout() const {
    const Duration base = srtt_ == Duration::zero()
                              ? Duration(std::chrono::seconds(1))
                              : std::max<Duration>(srtt_ + 4 * variation_, kLeastTimeout);
    return base * (1 << std::min(backoff_, 6u));
  }
  void arm() {
    if (armed_) return;
    armed_ = true;
    const Duration wait =
        std::max(timeout_at_ - network_.now().monotonic, Duration(milliseconds(1)));
    network_.after(wait, [this, alive = alive_] {
      if (!*alive) return;
      armed_ = false;
      if (network_.now().monotonic >= timeout_at_) time_out();
      arm();
    });
  }
  void time_out() {
    reduce();
    window_ = 1;
    ++backoff_;
    recovery_until_.reset();
    for (std::size_t i = 0; i < segments_.size(); ++i) {
      Segment& segment = segments_[i];
      if (segment.sacked || !segment.in_pipe) continue;
      segment.in_pipe = false;
      --pipe_;
      lost_.insert(una_ + i);
    }
    timeout_at_ = network_.now().monotonic + timeout();
    transmit();
  }

  SimNetwork& network_;
  const Endpoint self_, peer_;
  std::shared_ptr<bool> alive_;
  std::deque<Segment> segments_;  ///< from una_
  std::set<std::uint64_t> lost_;
  std::uint64_t una_ = 0, order_ = 0, newest_order_ = 0, pipe_ = 0;
  double window_ = 10, threshold_ = 1e18;
  double w_max_ = 0, reno_ = 0, prior_ = 0, k_ = 0;
  std::optional<TimePoint> epoch_;
  std::optional<std::uint64_t> recovery_until_;
  Duration srtt_{}, variation_{}, least_rtt_{}, round_least_ = Duration::max();
  std::uint64_t round_ends_ = 0;
  unsigned round_samples_ = 0, backoff_ = 0;
  TimePoint timeout_at_{};
  bool armed_ = false;
};

TcpFlow::TcpFlow(SimNetwork& network, const Endpoint& from, const Endpoint& to)
    : receiver_(std::make_unique<Receiver>(network, to, from)),
      sender_(std::make_unique<Sender>(network, from, to)) {}
TcpFlow::~TcpFlow() = default;

void TcpFlow::start() { sender_->transmit(); }
std::uint64_t TcpFlow::received_bytes() const { return receiver_->in_order() * kSegmentBytes; }
std::uint64_t TcpFlow::segments_sent() const { return sender_->sent; }
std::uint64_t TcpFlow::segments_repeated() const { return sender_->repeated; }
std::uint64_t TcpFlow::window() const {
  return static_cast<std::uint64_t>(sender_->window()) * kSegmentBytes;
}
std::uint64_t TcpFlow::in_flight() const { return sender_->pipe() * kSegmentBytes; }
Duration TcpFlow::smoothed_rtt() const { return sender_->srtt(); }

}  // namespace netmesh::sim
