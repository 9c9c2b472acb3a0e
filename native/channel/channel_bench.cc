#include <benchmark/benchmark.h>
#include <malloc.h>

#include "channel/channel_testing.h"
#include "channel/guard.h"
#include "crypto/secret.h"

namespace netmesh::channel {
namespace {

using testing::at;
using testing::config_of;
using testing::identity_of;
using testing::name_of;
using testing::Random;
using testing::TestHost;

/// One check of a recipient against `range(0)` grants, in an order that defeats prefetching.
void guard_allows(benchmark::State& state) {
  const auto grants = static_cast<std::uint64_t>(state.range(0));
  AuthGuard guard(1);
  Random random(1);
  std::vector<NodeId> nodes;
  const ChannelNumber channel(1);
  for (std::uint64_t n = 0; n < grants; ++n) {
    nodes.emplace_back(random.u64());
    guard.grant(nodes.back(), channel);
  }
  std::size_t next = 0;
  for (auto _ : state) {
    next = (next + 7919) % nodes.size();
    benchmark::DoNotOptimize(guard.check(nodes[next], channel));
  }
}
BENCHMARK(guard_allows)->Arg(32)->Arg(1000)->Arg(100'000);

/// The same for who has no grant.
void guard_denies(benchmark::State& state) {
  AuthGuard guard(1);
  Random random(1);
  const ChannelNumber channel(1);
  for (std::int64_t n = 0; n < state.range(0); ++n) guard.grant(NodeId(random.u64()), channel);
  std::uint64_t stranger = 1;
  for (auto _ : state) {
    stranger = stranger * 6364136223846793005ULL + 1442695040888963407ULL;
    benchmark::DoNotOptimize(guard.check(NodeId(stranger), channel));
  }
}
BENCHMARK(guard_denies)->Arg(1000)->Arg(100'000);

/// A broker with subscribers, with or without tokens.
struct Setup {
  Setup(std::size_t subscribers, bool tokens_required)
      : broker(host, tokens, revocations, random, options()) {
    ChannelConfig config = config_of("sensors/temp");
    config.require_token = tokens_required;
    if (!broker.register_channel(config)) std::abort();
    for (std::size_t n = 0; n < subscribers; ++n) {
      const auto peer = identity_of(n + 1);
      broker.peer_up(peer.node_id, {.modern = false, .entity = peer.entity_id()});
    }
    while (broker.poll_transmit()) continue;
    before = mallinfo2().uordblks;
    for (std::size_t n = 0; n < subscribers; ++n) {
      const auto peer = identity_of(n + 1);
      Subscribe request{n, name_of("sensors/temp"), {}, {}};
      if (tokens_required) {
        request.credential = testing::bytes_of(testing::token_of(
            self, peer.entity_id(), "sensors/temp", identity::kScopeSubscribe, 1'000'000));
      }
      broker.handle(at(0), peer.node_id, encode(request));
      while (broker.poll_transmit()) continue;
    }
    after = mallinfo2().uordblks;
    if (broker.subscriptions() != subscribers) std::abort();
  }
  Broker::Options options() {
    Broker::Options out;
    out.self = self.node_id;
    out.entity = self.entity_id();
    return out;
  }

  identity::LocalIdentity self = identity_of(0);
  Random random{1};
  TestHost host;
  identity::TokenCache tokens;
  identity::RevocationRegistry revocations;
  Broker broker;
  std::size_t before = 0, after = 0;
};

/// Who gets one publish: range(0) subscribers, range(1) with tokens.
void recipients(benchmark::State& state) {
  crypto::initialize();
  Setup setup(static_cast<std::size_t>(state.range(0)), state.range(1) != 0);
  const ChannelName name = name_of("sensors/temp");
  const Now now = at(1);
  for (auto _ : state) benchmark::DoNotOptimize(setup.broker.recipients(now, name).nodes.size());
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(recipients)->Args({32, 0})->Args({1000, 0})->Args({32, 1})->Args({1000, 1});

/// Heap bytes that one more subscriber of a channel costs.
void memory_per_subscriber(benchmark::State& state) {
  crypto::initialize();
  double bytes = 0;
  for (auto _ : state) {
    const Setup setup(static_cast<std::size_t>(state.range(0)), state.range(1) != 0);
    bytes = static_cast<double>(setup.after - setup.before) / static_cast<double>(state.range(0));
  }
  state.counters["bytes_each"] = bytes;
}
BENCHMARK(memory_per_subscriber)
    ->Args({1000, 0})
    ->Args({10'000, 0})
    ->Args({1000, 1})
    ->Args({10'000, 1})
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

/// A Subscribe to an open channel, from bytes to its Ack.
void subscribe(benchmark::State& state) {
  Setup setup(1000, false);
  const Bytes message = encode(Subscribe{1, name_of("sensors/temp"), {}, {}});
  const NodeId peer = identity_of(1).node_id;
  for (auto _ : state) {
    setup.broker.handle(at(0), peer, message);
    benchmark::DoNotOptimize(setup.broker.poll_transmit());
  }
}
BENCHMARK(subscribe);

}  // namespace
}  // namespace netmesh::channel
