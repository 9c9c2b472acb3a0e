// Following peers to new addresses, and noticing that one lost its state.

#include <algorithm>

#include "crypto/hash.h"
#include "mesh/node_impl.h"
#include "wire/modern_control.h"

namespace netmesh::mesh {
namespace {

/// RFC 9000 §8.1: to an address that has not proven itself goes at most so much of what came.
constexpr std::uint64_t kAmplification = 3;
constexpr unsigned kMaxChallenges = 4;
constexpr Duration kFirstChallengeWait = std::chrono::milliseconds(200);
/// Sessions that this node ended: their stragglers call for no reset.
constexpr std::size_t kMaxEndedSessions = 1024;

}  // namespace

/// The newest packet of a direct modern peer came from elsewhere: is the peer there?
void Node::Impl::consider_path(Now now, Link& link, const Endpoint& from, std::size_t bytes) {
  if (!link.probe || link.probe->to != from) {
    PathProbe probe;
    probe.to = from;
    probe.data = random.u64();
    if (!link.probe) probing.push_back(&link);
    link.probe = probe;
  }
  link.probe->received += bytes;
  // The rest are repeated by the timer, however many packets come meanwhile.
  if (link.probe->attempts == 0) send_challenge(now, link);
}

void Node::Impl::send_challenge(Now now, Link& link) {
  PathProbe& probe = *link.probe;
  const std::uint64_t allowed = kAmplification * probe.received - probe.sent;
  Bytes packet(std::min<std::uint64_t>(allowed, wire::kBaseDatagramBytes));
  const std::size_t size =
      link.session->write_path_packet(now, packet, wire::PathChallengeFrame{probe.data});
  if (size != 0) {
    packet.resize(size);
    probe.sent += size;
    queue_raw(probe.to, std::move(packet));
  }
  const Duration wait =
      std::max(3 * link.session->stats().rtt.value_or(Duration::zero()), kFirstChallengeWait);
  probe.next = now.monotonic + wait * (1 << probe.attempts);
  ++probe.attempts;
}

void Node::Impl::advance_paths(Now now) {
  const std::vector<Link*> links = probing;
  for (Link* link : links) {
    if (now.monotonic < link->probe->next) continue;
    if (link->probe->attempts >= kMaxChallenges) {
      ++counters.paths_failed;
      end_probe(*link);
    } else {
      send_challenge(now, *link);
    }
  }
}

void Node::Impl::end_probe(Link& link) {
  if (!link.probe) return;
  link.probe.reset();
  std::erase(probing, &link);
}

/// Answers a challenge and acts on an answer, both noted while the packet was read.
void Node::Impl::settle_path(Now now, Link& link, const Endpoint& from, std::size_t bytes) {
  if (const auto challenge = std::exchange(link.challenged, std::nullopt)) {
    Bytes packet(std::min(bytes, wire::kBaseDatagramBytes));
    const std::size_t size =
        link.session->write_path_packet(now, packet, wire::PathResponseFrame{*challenge});
    if (size != 0) {
      packet.resize(size);
      queue_raw(from, std::move(packet));
    }
  }
  const auto answer = std::exchange(link.answered, std::nullopt);
  if (!answer || !link.probe || link.probe->data != *answer) return;
  const Endpoint moved_to = link.probe->to;
  end_probe(link);
  link.address = moved_to;
  link.session->move_to(now, path_info(moved_to, false));
  ++counters.paths_changed;
  if (const auto* peer = find_link(link.peer); peer == &link)
    sink.path_changed(link.peer, moved_to);
}

// --- loss of state ---

void Node::Impl::note_ended(SessionId session) {
  if (!ended_sessions.insert(session).second) return;
  ended_order.push_back(session);
  if (ended_order.size() <= kMaxEndedSessions) return;
  ended_sessions.erase(ended_order.front());
  ended_order.pop_front();
}

/// A packet of a session that this node does not have: perhaps an earlier life of it had.
void Node::Impl::answer_unknown(Now now, const Endpoint& from, SessionId session,
                                std::size_t bytes) {
  if (!started || shutting_down || bytes <= wire::kResetDatagramBytes) return;
  if (ended_sessions.contains(session)) return;
  if (!reset_bucket.take(now.monotonic, kResetRate)) return;
  ++counters.resets_sent;
  queue_raw(from, wire::make_reset({session, session::reset_token(reset_key, session)}));
}

void Node::Impl::handle_reset(Now now, ByteSpan datagram) {
  const auto reset = wire::parse_reset(datagram);
  if (!reset) {
    ++counters.dropped_invalid;
    return;
  }
  auto it = sessions.find(reset->session_id);
  if (it == sessions.end() || !it->second->peer_info_known ||
      !crypto::equal_constant_time(it->second->peer_state.reset_token, reset->token)) {
    ++counters.dropped_authentication;
    return;
  }
  Link& link = *it->second;
  ++counters.peers_restarted;
  const NodeId peer = link.peer;
  const Endpoint address = link.address;
  const bool relayed = link.relayed;
  const crypto::Key key = link.peer_state.static_key;
  remove_link(link, DownReason::kRestarted, "the peer restarted");
  // Whoever notices first shakes hands anew; the peer does not know us any more.
  if (relayed || find_link(peer) != nullptr || connecting_to(routing_id(peer))) return;
  PendingConnect pending;
  pending.address = address;
  pending.public_key = key;
  pending.peer = peer;
  connects.push_back(std::move(pending));
  begin_attempt(now, connects.back());
  if (!connects.back().handshake) connects.pop_back();
}

// --- cookies ---

void Node::Impl::ask_for_cookie(Now now, const Endpoint& from, const wire::AttemptTag& attempt) {
  ++counters.cookies_sent;
  queue_raw(from, wire::make_cookie({attempt, cookies.make(from, attempt, now.monotonic)}));
}

void Node::Impl::handle_cookie(const Endpoint& from, ByteSpan datagram) {
  const auto reply = wire::parse_cookie(datagram);
  if (!reply) {
    ++counters.dropped_invalid;
    return;
  }
  for (PendingConnect& pending : connects) {
    if (!pending.handshake || pending.tag != reply->attempt || pending.cookies >= kMaxCookies)
      continue;
    if (!pending.routed && pending.address != from) continue;
    ++pending.cookies;
    const std::size_t head = pending.routed ? wire::kRoutingHeaderBytes : 0;
    wire::put_cookie(reply->cookie, MutableByteSpan(pending.datagram).subspan(head));
    queue_raw(pending.address, pending.datagram);
    return;
  }
  ++counters.dropped_handshake;
}

}  // namespace netmesh::mesh
