#include "sim/traffic.h"

#include <algorithm>

namespace netmesh::sim {

LinkConfig rough_link() {
  LinkConfig link;
  link.loss = 0.3;
  link.duplicate = 0.1;
  link.corrupt = 0.03;
  link.delay = milliseconds(4);
  link.jitter = milliseconds(12);
  return link;
}

bool connect(World& world, SimNode& a, SimNode& b, const mesh::ConnectOptions& options) {
  const mesh::RequestId request = a.connect(b, options);
  if (!world.run_until(
          "a connect is resolved", [&] { return a.connected(request) != nullptr; }, seconds(60))) {
    return false;
  }
  const Expected<void>& result = *a.connected(request);
  if (!result) world.fail("connect failed: " + result.error().message);
  return wait_for_session(world, a, b);
}

bool wait_for_session(World& world, SimNode& a, SimNode& b) {
  const auto heard = [](const SimNode& node, const SimNode& peer) {
    const auto peers = node.machine().peers();
    return std::any_of(peers.begin(), peers.end(), [&](const mesh::PeerInfo& info) {
      return info.node_id == peer.id() && info.alive && info.packets_received > 0;
    });
  };
  return world.run_until(
      "both ends hear each other", [&] { return heard(a, b) && heard(b, a); }, minutes(3));
}

void SameSession::check(World& world) const {
  world.expect(count() == events_ && a_.is_up(b_) && b_.is_up(a_), "the session lives on");
}

Bytes random_message(SimRandom& random, std::size_t size) { return random.bytes(size); }

std::size_t random_size(SimRandom& random, std::size_t largest) {
  if (random.chance(0.25)) return random.below(largest + 1);
  std::size_t bits = 0;
  while ((largest >> bits) != 0) ++bits;
  const std::size_t magnitude = std::size_t{1} << random.below(bits + 1);
  return std::min<std::size_t>(largest, random.below(magnitude));
}

Flow::Flow(SimNode& from, SimNode& to, const session::StreamConfig& config, std::size_t opening)
    : from_(from),
      to_(to),
      config_(config),
      opening_(opening),
      sender_(std::make_unique<StreamSender>(from, to.id(), config)) {
  from.world().expect(sender_->gate() != nullptr, name() + " could not be opened");
}

std::string Flow::name() const {
  return "stream " + std::to_string(config_.stream_id.value) + " opening " +
         std::to_string(opening_) + " from " + from_.name() + " to " + to_.name();
}

const ReceivedStream* Flow::received() const {
  return to_.stream(from_.id(), config_.stream_id, opening_);
}

void Flow::push(SimRandom& random, std::size_t size) {
  while (!sender_->can_carry(size)) size /= 2;
  sender_->push(random_message(random, size));
}

bool Flow::complete() const {
  if (!sender_->idle()) return false;
  const ReceivedStream* stream = received();
  if (stream == nullptr) return sender_->sent().empty() && !sender_->closed();
  if (stream->messages.size() < sender_->sent().size()) return false;
  return !sender_->closed() || stream->end.has_value();
}

void Flow::check_prefix(World& world) const {
  const ReceivedStream* stream = received();
  if (stream == nullptr) return;
  const auto& sent = sender_->sent();
  world.expect(stream->reliable == config_.reliable, name() + " arrives in the wrong mode");
  if (!world.expect(stream->messages.size() <= sent.size(),
                    name() + " delivers more than was sent")) {
    return;
  }
  for (std::size_t i = 0; i < stream->messages.size(); ++i) {
    const ReceivedMessage& message = stream->messages[i];
    if (!world.expect(message.bytes == sent[i],
                      name() + ": message " + std::to_string(i) + " is not what was sent") ||
        !world.expect(message.sequence == i && message.index == 0,
                      name() + ": message " + std::to_string(i) + " has the wrong number")) {
      return;
    }
  }
}

void Flow::check_complete(World& world) const {
  check_prefix(world);
  const ReceivedStream* stream = received();
  if (stream == nullptr) {
    world.expect(sender_->sent().empty() && !sender_->closed(), name() + " never arrived");
    return;
  }
  world.expect(stream->messages.size() == sender_->sent().size(), name() + " lost messages");
  if (sender_->closed()) {
    world.expect(stream->end == mesh::StreamEnd::kFinished, name() + " did not end with its FIN");
  } else {
    world.expect(!stream->end, name() + " ended although it was not closed");
  }
}

bool finish_flows(World& world, const std::vector<std::unique_ptr<Flow>>& flows, Duration limit) {
  const auto all_complete = [&] {
    return std::all_of(flows.begin(), flows.end(),
                       [](const auto& flow) { return flow->complete(); });
  };
  world.network.run_until([&] { return !world.ok() || all_complete(); }, limit);
  for (const auto& flow : flows) flow->check_complete(world);
  return world.ok();
}

}  // namespace netmesh::sim
