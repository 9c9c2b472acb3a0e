// Membership messages: what decodes is written back, as itself up to the forms of old writers, and
// neither side of a channel trips over it, whoever sends it.

#include "channel/broker.h"
#include "channel/subscriber.h"
#include "fuzz.h"

using namespace netmesh;
using namespace netmesh::channel;

namespace {

/// Repeats one byte: nothing here depends on good randomness.
class PlainRandom final : public RandomSource {
 public:
  void fill(MutableByteSpan out) override {
    std::fill(out.begin(), out.end(), static_cast<std::byte>(++count_));
  }

 private:
  std::uint8_t count_ = 0;
};

class PlainHost final : public BrokerHost {
 public:
  std::optional<identity::SubnetId> subnet_of(NodeId /*peer*/) const override { return {}; }
  std::optional<bool> satisfies(NodeId /*node*/, const capability::Filter& /*filter*/,
                                TimePoint /*now*/) const override {
    return {};
  }
};

const char* const kNames[] = {"a", "lab/x", "secret"};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteSpan input = fuzz::input_bytes(data, size);
  const auto message = decode(input);
  if (message) {
    const Bytes written = encode(*message);
    FUZZ_CHECK(written.size() <= size + 2);
    const auto again = decode(written);
    FUZZ_CHECK(again && again->index() == message->index() && encode(*again) == written);
  }

  // The input as a run of messages: a length byte each, from a base and from a modern peer in turn.
  PlainHost host;
  PlainRandom random;
  identity::TokenCache tokens;
  const identity::RevocationRegistry revocations;
  Broker broker(host, tokens, revocations, random, {});
  Subscriber subscriber(random);
  const Now now{TimePoint(Duration(1)), 1'700'000'000'000'000'000};
  for (const char* name : kNames) {
    ChannelConfig config{.name = *ChannelName::parse(name)};
    config.require_token = config.name.text() == "secret";
    config.prefix = config.name.text() == "a";
    FUZZ_CHECK(broker.register_channel(config).has_value());
  }
  for (const bool modern : {false, true}) {
    const NodeId peer(modern ? 2 : 1);
    broker.peer_up(peer, {.modern = modern, .entity = identity::EntityId{}});
    subscriber.peer_up(now, peer, {modern});
    FUZZ_CHECK(subscriber.subscribe(now, peer, *ChannelName::parse("lab/x")).has_value());
  }
  bool modern = false;
  for (ByteSpan rest = input; !rest.empty(); modern = !modern) {
    const auto length = std::min(rest.size() - 1, static_cast<std::size_t>(rest[0]));
    const ByteSpan one = rest.subspan(1, length);
    rest = rest.subspan(1 + length);
    const NodeId from(modern ? 2 : 1);
    if (broker.handle(now, from, one) == Received::kForSubscriber)
      subscriber.handle(now, from, one);
  }
  std::size_t members = 0;
  for (const auto& info : broker.channels()) members += info.subscribers;
  FUZZ_CHECK(members == broker.subscriptions());
  FUZZ_CHECK(broker.recipients(now, *ChannelName::parse("secret")).nodes.empty());
  while (auto out = broker.poll_transmit()) FUZZ_CHECK(decode(out->message).has_value());
  while (subscriber.poll_event()) continue;
  for (const bool each : {false, true}) {
    broker.peer_down(NodeId(each ? 2 : 1));
    subscriber.peer_down(now, NodeId(each ? 2 : 1));
  }
  FUZZ_CHECK(broker.subscriptions() == 0);
  return 0;
}
