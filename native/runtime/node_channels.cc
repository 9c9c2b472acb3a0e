// Channels of a running node.

#include "channel/errors.h"
#include "channel/name.h"
#include "runtime/node.h"
#include "runtime/node_impl.h"

namespace netmesh::runtime {

Expected<void> Node::register_channel(channel::ChannelConfig config) {
  if (!impl_->engine->accepts_work()) return shut_down();
  Expected<void> result = shut_down();
  impl_->engine->command([&](mesh::Node& machine, Now) {
    result = machine.broker().register_channel(std::move(config));
  });
  return result;
}

Expected<bool> Node::unregister_channel(std::string_view name) {
  const auto parsed = channel::ChannelName::parse(name);
  if (!parsed) return tl::unexpected<Error>(parsed.error());
  if (!impl_->engine->accepts_work()) return shut_down();
  bool known = false;
  impl_->engine->command([&](mesh::Node& machine, Now) {
    known = machine.broker().unregister_channel(parsed->text());
  });
  return known;
}

Expected<std::uint64_t> Node::subscribe(std::uint64_t publisher, std::string_view channel,
                                        channel::SubscribeOptions options) {
  const auto name = channel::ChannelName::parse(channel);
  if (!name) return tl::unexpected<Error>(name.error());
  if (!impl_->engine->accepts_work()) return shut_down();
  Expected<std::uint64_t> result = shut_down();
  impl_->engine->command([&](mesh::Node& machine, Now now) {
    const auto request = machine.subscribe(now, NodeId(publisher), *name, std::move(options));
    if (request)
      result = request->value;
    else
      result = tl::unexpected<Error>(request.error());
  });
  return result;
}

Expected<std::uint64_t> Node::unsubscribe(std::uint64_t publisher, std::string_view channel) {
  const auto name = channel::ChannelName::parse(channel);
  if (!name) return tl::unexpected<Error>(name.error());
  if (!impl_->engine->accepts_work()) return shut_down();
  Expected<std::uint64_t> result = shut_down();
  impl_->engine->command([&](mesh::Node& machine, Now now) {
    const auto request = machine.unsubscribe(now, NodeId(publisher), *name);
    if (request)
      result = request->value;
    else
      result = tl::unexpected<Error>(request.error());
  });
  return result;
}

void Node::cancel_membership(std::uint64_t request) {
  impl_->engine->command([&](mesh::Node& machine, Now now) {
    machine.cancel_membership(now, channel::RequestId(request));
  });
}

Expected<std::uint32_t> Node::publish(std::string_view channel, const EventView* payloads,
                                      std::size_t count, const PublishOptions& options) {
  auto name = channel::ChannelName::parse(channel);
  if (!name) return tl::unexpected<Error>(name.error());
  if (!impl_->engine->accepts_work()) return shut_down();
  std::vector<std::uint32_t> sizes(count);
  for (std::size_t i = 0; i < count; ++i) {
    if (payloads[i].length > impl_->max_message_bytes) {
      return fail(ErrorKind::kChannel, "channel: payload of " + std::to_string(payloads[i].length) +
                                           " bytes exceeds the limit of " +
                                           std::to_string(impl_->max_message_bytes) + " bytes");
    }
    sizes[i] = static_cast<std::uint32_t>(payloads[i].length);
  }
  const std::uint32_t request = impl_->next_publish++;
  session::OutboundBatch batch = make_batch(payloads, count, cost_of(payloads, count));
  const mesh::PublishOptions how{options.reliable, static_cast<mesh::OnFailure>(options.on_failure),
                                 options.max_inflight};
  if (!impl_->engine->publish(
          {request, std::move(*name), std::move(batch.frames), std::move(sizes), how}))
    return shut_down();
  return request;
}

std::vector<channel::Broker::ChannelInfo> Node::channels() const {
  std::vector<channel::Broker::ChannelInfo> out;
  impl_->engine->inspect([&](const mesh::Node& machine) { out = machine.broker().channels(); });
  return out;
}

std::vector<std::uint64_t> Node::subscribers(std::string_view channel) const {
  std::vector<std::uint64_t> out;
  impl_->engine->inspect([&](const mesh::Node& machine) {
    for (const NodeId node : machine.broker().subscribers(channel)) out.push_back(node.value);
  });
  return out;
}

std::vector<channel::Subscriber::Subscription> Node::subscriptions() const {
  std::vector<channel::Subscriber::Subscription> out;
  impl_->engine->inspect(
      [&](const mesh::Node& machine) { out = machine.subscriptions().subscriptions(); });
  return out;
}

Expected<void> Node::install_credential(ByteSpan credential) {
  if (!impl_->engine->accepts_work()) return shut_down();
  Expected<void> result = shut_down();
  impl_->engine->command([&](mesh::Node& machine, Now now) {
    const auto installed = machine.install_credential(now, credential);
    if (installed)
      result = {};
    else
      result = tl::unexpected<Error>(identity::to_error(installed.error()));
  });
  return result;
}

Expected<void> Node::revoke_below(ByteSpan issuer32, std::uint32_t floor) {
  identity::EntityId issuer{};
  if (issuer32.size() != issuer.size()) {
    return fail(ErrorKind::kIdentity,
                "identity: entity_id must be 32 bytes, got " + std::to_string(issuer32.size()));
  }
  std::copy(issuer32.begin(), issuer32.end(), issuer.begin());
  if (!impl_->engine->accepts_work()) return shut_down();
  bool stored = false;
  impl_->engine->command(
      [&](mesh::Node& machine, Now now) { stored = machine.revoke_below(now, issuer, floor); });
  if (!stored) return fail(ErrorKind::kIdentity, "identity: too many issuers have revocations");
  return {};
}

}  // namespace netmesh::runtime
