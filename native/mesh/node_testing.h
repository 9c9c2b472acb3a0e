#pragma once
// Nodes in tests: real machines without sockets, a clock that the test moves, and what their sink
// was told.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "mesh/node.h"

namespace netmesh::mesh::testing {

class SeededRandom final : public RandomSource {
 public:
  explicit SeededRandom(std::uint64_t seed) : engine_(seed) {}
  void fill(MutableByteSpan out) override {
    for (std::byte& b : out) b = static_cast<std::byte>(engine_());
  }

 private:
  std::mt19937_64 engine_;
};

struct RecordingSink final : NodeSink {
  std::map<RequestId, Expected<void>> connects;
  std::map<RequestId, Expected<Endpoint>> accepts;
  struct Down {
    NodeId peer;
    DownReason reason;
    std::string text;
  };
  std::vector<NodeId> ups;
  std::vector<Down> downs;
  std::vector<std::pair<NodeId, StreamId>> opened;
  std::size_t delivered = 0, finished = 0;
  std::vector<std::uint64_t> shutdowns;
  std::map<RequestId, Expected<PublishReport>> publishes;

  void connect_done(RequestId request, Expected<void> result) override {
    EXPECT_TRUE(connects.emplace(request, std::move(result)).second);
  }
  void accept_done(RequestId request, Expected<Endpoint> result) override {
    EXPECT_TRUE(accepts.emplace(request, std::move(result)).second);
  }
  void publish_done(RequestId request, Expected<PublishReport> report) override {
    EXPECT_TRUE(publishes.emplace(request, std::move(report)).second);
  }
  void peer_up(NodeId peer, const Endpoint&, SecurityMode) override { ups.push_back(peer); }
  void peer_down(NodeId peer, DownReason reason, const std::string& text) override {
    downs.push_back({peer, reason, text});
  }
  void stream_opened(StreamRef, NodeId peer, StreamId stream, bool) override {
    opened.emplace_back(peer, stream);
  }
  void deliver(StreamRef, std::uint64_t, std::uint32_t, ByteSpan, ByteSpan) override {
    ++delivered;
  }
  void stream_finished(StreamRef, StreamEnd) override { ++finished; }
  void credit_available(NodeId, StreamId, std::uint64_t) override {}
  void shutdown_done(const std::vector<UnacknowledgedStream>& left) override {
    std::uint64_t bytes = 0;
    for (const UnacknowledgedStream& stream : left) bytes += stream.bytes;
    shutdowns.push_back(bytes);
  }
};

inline NodeConfig make_config(int identity) {
  crypto::initialize();
  NodeConfig config;
  config.identity_seed.assign(32, static_cast<std::byte>(identity));
  config.psk.fill(std::byte{0x42});
  return config;
}

inline Endpoint address_of(int number) {
  return Endpoint::ipv4(10, 0, 0, static_cast<std::uint8_t>(number), 7'000);
}

struct Datagram {
  Endpoint to;
  Bytes bytes;
};

/// A node with its address, its sink and a clock that the test moves.
struct TestNode {
  explicit TestNode(int number, NodeConfig config)
      : address(address_of(number)),
        random(static_cast<std::uint64_t>(number)),
        node(std::move(config), random, sink, now()) {}
  explicit TestNode(int number) : TestNode(number, make_config(number)) {}

  Now now() const {
    return {TimePoint(std::chrono::hours(1)) + clock, 1'800'000'000'000'000'000 + clock.count()};
  }
  std::vector<Datagram> sent() {
    std::vector<Datagram> out;
    bool more = true;
    while (more) {
      batch.clear();
      more = node.poll_transmit(now(), batch);
      for (const auto& datagram : batch.datagrams()) {
        const MutableByteSpan bytes = batch.bytes_of(datagram);
        out.push_back({datagram.to, Bytes(bytes.begin(), bytes.end())});
      }
    }
    return out;
  }
  void receive(const Endpoint& from, Bytes bytes) {
    node.handle_datagram(now(), from, bytes);
    node.end_of_batch(now());
  }
  /// Lets time pass in the steps that the node asks for.
  std::vector<Datagram> pass(Duration duration) {
    std::vector<Datagram> out = sent();
    const Duration end = clock + duration;
    while (true) {
      const auto next = node.next_timeout();
      const Duration until = next ? *next - TimePoint(std::chrono::hours(1)) : end;
      if (until > end || !next) break;
      clock = std::max(clock, until);
      node.handle_timeout(now());
      for (Datagram& datagram : sent()) out.push_back(std::move(datagram));
    }
    clock = end;
    return out;
  }
  RequestId connect(const TestNode& peer, const ConnectOptions& options = {}) {
    return node.connect(now(), peer.address, peer.node.public_key(), peer.node.node_id(), options);
  }

  Endpoint address;
  SeededRandom random;
  RecordingSink sink;
  Duration clock{};
  Node node;
  TransmitBatch batch;
};

/// Carries datagrams between nodes until all is quiet; what goes to nobody is returned.
inline std::vector<Datagram> carry(const std::vector<TestNode*>& nodes) {
  std::vector<Datagram> strays;
  bool any = true;
  while (any) {
    any = false;
    for (TestNode* from : nodes) {
      for (Datagram& datagram : from->sent()) {
        any = true;
        const auto to = std::find_if(nodes.begin(), nodes.end(),
                                     [&](TestNode* n) { return n->address == datagram.to; });
        if (to == nodes.end())
          strays.push_back(std::move(datagram));
        else
          (*to)->receive(from->address, std::move(datagram.bytes));
      }
    }
  }
  return strays;
}

struct Pair : ::testing::Test {
  void connect() {
    a.node.start(a.now());
    b.node.start(b.now());
    const RequestId request = a.connect(b);
    carry({&a, &b});
    ASSERT_TRUE(a.sink.connects.contains(request));
    ASSERT_TRUE(a.sink.connects.at(request).has_value());
    ASSERT_EQ(b.sink.ups.size(), 1u);
  }
  TestNode a{1}, b{2};
};

}  // namespace netmesh::mesh::testing
