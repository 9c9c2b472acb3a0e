// What a running node tells and knows about capabilities.

#include "runtime/clock.h"
#include "runtime/node.h"
#include "runtime/node_impl.h"

namespace netmesh::runtime {

Expected<void> Node::announce(capability::CapabilitySet set, std::optional<std::uint32_t> ttl_secs,
                              bool sign) {
  if (!impl_->engine->accepts_work()) return shut_down();
  Expected<void> result = shut_down();
  impl_->engine->command([&](mesh::Node& machine, Now now) {
    result = machine.announce(now, std::move(set), ttl_secs, sign);
  });
  return result;
}

void Node::ask_capabilities(
    const std::function<void(const capability::CapabilityIndex&, TimePoint)>& ask) const {
  impl_->engine->inspect(
      [&](const mesh::Node& machine) { ask(machine.capabilities(), read_clocks().monotonic); });
}

Expected<std::uint32_t> Node::watch_capabilities(capability::Filter filter,
                                                 std::optional<capability::ScopeFilter> scope) {
  if (!impl_->engine->accepts_work()) return shut_down();
  Expected<std::uint32_t> result = shut_down();
  impl_->engine->command([&](mesh::Node& machine, Now) {
    const auto id = machine.watch_capabilities(std::move(filter), std::move(scope));
    if (id)
      result = id->value;
    else
      result = tl::unexpected<Error>(id.error());
  });
  return result;
}

void Node::unwatch_capabilities(std::uint32_t watch) {
  impl_->engine->command(
      [&](mesh::Node& machine, Now) { machine.unwatch_capabilities(capability::WatchId(watch)); });
}

std::vector<capability::WatchEvent> Node::poll_watch(std::uint32_t watch) {
  std::vector<capability::WatchEvent> events;
  impl_->engine->command([&](mesh::Node& machine, Now now) {
    events = machine.poll_watch(now, capability::WatchId(watch));
  });
  return events;
}

void Node::inject_synthetic_peer(std::uint64_t node) {
  impl_->engine->command(
      [&](mesh::Node& machine, Now now) { machine.inject_synthetic_peer(now, NodeId(node)); });
}

capability::Received Node::take_announcement(std::uint64_t from, std::string_view document) {
  capability::Received received = capability::Received::kForeign;
  impl_->engine->command([&](mesh::Node& machine, Now now) {
    received = machine.take_announcement(now, NodeId(from), document);
  });
  return received;
}

}  // namespace netmesh::runtime
