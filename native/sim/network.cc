#include "sim/network.h"

#include <algorithm>

#include "sim/describe.h"

namespace netmesh::sim {

SimNetwork::SimNetwork(std::uint64_t seed, Trace* trace) : random_(seed), trace_(trace) {}

Now SimNetwork::now() const { return {now_, kBeginUnix + (now_ - kBegin).count()}; }

void SimNetwork::note(const std::string& who, const std::string& what) const {
  if (trace_ != nullptr) trace_->line(elapsed(), who, what);
}

// --- time ---

void SimNetwork::after(Duration delay, std::function<void()> run) {
  events_.push_back({now_ + std::max(delay, Duration::zero()), next_order_++, std::move(run)});
  std::push_heap(events_.begin(), events_.end(), Later{});
}

bool SimNetwork::step() {
  if (events_.empty()) return false;
  std::pop_heap(events_.begin(), events_.end(), Later{});
  const Event event = std::move(events_.back());
  events_.pop_back();
  now_ = std::max(now_, event.at);
  event.run();
  return true;
}

bool SimNetwork::run_until(const std::function<bool()>& done, Duration limit) {
  const TimePoint end = now_ + limit;
  while (!done()) {
    if (events_.empty() || events_.front().at > end) {
      now_ = std::max(now_, end);
      return done();
    }
    step();
  }
  return true;
}

void SimNetwork::run_for(Duration duration) {
  run_until([] { return false; }, duration);
}

// --- shape ---

void SimNetwork::attach(const Endpoint& address, Port& port) { ports_[address] = &port; }

void SimNetwork::detach(const Endpoint& address) { ports_.erase(address); }

void SimNetwork::set_link(const Endpoint& from, const Endpoint& to, const LinkConfig& config) {
  links_[{from, to}] = config;
}

void SimNetwork::set_links(const Endpoint& a, const Endpoint& b, const LinkConfig& config) {
  set_link(a, b, config);
  set_link(b, a, config);
}

std::size_t SimNetwork::add_line(const LineConfig& config) {
  lines_.push_back({config, {}, {}});
  return lines_.size() - 1;
}

Duration SimNetwork::queue_delay(std::size_t line) const {
  return std::max(lines_[line].free - now_, Duration::zero());
}

void SimNetwork::set_partitioned(const Endpoint& a, const Endpoint& b, bool partitioned) {
  for (const Direction& direction : {Direction{a, b}, Direction{b, a}}) {
    if (partitioned) {
      partitions_.insert(direction);
    } else {
      partitions_.erase(direction);
    }
  }
}

void SimNetwork::set_translation(const Endpoint& from, const Endpoint& seen) {
  if (const auto old = seen_as_.find(from); old != seen_as_.end()) {
    reached_as_.erase(old->second);
    seen_as_.erase(old);
  }
  if (seen == from) return;
  seen_as_[from] = seen;
  reached_as_[seen] = from;
}

// --- traffic ---

void SimNetwork::send(const Endpoint& from, const Endpoint& to, ByteSpan datagram) {
  ++stats_.sent;
  if (tap_ && !tap_(from, to, datagram)) return;
  const Direction direction{from, to};
  const auto configured = links_.find(direction);
  const LinkConfig& link = configured == links_.end() ? default_link_ : configured->second;
  LinkState& state = states_[direction];
  const char* fate = nullptr;
  Duration delay = link.delay;
  if (now_ >= state.burst_ends && random_.chance(link.burst_start)) {
    state.burst_ends = now_ + random_.duration(Duration(1), link.burst_length);
  }
  if (partitions_.contains(direction)) {
    fate = "partitioned";
  } else if (link.mtu != 0 && datagram.size() > link.mtu) {
    fate = "too large";
  } else if (now_ < state.burst_ends || random_.chance(link.loss)) {
    fate = "lost";
  } else if (link.line || link.bytes_per_second != 0) {
    if (!link.line) state.own.config = {link.bytes_per_second, link.queue_bytes};
    const auto leaves = queue(link.line ? lines_[*link.line] : state.own, datagram.size());
    if (leaves)
      delay += *leaves - now_;
    else
      fate = "no room in the queue";
  }
  if (fate == nullptr && link.loss_behind > 0 && random_.chance(link.loss_behind))
    fate = "lost behind the line";
  if (fate != nullptr) {
    ++stats_.lost;
    if (trace_ != nullptr && trace_->on()) {
      note(from.to_string(), "x  " + to.to_string() + "  " + describe(datagram) + "  " + fate);
    }
    return;
  }
  if (trace_ != nullptr && trace_->on()) {
    note(from.to_string(), "-> " + to.to_string() + "  " + describe(datagram));
  }
  const int copies = random_.chance(link.duplicate) ? 2 : 1;
  if (copies == 2) ++stats_.duplicated;
  for (int copy = 0; copy < copies; ++copy) {
    Bytes bytes(datagram.begin(), datagram.end());
    if (random_.chance(link.corrupt)) damage(bytes);
    deliver_after(delay + random_.duration(Duration::zero(), link.jitter), from, to,
                  std::move(bytes));
  }
}

std::optional<TimePoint> SimNetwork::queue(Line& line, std::size_t bytes) {
  const auto time_of = [&](std::uint64_t count) {
    return Duration(count * 1'000'000'000 / line.config.bytes_per_second);
  };
  const TimePoint start = std::max(now_, line.free);
  if (start - now_ > time_of(line.config.queue_bytes)) {
    ++stats_.overflowed;
    ++line.stats.overflowed;
    return std::nullopt;
  }
  ++line.stats.datagrams;
  line.stats.bytes += bytes;
  line.stats.queue_delay_sum += start - now_;
  line.stats.queue_delay_max = std::max(line.stats.queue_delay_max, start - now_);
  line.free = start + time_of(bytes);
  return line.free;
}

void SimNetwork::inject(const Endpoint& from, const Endpoint& to, ByteSpan datagram,
                        Duration delay) {
  deliver_after(delay, from, to, Bytes(datagram.begin(), datagram.end()));
}

void SimNetwork::deliver_after(Duration delay, const Endpoint& from, const Endpoint& to,
                               Bytes datagram) {
  after(delay, [this, from, to, bytes = std::move(datagram)]() mutable {
    const auto inside = reached_as_.find(to);
    const auto port = ports_.find(inside == reached_as_.end() ? to : inside->second);
    if (port == ports_.end()) return;
    ++stats_.delivered;
    const auto outside = seen_as_.find(from);
    port->second->receive(outside == seen_as_.end() ? from : outside->second, std::move(bytes));
  });
}

void SimNetwork::damage(Bytes& datagram) {
  ++stats_.corrupted;
  if (datagram.empty()) return;
  switch (random_.below(4)) {
    case 0:
      datagram.resize(random_.below(datagram.size()));
      break;
    case 1: {
      const Bytes tail = random_.bytes(1 + random_.below(32));
      datagram.insert(datagram.end(), tail.begin(), tail.end());
      break;
    }
    default:
      for (std::uint64_t flips = 1 + random_.below(4); flips > 0; --flips) {
        // Half of the damage hits headers, which are small.
        const std::size_t reach = random_.chance(0.5) ? datagram.size() : 32;
        datagram[random_.below(std::min(reach, datagram.size()))] ^=
            std::byte{static_cast<std::uint8_t>(1u << random_.below(8))};
      }
  }
}

}  // namespace netmesh::sim
