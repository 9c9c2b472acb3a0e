#include "runtime/inbox.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include "base/prefetch.h"

namespace netmesh::runtime {
namespace {

const char* reason_text(mesh::DownReason reason) {
  switch (reason) {
    case mesh::DownReason::kGoodbye:
      return "goodbye";
    case mesh::DownReason::kTimeout:
      return "timeout";
    case mesh::DownReason::kReplaced:
      return "replaced";
    case mesh::DownReason::kProtocolViolation:
      return "protocol violation";
    case mesh::DownReason::kShutdown:
      return "shutdown";
    case mesh::DownReason::kRestarted:
      return "restarted";
  }
  return "unknown";
}

}  // namespace

ControlEvent& Inbox::add_event(ControlEvent::Kind kind) {
  ControlEvent& event = written_.events.emplace_back();
  event.kind = kind;
  event.at = written_messages_;
  return event;
}

void Inbox::connect_done(mesh::RequestId request, Expected<void> result) {
  ControlEvent& event = add_event(ControlEvent::Kind::kConnectDone);
  event.request = request;
  if (!result) event.error = std::move(result.error());
}

void Inbox::accept_done(mesh::RequestId request, Expected<Endpoint> result) {
  ControlEvent& event = add_event(ControlEvent::Kind::kAcceptDone);
  event.request = request;
  if (result)
    event.text = result->to_string();
  else
    event.error = std::move(result.error());
}

void Inbox::peer_up(NodeId peer, const Endpoint& address, mesh::SecurityMode mode) {
  ControlEvent& event = add_event(ControlEvent::Kind::kPeerUp);
  event.peer = peer.value;
  event.text = address.to_string();
  event.flag = mode == mesh::SecurityMode::kModern;
}

void Inbox::peer_down(NodeId peer, mesh::DownReason reason, const std::string& text) {
  ControlEvent& event = add_event(ControlEvent::Kind::kPeerDown);
  event.peer = peer.value;
  event.text = reason_text(reason);
  if (!text.empty() && text != event.text) event.text += ": " + text;
}

void Inbox::stream_opened(mesh::StreamRef ref, NodeId peer, StreamId stream, bool reliable) {
  ControlEvent& event = add_event(ControlEvent::Kind::kStreamOpened);
  event.stream_ref = ref;
  event.peer = peer.value;
  event.stream_id = stream.value;
  event.flag = reliable;
}

void Inbox::stream_finished(mesh::StreamRef ref, mesh::StreamEnd end) {
  ControlEvent& event = add_event(ControlEvent::Kind::kStreamFinished);
  event.stream_ref = ref;
  event.flag = end == mesh::StreamEnd::kFinished;
}

void Inbox::credit_available(NodeId peer, StreamId stream, std::uint64_t epoch) {
  ControlEvent& event = add_event(ControlEvent::Kind::kCreditAvailable);
  event.peer = peer.value;
  event.stream_id = stream.value;
  event.epoch = epoch;
}

void Inbox::path_changed(NodeId peer, const Endpoint& address) {
  ControlEvent& event = add_event(ControlEvent::Kind::kPeerMoved);
  event.peer = peer.value;
  event.text = address.to_string();
}

void Inbox::watches_ready() { add_event(ControlEvent::Kind::kWatchesReady); }

void Inbox::shutdown_done(const std::vector<mesh::UnacknowledgedStream>& left) {
  ControlEvent& event = add_event(ControlEvent::Kind::kShutdownDone);
  for (const mesh::UnacknowledgedStream& stream : left)
    event.unacknowledged.push_back(
        {stream.peer.value, stream.stream.value, stream.bytes, stream.events});
}

/// The block that the next event of `bytes` bytes goes into.
DeliveryBlock& Inbox::block_for(std::size_t bytes) {
  auto& blocks = written_.blocks;
  if (!blocks.empty() && blocks.back().bytes.room() >= bytes) return blocks.back();
  const bool lone = blocks.empty() && !application_busy_.load(std::memory_order_relaxed);
  const std::size_t capacity = std::max(bytes, lone ? kSmallBlockBytes : kBlockBytes);
  return blocks.emplace_back(DeliveryBlock{Slab(capacity), {}});
}

void Inbox::deliver(mesh::StreamRef ref, std::uint64_t sequence, std::uint32_t index,
                    ByteSpan first, ByteSpan second) {
  const std::size_t length = first.size() + second.size();
  DeliveryBlock& block = block_for(length);
  const auto offset = static_cast<std::uint32_t>(block.bytes.size());
  std::byte* at = block.bytes.extend(length);
  prefetch_ahead(at, length);
  if (!first.empty()) std::memcpy(at, first.data(), first.size());
  if (!second.empty()) std::memcpy(at + first.size(), second.data(), second.size());
  const std::uint32_t words[DeliveryBlock::kMetaWords] = {
      offset, static_cast<std::uint32_t>(length),   ref,
      index,  static_cast<std::uint32_t>(sequence), static_cast<std::uint32_t>(sequence >> 32)};
  block.meta.insert(block.meta.end(), std::begin(words), std::end(words));
  ++written_messages_;
}

void Inbox::append_to_ready() {
  for (ControlEvent& event : written_.events) {
    event.at += ready_messages_;
    ready_.events.push_back(std::move(event));
  }
  auto blocks = written_.blocks.begin();
  // A busy application is fed through few full blocks rather than many nearly empty ones.
  if (written_.blocks.size() == 1 && !ready_.blocks.empty()) {
    DeliveryBlock& from = written_.blocks.front();
    DeliveryBlock& into = ready_.blocks.back();
    if (from.bytes.size() <= into.bytes.room()) {
      const auto shift = static_cast<std::uint32_t>(into.bytes.size());
      if (from.bytes.size() > 0) {
        std::memcpy(into.bytes.extend(from.bytes.size()), from.bytes.data(), from.bytes.size());
      }
      const std::size_t words = into.meta.size();
      into.meta.insert(into.meta.end(), from.meta.begin(), from.meta.end());
      for (std::size_t i = words; i < into.meta.size(); i += DeliveryBlock::kMetaWords)
        into.meta[i] += shift;
      ++blocks;
    }
  }
  std::move(blocks, written_.blocks.end(), std::back_inserter(ready_.blocks));
}

void Inbox::publish() {
  if (written_.events.empty() && written_.blocks.empty()) return;
  bool was_empty = false;
  {
    const std::lock_guard lock(mutex_);
    was_empty = ready_.events.empty() && ready_.blocks.empty();
    if (was_empty)
      std::swap(ready_, written_);
    else
      append_to_ready();
    ready_messages_ += written_messages_;
    application_busy_.store(!was_empty, std::memory_order_relaxed);
  }
  written_.events.clear();
  written_.blocks.clear();
  written_messages_ = 0;
  if (was_empty && on_ready_) on_ready_();
}

Drained Inbox::drain() {
  const std::lock_guard lock(mutex_);
  ready_messages_ = 0;
  return std::exchange(ready_, {});
}

}  // namespace netmesh::runtime
