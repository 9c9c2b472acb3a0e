// A whole node: whatever comes from whichever address, whenever. The input is a script of
// datagrams, made-up or damaged copies of what an honest peer sends, and of time that passes.

#include <deque>
#include <map>
#include <memory>

#include "fuzz.h"
#include "mesh/node.h"
#include "session/handshake.h"
#include "wire/modern_control.h"
#include "wire/net_packet.h"
#include "wire/routing.h"

using namespace netmesh;
using namespace netmesh::mesh;

namespace {

constexpr std::size_t kAddresses = 6;
constexpr int kMostSteps = 1'500;

class ScriptRandom final : public RandomSource {
 public:
  explicit ScriptRandom(std::uint64_t seed) : state_(seed) {}
  void fill(MutableByteSpan out) override {
    for (std::byte& b : out) {
      state_ = state_ * 6'364'136'223'846'793'005ULL + 1'442'695'040'888'963'407ULL;
      b = static_cast<std::byte>(state_ >> 56);
    }
  }

 private:
  std::uint64_t state_;
};

NodeConfig config_of(int identity, std::uint8_t shape) {
  NodeConfig config;
  config.identity_seed.assign(32, static_cast<std::byte>(identity));
  config.psk.fill(std::byte{0x42});
  config.max_peers = 3;
  config.max_streams_per_session = 8;
  config.allow_legacy_peers = (shape & 1) == 0;
  config.unproven_handshakes_per_second = (shape & 2) == 0 ? 1 : 100;
  config.key_update_packets = (shape >> 2) & 3;
  config.stream_receive_window = 65'536;
  config.session_receive_window = 131'072;
  config.max_message_bytes = 65'536;
  return config;
}

Endpoint address_of(std::uint8_t number) {
  return Endpoint::ipv4(10, 0, 0, static_cast<std::uint8_t>(number % kAddresses), 7'000);
}

/// Checks the order in which things are reported.
struct Sink final : NodeSink {
  std::map<RequestId, int> answered;
  std::map<NodeId, bool> up;
  std::map<StreamRef, bool> open;
  bool shut_down = false;

  void connect_done(RequestId request, Expected<void>) override {
    FUZZ_CHECK(++answered[request] == 1);
  }
  void accept_done(RequestId request, Expected<Endpoint>) override {
    FUZZ_CHECK(++answered[request] == 1);
  }
  void peer_up(NodeId peer, const Endpoint&, SecurityMode) override {
    FUZZ_CHECK(!std::exchange(up[peer], true));
  }
  void peer_down(NodeId peer, DownReason, const std::string& text) override {
    FUZZ_CHECK(std::exchange(up[peer], false));
    FUZZ_CHECK(text.size() < 1'000);
  }
  void stream_opened(StreamRef ref, NodeId peer, StreamId, bool) override {
    FUZZ_CHECK(up[peer] && !std::exchange(open[ref], true));
  }
  void deliver(StreamRef ref, std::uint64_t, std::uint32_t, ByteSpan, ByteSpan) override {
    FUZZ_CHECK(open[ref]);
  }
  void stream_finished(StreamRef ref, StreamEnd) override {
    FUZZ_CHECK(std::exchange(open[ref], false));
  }
  void credit_available(NodeId, StreamId, std::uint64_t) override {}
  void shutdown_done(const std::vector<UnacknowledgedStream>&) override {
    FUZZ_CHECK(!std::exchange(shut_down, true));
  }
};

struct Datagram {
  Endpoint to;
  Bytes bytes;
};

struct Machine {
  Machine(int identity, std::uint8_t shape, Now now)
      : random(static_cast<std::uint64_t>(identity)),
        node(std::make_unique<Node>(config_of(identity, shape), random, sink, now)) {}

  std::vector<Datagram> sent(Now now) {
    static TransmitBatch batch;  // half a megabyte: made once
    std::vector<Datagram> out;
    bool more = true;
    for (int i = 0; more; ++i) {
      FUZZ_CHECK(i < 10'000);
      batch.clear();
      more = node->poll_transmit(now, batch);
      for (const auto& datagram : batch.datagrams()) {
        const MutableByteSpan bytes = batch.bytes_of(datagram);
        out.push_back({datagram.to, Bytes(bytes.begin(), bytes.end())});
      }
    }
    return out;
  }

  ScriptRandom random;
  Sink sink;
  std::unique_ptr<Node> node;
};

struct Script {
  explicit Script(ByteSpan input) : in(input) {}
  bool more() const { return in.remaining() > 0; }
  std::uint8_t u8() { return in.remaining() >= 1 ? in.u8() : std::uint8_t{0}; }
  std::uint16_t u16() { return in.remaining() >= 2 ? in.u16() : std::uint16_t{0}; }
  Bytes bytes(std::size_t count) {
    const ByteSpan taken = in.bytes(std::min(count, in.remaining()));
    return Bytes(taken.begin(), taken.end());
  }
  ByteReader in;
};

Duration duration_of(std::uint8_t code) {
  return Duration((1'000 + 250 * (code & 7)) * (std::int64_t{1} << (code >> 3)) * 16);
}

/// The node under test, an honest peer of its, and a member of the mesh who answers nobody.
class World {
 public:
  explicit World(Script& input)
      : script_(input), shape_(script_.u8()), a_(1, shape_, now()), b_(2, shape_, now()) {
    member_.emplace(
        session::HandshakeContext{identity::LocalIdentity::from_seed(Bytes(32, std::byte{9})),
                                  crypto::SecretKey(config_of(9, 0).psk)});
    member_->aeads = 1;
    member_->max_datagram = 1'500;
    member_->stream_window = member_->session_window = 65'536;
    member_->max_message = 65'536;
    if ((shape_ & 0x80) == 0) {
      a_.node->start(now());
      b_.node->start(now());
    }
  }

  void run() {
    for (int i = 0; script_.more() && i < kMostSteps; ++i) {
      step();
      exchange();
      FUZZ_CHECK(a_.node->peer_count() <= 3);
    }
    const NodeCounters counters = a_.node->counters();
    FUZZ_CHECK(counters.datagrams_received == received_ && counters.datagrams_sent == sent_);
    a_.node->shutdown(now(), std::chrono::seconds(1));
    exchange();
    pass(std::chrono::seconds(2));
    exchange();
    FUZZ_CHECK(a_.sink.shut_down);
    FUZZ_CHECK(a_.node->peer_count() == 0);
    for (const auto& [peer, up] : a_.sink.up) FUZZ_CHECK(!up);
    for (const auto& [ref, open] : a_.sink.open) FUZZ_CHECK(!open);
  }

 private:
  Now now() const {
    return {TimePoint(std::chrono::hours(1)) + clock_, 1'800'000'000'000'000'000 + clock_.count()};
  }

  void step() {
    const std::uint8_t op = script_.u8();
    const Endpoint from = address_of(static_cast<std::uint8_t>(op >> 4));
    switch (op & 15) {
      case 0:  // bytes of the input's choice
        stranger(from, script_.bytes(script_.u16() % 1'500));
        break;
      case 1:  // with a header in front that gets them further
        headed(from);
        break;
      case 2:
        pass(duration_of(script_.u8()));
        break;
      case 3:  // what waits on the line from b arrives, in any order, from anywhere
      case 4:
        deliver(from, false, false);
        break;
      case 5:
        deliver(from, true, false);
        break;
      case 6:
        deliver(from, (op & 0x10) != 0, true);
        break;
      case 7:
        a_.node->connect(now(), address_of(2), b_.node->public_key(), b_.node->node_id(),
                         {(op & 0x10) != 0, std::nullopt});
        break;
      case 8:
        b_.node->connect(now(), address_of(1), a_.node->public_key(), a_.node->node_id(), {});
        break;
      case 9:
        talk((op & 0x10) != 0 ? a_ : b_, (op & 0x10) != 0 ? b_ : a_, (op & 0x20) != 0);
        break;
      case 10:
        handshake(from);
        break;
      case 11:
        if ((op & 0x10) != 0) {
          a_.node->accept(now(), b_.node->node_id());
        } else {
          a_.node->start(now());
          b_.node->start(now());
        }
        break;
      case 12:
        if ((op & 0x10) != 0)
          a_.node->disconnect(now(), b_.node->node_id());
        else
          a_.node->add_route(now(), NodeId{script_.u16()}, from);
        break;
      case 13:  // b loses its state
        if ((op & 0x30) == 0) {
          b_.node.reset();
          b_.sink = {};
          b_.node = std::make_unique<Node>(config_of(2, shape_), b_.random, b_.sink, now());
          b_.node->start(now());
        }
        break;
      case 14:
        moved_ = (op & 0x10) != 0;
        break;
      default:
        while (!to_a_.empty()) deliver(address_of(2), false, false);
    }
  }

  void receive(const Endpoint& from, Bytes bytes) {
    ++received_;
    a_.node->handle_datagram(now(), from, bytes);
    a_.node->end_of_batch(now());
  }
  /// From somebody who is no member: counts for what may go back.
  void stranger(const Endpoint& from, Bytes bytes) {
    came_[from] += bytes.size();
    receive(from, std::move(bytes));
  }
  void headed(const Endpoint& from) {
    const std::uint8_t kind = script_.u8();
    Bytes body = script_.bytes(script_.u8());
    Bytes packet;
    switch (kind & 3) {
      case 0:
        packet = wire::make_handshake_packet(body, (kind & 4) != 0 ? script_.u16() : 0);
        break;
      case 1:
        packet.resize(wire::kModernOverheadBytes + body.size());
        wire::write_modern_header({(kind & 4) != 0, last_session_, PacketNumber{script_.u16()}},
                                  packet.data());
        break;
      case 2:
        packet.resize(wire::kRoutingHeaderBytes);
        wire::write_routing_header({script_.u8(), script_.u8(), 0, 0, script_.u16(),
                                    (kind & 4) != 0 ? a_.node->node_id() : b_.node->node_id()},
                                   packet);
        packet.insert(packet.end(), body.begin(), body.end());
        break;
      default: {
        wire::ResetDatagram reset;
        reset.session_id = last_session_;
        packet = (kind & 4) != 0 ? wire::make_reset(reset) : wire::make_cookie({});
      }
    }
    stranger(from, std::move(packet));
  }
  void deliver(const Endpoint& other, bool copy, bool damaged) {
    if (to_a_.empty()) return;
    const std::size_t index = script_.u8() % to_a_.size();
    Bytes bytes = to_a_[index];
    if (!copy) to_a_.erase(to_a_.begin() + static_cast<std::ptrdiff_t>(index));
    if (damaged && !bytes.empty()) {
      const std::size_t at = script_.u16() % bytes.size();
      const std::uint8_t how = script_.u8();
      if (how == 0)
        bytes.resize(at);
      else
        bytes[at] ^= std::byte{how};
    }
    // Whoever repeats b's packets from elsewhere may find that b is followed there.
    const Endpoint from = copy || moved_ ? other : address_of(2);
    came_[from] += bytes.size();
    receive(from, std::move(bytes));
  }
  /// A handshake by somebody who knows the secret, perhaps with a fault.
  void handshake(const Endpoint& from) {
    const auto attempt = session::InitiatorHandshake::create(*member_, a_.node->public_key(),
                                                             a_.node->node_id(), member_random_);
    FUZZ_CHECK(attempt);
    Bytes packet =
        wire::make_handshake_packet(attempt->message1(), member_->identity.node_id.value);
    const std::uint8_t faults = script_.u8() % 4;
    for (int i = 0; i < faults; ++i)
      packet[script_.u16() % packet.size()] ^= std::byte{script_.u8()};
    stranger(from, std::move(packet));
  }
  void talk(Machine& from, Machine& to, bool reliable) {
    auto gate = from.node->open_stream(
        now(), to.node->node_id(),
        {StreamId{script_.u8() % 12u}, reliable, 65'536, 1, session::Priority::kNormal});
    if (!gate) return;
    session::BatchCost cost;
    const std::size_t size = script_.u16() % 20'000;
    if (size > (*gate)->max_event_bytes) return;
    cost.add(size);
    if ((*gate)->try_admit(cost) != session::StreamGate::Admission::kAdmitted) return;
    session::OutboundBatch batch;
    batch.frames = Slab(4 + size);
    store_le<std::uint32_t>(batch.frames.extend(4), static_cast<std::uint32_t>(size));
    if (size != 0) std::memset(batch.frames.extend(size), 0x5A, size);
    batch.cost = cost.bytes();
    batch.event_count = 1;
    batch.packets = 1;
    from.node->send(now(), **gate, std::move(batch));
  }

  /// What a sends to b arrives; what it sends elsewhere is weighed.
  void exchange() {
    for (Datagram& datagram : a_.sent(now())) {
      ++sent_;
      if (const auto header = wire::parse_modern_header(datagram.bytes))
        last_session_ = header->session_id;
      if (datagram.to == address_of(2)) {
        b_.node->handle_datagram(now(), address_of(1), datagram.bytes);
        continue;
      }
      went_[datagram.to] += datagram.bytes.size();
    }
    b_.node->end_of_batch(now());
    for (Datagram& datagram : b_.sent(now())) {
      if (to_a_.size() < 512) to_a_.push_back(std::move(datagram.bytes));
    }
  }
  void pass(Duration duration) {
    const TimePoint end = now().monotonic + duration;
    for (int i = 0; i < 64; ++i) {
      exchange();
      std::optional<TimePoint> next;
      for (const Machine* machine : {&a_, &b_}) {
        const auto due = machine->node->next_timeout();
        if (due && (!next || *due < *next)) next = due;
      }
      if (!next || *next > end) break;
      clock_ += std::max(Duration::zero(), *next - now().monotonic);
      a_.node->handle_timeout(now());
      b_.node->handle_timeout(now());
    }
    clock_ = std::max(clock_, end - TimePoint(std::chrono::hours(1)));
    a_.node->handle_timeout(now());
    b_.node->handle_timeout(now());
  }

  Script& script_;
  const std::uint8_t shape_;
  Duration clock_{};
  Machine a_, b_;
  std::optional<session::HandshakeContext> member_;
  ScriptRandom member_random_{99};
  std::deque<Bytes> to_a_;
  std::map<Endpoint, std::uint64_t> came_, went_;
  std::uint64_t received_ = 0, sent_ = 0;
  SessionId last_session_;
  bool moved_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  crypto::initialize();
  Script script(fuzz::input_bytes(data, size));
  World(script).run();
  return 0;
}
