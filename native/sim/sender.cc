#include "sim/sender.h"

#include <algorithm>

namespace netmesh::sim {

session::OutboundBatch make_batch(std::span<const Bytes> messages) {
  session::BatchCost cost;
  std::size_t size = 0;
  for (const Bytes& message : messages) {
    cost.add(message.size());
    size += wire::kEventFrameHeaderBytes + message.size();
  }
  session::OutboundBatch batch;
  batch.frames = Slab(size);
  for (const Bytes& message : messages) {
    store_le<std::uint32_t>(batch.frames.extend(wire::kEventFrameHeaderBytes),
                            static_cast<std::uint32_t>(message.size()));
    if (message.empty()) continue;
    std::memcpy(batch.frames.extend(message.size()), message.data(), message.size());
  }
  batch.cost = cost.bytes();
  batch.event_count = static_cast<std::uint32_t>(messages.size());
  batch.packets = static_cast<std::uint32_t>(cost.packets());
  return batch;
}

StreamSender::StreamSender(SimNode& node, NodeId peer, const session::StreamConfig& config)
    : node_(node), peer_(peer), config_(config) {
  auto gate = node.call(
      [&](mesh::Node& machine, Now now) { return machine.open_stream(now, peer, config); });
  if (gate) gate_ = std::move(*gate);
  node_.senders_.push_back(this);
}

StreamSender::~StreamSender() { std::erase(node_.senders_, this); }

bool StreamSender::can_carry(std::size_t length) const {
  session::BatchCost cost;
  cost.add(length);
  return gate_ && length <= gate_->max_event_bytes &&
         (config_.window_bytes == 0 || cost.bytes() <= config_.window_bytes);
}

void StreamSender::push(Bytes message) {
  waiting_.push_back(std::move(message));
  if (pump()) node_.settle();
}

void StreamSender::finish() {
  finishing_ = true;
  if (pump()) node_.settle();
}

bool StreamSender::pump() {
  if (!gate_ || closed_) return false;
  bool progress = false;
  while (!waiting_.empty()) {
    session::BatchCost cost;
    std::vector<Bytes> batch;
    while (batch.size() < std::min(batch_events, waiting_.size())) {
      session::BatchCost next = cost;
      next.add(waiting_[batch.size()].size());
      if (!gate_->fits(static_cast<std::int64_t>(next.bytes()))) break;
      cost = next;
      batch.push_back(waiting_[batch.size()]);
    }
    if (batch.empty()) {
      // Asked for before looking again, as the runtime does: credit may come in between.
      cost.add(waiting_.front().size());
      gate_->want_credit(static_cast<std::int64_t>(cost.bytes()));
      if (gate_->closed()) {
        waiting_.clear();
        closed_ = true;
      } else if (gate_->fits(static_cast<std::int64_t>(cost.bytes()))) {
        continue;
      }
      return progress;
    }
    if (gate_->try_admit(cost) != session::StreamGate::Admission::kAdmitted) {
      closed_ = gate_->closed();
      if (closed_) waiting_.clear();
      return progress;
    }
    node_.machine().send(node_.now(), *gate_, make_batch(batch));
    for (Bytes& message : batch) {
      sent_bytes_ += message.size();
      sent_.push_back(std::move(message));
      waiting_.pop_front();
    }
    progress = true;
  }
  if (finishing_ && !closed_) {
    closed_ = true;
    node_.machine().close_stream(node_.now(), peer_, config_.stream_id);
    progress = true;
  }
  return progress;
}

}  // namespace netmesh::sim
