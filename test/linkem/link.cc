#include "linkem/link.h"

#include <algorithm>
#include <utility>

#include "linkem/ip.h"

namespace netmesh::linkem {
namespace {

/// Labels of the streams of chance of one direction.
enum Stream : std::uint64_t { kLoss = 1, kDuplicates, kDamage, kJitter, kReorder };

std::uint64_t stream_seed(std::uint64_t seed, Stream label) {
  return Dice::stream(seed, label).next();
}

}  // namespace

LossModel::Fate LossModel::next(const Conditions& conditions) {
  // Both draws always: what one packet meets does not depend on which conditions came before.
  const double transition = dice_.unit();
  const double draw = dice_.unit();
  if (bad_) {
    if (transition < conditions.burst_end) bad_ = false;
  } else if (transition < conditions.burst_start) {
    bad_ = true;
  }
  if (bad_) return draw < conditions.burst_loss ? Fate::kLostInBurst : Fate::kPasses;
  return draw < conditions.loss ? Fate::kLost : Fate::kPasses;
}

Link::Link(std::uint64_t seed, PacketPool& pool)
    : pool_(pool),
      loss_(stream_seed(seed, kLoss)),
      duplicates_(stream_seed(seed, kDuplicates)),
      damage_(stream_seed(seed, kDamage)),
      jitter_(stream_seed(seed, kJitter)),
      reorder_(stream_seed(seed, kReorder)) {}

void Link::set_conditions(TimePoint now, const Conditions& conditions) {
  run_line(now);
  conditions_ = conditions;
  // A line that has become unlimited has no queue.
  if (conditions_.bits_per_second == 0) {
    line_busy_until_.reset();
    while (!queue_.empty()) {
      Waiting head = std::move(queue_.front());
      queue_.pop_front();
      queued_bytes_ -= head.packet.size();
      held_bytes_ -= head.packet.size();
      launch(now, std::move(head.packet));
    }
  }
}

Link::Submission Link::submit(TimePoint now, Packet& packet) {
  const std::size_t size = packet.size();
  ++counters_.packets_in;
  counters_.bytes_in += size;
  if (conditions_.mtu != 0 && size > conditions_.mtu) {
    ++counters_.too_big;
    return Submission::kTooBig;
  }
  run_line(now);
  if (conditions_.bits_per_second == 0) {
    launch(now, std::move(packet));
    return Submission::kTaken;
  }
  // An idle line takes any packet, however small the queue is.
  if (!queue_.empty() && queued_bytes_ + size > conditions_.queue_bytes) {
    ++counters_.dropped_by_queue;
    return Submission::kDropped;
  }
  if (held_bytes_ + size > kMaxHeldBytes) {
    ++counters_.overflowed;
    return Submission::kDropped;
  }
  queued_bytes_ += size;
  held_bytes_ += size;
  counters_.max_queue_bytes = std::max(counters_.max_queue_bytes, queued_bytes_);
  queue_.push_back({now, std::move(packet)});
  begin_transmission();
  return Submission::kTaken;
}

Duration Link::time_on_line(std::size_t bytes) const {
  const double seconds =
      static_cast<double>(bytes) * 8 / static_cast<double>(conditions_.bits_per_second);
  return Duration(static_cast<Duration::rep>(seconds * 1e9));
}

void Link::begin_transmission() {
  if (line_busy_until_ || queue_.empty()) return;
  const Waiting& head = queue_.front();
  line_busy_until_ = std::max(line_free_, head.since) + time_on_line(head.packet.size());
}

void Link::run_line(TimePoint now) {
  while (line_busy_until_ && *line_busy_until_ <= now) {
    const TimePoint left = *line_busy_until_;
    line_busy_until_.reset();
    line_free_ = left;
    Waiting head = std::move(queue_.front());
    queue_.pop_front();
    queued_bytes_ -= head.packet.size();
    held_bytes_ -= head.packet.size();
    launch(left, std::move(head.packet));
    begin_transmission();
  }
}

void Link::launch(TimePoint at, Packet packet) {
  // Every packet draws from every stream, whatever becomes of it: its fate is a matter of its
  // number and the seed alone.
  const LossModel::Fate fate = loss_.next(conditions_);
  const bool twice = duplicates_.chance(conditions_.duplicate);
  const bool damaged = damage_.chance(conditions_.corrupt);
  Dice where(damage_.next());
  const Duration jitter = jitter_.up_to(conditions_.jitter);
  const bool held_back = reorder_.chance(conditions_.reorder);

  if (conditions_.down || fate != LossModel::Fate::kPasses) {
    ++(conditions_.down                        ? counters_.lost_while_down
       : fate == LossModel::Fate::kLostInBurst ? counters_.lost_in_burst
                                               : counters_.lost);
    pool_.give_back(std::move(packet));
    return;
  }
  if (held_bytes_ + packet.size() * (twice ? 2 : 1) > kMaxHeldBytes) {
    ++counters_.overflowed;
    pool_.give_back(std::move(packet));
    return;
  }
  const TimePoint due = at + conditions_.delay + jitter;
  if (twice) {
    ++counters_.duplicated;
    fly(due, pool_.copy(packet), true);
  }
  if (damaged) {
    ++counters_.corrupted;
    if (conditions_.corruption == CorruptionStyle::kWire ||
        !corrupt_payload(packet.span(), where)) {
      flip_bit(packet.span(), where);
    }
  }
  if (held_back) {
    ++counters_.reordered;
    fly(due + conditions_.reorder_by, std::move(packet), false);
  } else {
    fly(due, std::move(packet), true);
  }
}

void Link::fly(TimePoint due, Packet packet, bool in_order) {
  held_bytes_ += packet.size();
  if (in_order) {
    last_in_order_ = std::max(last_in_order_, due);
    in_order_.push_back({last_in_order_, next_order_++, std::move(packet)});
    return;
  }
  out_of_order_.push_back({due, next_order_++, std::move(packet)});
  std::push_heap(out_of_order_.begin(), out_of_order_.end(), later);
}

const Link::InFlight* Link::earliest() const {
  const InFlight* first = in_order_.empty() ? nullptr : &in_order_.front();
  if (out_of_order_.empty()) return first;
  const InFlight* other = &out_of_order_.front();
  return first == nullptr || later(*first, *other) ? other : first;
}

std::optional<TimePoint> Link::next_due() const {
  const InFlight* first = earliest();
  if (first == nullptr) return line_busy_until_;
  if (!line_busy_until_) return first->due;
  return std::min(first->due, *line_busy_until_);
}

Packet Link::poll(TimePoint now) {
  run_line(now);
  const InFlight* first = earliest();
  if (first == nullptr || first->due > now) return {};
  Packet packet;
  last_due_ = first->due;
  if (!in_order_.empty() && first == &in_order_.front()) {
    packet = std::move(in_order_.front().packet);
    in_order_.pop_front();
  } else {
    std::pop_heap(out_of_order_.begin(), out_of_order_.end(), later);
    packet = std::move(out_of_order_.back().packet);
    out_of_order_.pop_back();
  }
  held_bytes_ -= packet.size();
  ++counters_.packets_out;
  counters_.bytes_out += packet.size();
  return packet;
}

}  // namespace netmesh::linkem
