#include "sim/bulk.h"

#include <algorithm>

#include "sim/sender.h"
#include "sim/traffic.h"

namespace netmesh::sim {
namespace {

constexpr std::size_t kMessageBytes = 16'000;
/// How often the sender's queue is filled up.
constexpr Duration kRefillInterval = milliseconds(5);
constexpr std::uint64_t kQueuedBytes = 8u << 20;

}  // namespace

BulkFlow::BulkFlow(SimNode& from, SimNode& to) : from_(from), to_(to) {
  to_.keep_messages = false;
  const session::StreamConfig config{StreamId{1}, true, 0, 1};
  auto gate = from_.call(
      [&](mesh::Node& machine, Now now) { return machine.open_stream(now, to_.id(), config); });
  from_.world().expect(gate.has_value(), "a bulk stream could not be opened");
  if (gate) gate_ = std::move(*gate);
}

BulkFlow::~BulkFlow() { *running_ = false; }

void BulkFlow::start() {
  *running_ = true;
  refill();
}

void BulkFlow::refill() {
  if (!*running_ || !gate_) return;
  const std::vector<Bytes> message{Bytes(kMessageBytes)};
  session::BatchCost cost;
  cost.add(kMessageBytes);
  from_.call([&](mesh::Node& machine, Now now) {
    while (gate_->try_admit(cost, false) == session::StreamGate::Admission::kAdmitted)
      machine.send(now, *gate_, make_batch(message));
  });
  from_.world().network.after(kRefillInterval, [this, running = running_] {
    if (*running) refill();
  });
}

std::uint64_t BulkFlow::received_bytes() const {
  const ReceivedStream* stream = to_.stream(from_.id(), StreamId{1});
  return stream == nullptr ? 0 : stream->bytes;
}

std::optional<mesh::PeerInfo> BulkFlow::info() const {
  for (mesh::PeerInfo& info : from_.machine().peers()) {
    if (info.node_id == to_.id()) return std::move(info);
  }
  return std::nullopt;
}

Dumbbell::Dumbbell(World& world, const DumbbellConfig& config)
    : world_(world),
      config_(config),
      line_(world.network.add_line({config.bytes_per_second, config.queue_bytes})) {}

void Dumbbell::link(const Endpoint& from, const Endpoint& to) {
  LinkConfig there;
  there.mtu = 1500;  // an Ethernet, of which TCP fills a little more
  there.delay = config_.round_trip / 2;
  there.jitter = config_.jitter;
  there.loss = config_.loss;
  there.loss_behind = config_.loss_behind;
  there.line = line_;
  LinkConfig back;
  back.mtu = there.mtu;
  back.delay = config_.round_trip / 2;
  back.loss = config_.ack_loss;
  world_.network.set_link(from, to, there);
  world_.network.set_link(to, from, back);
}

BulkFlow& Dumbbell::add_netmesh(session::CongestionAlgorithm algorithm) {
  const auto node = [&](const char* side) -> SimNode& {
    const std::uint32_t number = next_address_++;
    mesh::NodeConfig config = config_of(number);
    config.congestion = algorithm;
    config.handshake_retries = 10;
    config.max_queued_bytes = kQueuedBytes;
    config.stream_receive_window = config.session_receive_window = 16u << 20;
    std::string name = side;
    name += std::to_string(netmesh_.size() + 1);
    SimNode& added = world_.add(std::move(name), address_of(number), config);
    added.start();
    return added;
  };
  SimNode& from = node("left");
  SimNode& to = node("right");
  link(from.address(), to.address());
  connect(world_, from, to);
  netmesh_.push_back({&from, &to, std::make_unique<BulkFlow>(from, to), false});
  return *netmesh_.back().flow;
}

TcpFlow& Dumbbell::add_tcp() {
  const Endpoint from = address_of(next_address_++);
  const Endpoint to = address_of(next_address_++);
  link(from, to);
  tcp_.push_back({std::make_shared<TcpFlow>(world_.network, from, to), false});
  std::string name = "TCP CUBIC ";
  name += std::to_string(tcp_.size());
  world_.add_sampler(
      [weak = std::weak_ptr<TcpFlow>(tcp_.back().flow), name](std::vector<PathSample>& samples) {
        const auto flow = weak.lock();
        if (!flow) return;
        PathSample sample;
        sample.path = name;
        sample.phase = "tcp";
        sample.window = flow->window();
        sample.in_flight = flow->in_flight();
        sample.delivered = flow->received_bytes();
        sample.lost = flow->segments_repeated();
        sample.rtt = flow->smoothed_rtt();
        samples.push_back(std::move(sample));
      });
  return *tcp_.back().flow;
}

void Dumbbell::start_all() {
  for (NetmeshPair& pair : netmesh_) {
    if (!pair.started) pair.flow->start();
    pair.started = true;
  }
  for (TcpPair& pair : tcp_) {
    if (!pair.started) pair.flow->start();
    pair.started = true;
  }
}

std::vector<std::uint64_t> Dumbbell::received() const {
  std::vector<std::uint64_t> out;
  for (const NetmeshPair& pair : netmesh_) out.push_back(pair.flow->received_bytes());
  for (const TcpPair& pair : tcp_) out.push_back(pair.flow->received_bytes());
  return out;
}

std::pair<std::uint64_t, std::uint64_t> Dumbbell::packets() const {
  std::uint64_t sent = 0;
  std::uint64_t lost = 0;
  for (const NetmeshPair& pair : netmesh_) {
    if (const auto info = pair.flow->info()) {
      sent += info->packets_sent;
      lost += info->packets_lost;
    }
  }
  for (const TcpPair& pair : tcp_) {
    sent += pair.flow->segments_sent();
    lost += pair.flow->segments_repeated();
  }
  return {sent, lost};
}

DumbbellResult Dumbbell::run(Duration settle, Duration measure) {
  start_all();
  world_.network.run_for(settle);
  const auto before = received();
  const auto packets_before = packets();
  world_.network.reset_line_stats(line_);
  world_.network.run_for(measure);
  const auto after = received();
  const auto packets_after = packets();

  DumbbellResult out;
  double total = 0;
  double squares = 0;
  for (std::size_t i = 0; i < after.size(); ++i) {
    const auto bytes = static_cast<double>(after[i] - before[i]);
    out.shares.push_back(bytes);
    total += bytes;
    squares += bytes * bytes;
  }
  for (double& share : out.shares) share = total == 0 ? 0 : share / total;
  if (squares != 0) out.jain = total * total / (static_cast<double>(after.size()) * squares);
  out.utilisation = total / (static_cast<double>(config_.bytes_per_second) *
                             static_cast<double>(measure.count()) * 1e-9);
  const LineStats& line = world_.network.line_stats(line_);
  if (line.datagrams != 0) {
    out.mean_queue_delay = line.queue_delay_sum / static_cast<std::int64_t>(line.datagrams);
    out.max_queue_delay = line.queue_delay_max;
  }
  const auto sent = static_cast<double>(packets_after.first - packets_before.first);
  if (sent != 0)
    out.repeated = static_cast<double>(packets_after.second - packets_before.second) / sent;
  return out;
}

}  // namespace netmesh::sim
