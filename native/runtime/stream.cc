#include "runtime/stream.h"

#include <utility>

#include "runtime/event_batch.h"

namespace netmesh::runtime {
namespace {

/// The most events from the front that the gate has credit for, and their cost.
std::size_t affordable(const session::StreamGate& gate, const EventView* events, std::size_t count,
                       session::BatchCost& cost) {
  for (std::size_t i = 0; i < count; ++i) {
    session::BatchCost next = cost;
    next.add(events[i].length);
    if (!gate.fits(static_cast<std::int64_t>(next.bytes()))) return i;
    cost = next;
  }
  return count;
}

}  // namespace

Stream::Stream(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Stream::~Stream() = default;

std::uint64_t Stream::peer() const { return impl_->gate->peer.value; }
std::uint64_t Stream::stream_id() const { return impl_->gate->config.stream_id.value; }
std::uint64_t Stream::epoch() const { return impl_->gate->epoch; }
std::uint32_t Stream::window_bytes() const { return impl_->gate->config.window_bytes; }
std::uint32_t Stream::max_event_bytes() const { return impl_->gate->max_event_bytes; }
bool Stream::closed() const { return !impl_->engine->accepts_work() || impl_->gate->closed(); }

Stream::Result Stream::send(const EventView* events, std::size_t count, bool partial) {
  session::StreamGate& gate = *impl_->gate;
  if (!impl_->engine->accepts_work()) return {Status::kShutDown, 0};
  if (gate.closed()) return {Status::kNotConnected, 0};
  if (count == 0) return {Status::kSent, 0};

  session::BatchCost cost;
  std::size_t taken = count;
  if (partial)
    taken = affordable(gate, events, count, cost);
  else
    cost = cost_of(events, count);
  if (taken == 0) cost.add(events[0].length);  // refused below, and counted there

  switch (gate.try_admit(cost)) {
    case session::StreamGate::Admission::kClosed:
      return {Status::kNotConnected, 0};
    case session::StreamGate::Admission::kBackpressure:
      return {Status::kBackpressure, 0};
    case session::StreamGate::Admission::kAdmitted:
      break;
  }
  if (taken == 0) taken = 1;  // credit came in between
  if (!impl_->engine->send(impl_->gate, make_batch(events, taken, cost)))
    return {Status::kShutDown, 0};
  return {taken == count ? Status::kSent : Status::kBackpressure, taken};
}

Expected<void> Stream::check(const EventView* events, std::size_t count) const {
  const session::StreamGate& gate = *impl_->gate;
  const std::uint64_t window = gate.config.window_bytes;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t length = events[i].length;
    if (length > gate.max_event_bytes) {
      return fail(ErrorKind::kTooLarge,
                  "stream transport error: event of " + std::to_string(length) +
                      " bytes exceeds the limit of " + std::to_string(gate.max_event_bytes) +
                      " bytes on this stream");
    }
    if (window == 0) continue;
    const std::uint64_t cost = cost_of(events + i, 1).bytes();
    if (cost > window) {
      return fail(ErrorKind::kBackpressure,
                  "stream would block: an event of " + std::to_string(length) + " bytes costs " +
                      std::to_string(cost) +
                      " bytes of credit, more than the stream's whole window of " +
                      std::to_string(window) + " bytes");
    }
  }
  return {};
}

bool Stream::want_credit(std::size_t next_event_bytes) {
  session::StreamGate& gate = *impl_->gate;
  session::BatchCost cost;
  cost.add(next_event_bytes);
  const auto bytes = static_cast<std::int64_t>(cost.bytes());
  if (closed() || gate.fits(bytes)) return false;
  gate.want_credit(bytes);
  // What came between the question and the wish would not be reported.
  return !closed() && !gate.fits(bytes);
}

}  // namespace netmesh::runtime
