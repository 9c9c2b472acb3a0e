#pragma once
// The subscriber's side of channels: a state machine without I/O (spec 31 §4.1).
//
// For whoever drives it (native/mesh), in this order:
//   - `peer_up` when a session with a peer stands, `peer_down` when it failed or said goodbye;
//   - `handle` for what `Broker::handle` calls `kForSubscriber`;
//   - after that and after every other call: `poll_transmit` until it yields nothing, as for the
//     broker, and `poll_event` until it yields nothing;
//   - `channel_of` for every payload that comes in on a stream;
//   - `handle_timeout` when `next_timeout` is due.

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/random.h"
#include "base/time.h"
#include "channel/broker.h"
#include "channel/membership.h"

namespace netmesh::channel {

/// Names a call of `subscribe` or `unsubscribe` until it is settled; never 0.
using RequestId = StrongNumber<struct RequestIdTag, std::uint64_t>;

struct SubscribeOptions {
  /// A token or a chain of them; empty: none.
  Bytes credential;
  /// Empty: broadcast.
  std::string queue_group;
  /// At most so many retained payloads first; only modern publishers have any.
  std::uint32_t replay = 0;
};

/// How a request ended.
enum class Outcome : std::uint8_t { kAccepted, kRefused, kTimedOut };

/// Joins channels of other nodes, and stays joined: when a session was replaced or a publisher has
/// restarted, subscriptions are asked for again. One request per channel and publisher is under way
/// at a time, others wait for it. Owned by one node's machine, on its thread.
class Subscriber {
 public:
  struct Options {
    Duration ack_timeout = std::chrono::seconds(5);
    /// Base peers get a request again after this, then after twice that, and so on; the control
    /// messages of modern sessions are not lost.
    Duration first_retry = std::chrono::milliseconds(250);
    /// How long a subscription is asked for again after a refusal: a publisher that has restarted
    /// may not have registered its channels yet, or not know yet who asks.
    Duration resume_patience = std::chrono::seconds(30);
    Duration first_resume_delay = std::chrono::milliseconds(250);
    Duration longest_resume_delay = std::chrono::seconds(8);
    std::size_t max_subscriptions = 65'536;
    std::size_t max_requests = 65'536;
    std::size_t max_queued = 65'536;
  };

  struct PeerTraits {
    bool modern = false;
  };

  struct SubscribeDone {
    RequestId request;
    Outcome outcome = Outcome::kAccepted;
    AckReason reason = AckReason::kNone;  ///< of a refusal
    /// What a modern publisher said of the channel.
    bool reliable = false;
    /// So many retained payloads come first.
    std::uint32_t replayed = 0;
  };
  struct UnsubscribeDone {
    RequestId request;
    Outcome outcome = Outcome::kAccepted;
    AckReason reason = AckReason::kNone;
  };
  /// The publisher is away. The subscription is asked for again when it is back.
  struct Suspended {
    NodeId publisher;
    ChannelName channel;
  };
  struct Resubscribed {
    NodeId publisher;
    ChannelName channel;
    bool reliable = false;
    /// Not 0 when the publisher has restarted and retains payloads.
    std::uint32_t replayed = 0;
  };
  /// A subscription is over, and not asked for again.
  struct SubscriptionLost {
    NodeId publisher;
    ChannelName channel;
    /// The publisher said so, refused to take it up again, or did not answer.
    std::variant<EvictionReason, AckReason, std::monostate> reason;
  };
  using Event =
      std::variant<SubscribeDone, UnsubscribeDone, Suspended, Resubscribed, SubscriptionLost>;

  using Transmit = Broker::Transmit;

  struct Subscription {
    NodeId publisher;
    std::string channel;
    std::string queue_group;
    /// The publisher has it on its roster, as far as is known.
    bool active = false;
    bool reliable = false;
  };

  struct Counters {
    std::uint64_t requests = 0, retries = 0, timeouts = 0;
    std::uint64_t ignored_acks = 0;  ///< late, repeated or from somebody else
    std::uint64_t dropped_queue_full = 0;
  };

  /// `random` gives nonces, and outlives the subscriber.
  explicit Subscriber(RandomSource& random) : Subscriber(random, Options{}) {}
  Subscriber(RandomSource& random, Options options) : random_(random), options_(options) {}
  Subscriber(const Subscriber&) = delete;
  Subscriber& operator=(const Subscriber&) = delete;

  // --- requests; what comes of them is an event ---

  /// Asks to join. Errors, before any effect: a malformed token, a queue group that cannot be one,
  /// no session to the publisher, too many subscriptions.
  Expected<RequestId> subscribe(Now now, NodeId publisher, const ChannelName& channel,
                                SubscribeOptions options = {});
  /// Asks to leave. Payloads are not expected any more from now on, whatever comes of it. A
  /// subscription whose publisher is away ends at once.
  Expected<RequestId> unsubscribe(Now now, NodeId publisher, const ChannelName& channel);
  /// The caller is not interested any more: there will be no event, and what is granted
  /// nevertheless is given back.
  void cancel(Now now, RequestId request);

  // --- peers ---

  /// Also for a peer that is up: its session was replaced, and everything is asked for again.
  void peer_up(Now now, NodeId id, PeerTraits traits);
  void peer_down(Now now, NodeId id);
  Received handle(Now now, NodeId from, ByteSpan bytes);

  // --- the crank ---

  void handle_timeout(Now now);
  std::optional<TimePoint> next_timeout() const;
  std::optional<Transmit> poll_transmit();
  std::optional<Event> poll_event();

  // --- what there is ---

  /// The channel whose payloads a publisher sends on this stream, from the request on; null for
  /// what was not asked for. Valid until the next call that is not const.
  const ChannelName* channel_of(NodeId publisher, StreamId stream) const;
  /// In the order of publishers, then names.
  std::vector<Subscription> subscriptions() const;
  std::size_t size() const { return subscribed_; }
  const Counters& counters() const { return counters_; }

 private:
  struct Publisher;
  enum class Kind : std::uint8_t { kSubscribe, kUnsubscribe, kResume };
  struct Request {
    RequestId id;  ///< 0: nobody waits for it
    Kind kind = Kind::kSubscribe;
    SubscribeOptions options;
  };
  /// A message that waits for its Ack.
  struct Exchange {
    Request request;
    std::uint64_t nonce = 0;
    TimePoint deadline;
    TimePoint retry_at;
    Duration retry_after;
  };
  /// What was granted, and is to stay so.
  struct Held {
    SubscribeOptions options;
    std::uint64_t nonce = 0;
    std::uint64_t epoch = 0;  ///< the publisher's life; 0: not known
    bool active = false;
    bool reliable = false;
    // While it is not active:
    std::optional<TimePoint> resume_at;
    TimePoint resume_until;
    Duration resume_delay{0};
  };
  /// One channel of one publisher, for as long as there is something about it.
  struct Entry {
    Entry(Publisher& at, const ChannelName& channel, std::uint64_t number)
        : publisher(at), name(channel), serial(number) {}
    bool idle() const { return !held && !exchange && waiting.empty(); }
    bool expects_payloads() const {
      return held || (exchange && exchange->request.kind == Kind::kSubscribe);
    }

    Publisher& publisher;
    ChannelName name;
    std::uint64_t serial;
    std::optional<Held> held;
    std::optional<Exchange> exchange;
    std::vector<Request> waiting;  ///< the first is next
    std::optional<TimePoint> due;  ///< as it stands in timers_
  };
  struct Publisher {
    NodeId id;
    bool up = false;
    PeerTraits traits;
    std::map<std::string, Entry, std::less<>> entries;
  };
  struct StreamKey {
    NodeId publisher;
    StreamId stream;
    friend bool operator==(const StreamKey&, const StreamKey&) = default;
  };
  struct StreamKeyHash {
    std::size_t operator()(const StreamKey& key) const noexcept {
      return std::hash<NodeId>{}(NodeId(key.publisher.value ^ (key.stream.value << 1)));
    }
  };

  Expected<void> check(const ChannelName& channel, NodeId publisher,
                       const SubscribeOptions& options) const;
  Entry& open_entry(NodeId id, const ChannelName& channel);
  Entry* find_entry(NodeId publisher, std::string_view channel);
  RequestId enqueue(Now now, Entry& entry, Kind kind, SubscribeOptions options);

  /// Begins what is next for a channel, sets its timer, and forgets it when nothing is.
  void advance(Now now, Entry& entry);
  void forget_if_idle(NodeId id);
  void begin(Now now, Entry& entry, Request request);
  void transmit(Entry& entry);
  Message message_of(const Entry& entry) const;
  void settle(Now now, Entry& entry, Outcome outcome, const ModernAck& ack);
  void settle_resume(Now now, Entry& entry, Outcome outcome, const ModernAck& ack);
  void hold(Entry& entry, SubscribeOptions options, const ModernAck& ack);
  void release(Entry& entry);
  void suspend(Entry& entry);
  void lose(Entry& entry, decltype(SubscriptionLost::reason) reason);
  void handle_ack(Now now, NodeId from, const ModernAck& ack);
  void handle_evicted(Now now, Entry& entry, const Evicted& notice);
  void on_timer(Now now, Entry& entry);
  void set_timer(Entry& entry);

  RandomSource& random_;
  Options options_;
  std::map<NodeId, Publisher> publishers_;
  std::unordered_map<std::uint64_t, Entry*> by_nonce_;
  std::unordered_map<StreamKey, Entry*, StreamKeyHash> by_stream_;
  std::map<RequestId, Entry*> by_request_;
  std::set<std::tuple<TimePoint, std::uint64_t, Entry*>> timers_;
  std::uint64_t next_request_ = 1;
  std::uint64_t next_serial_ = 1;
  std::size_t subscribed_ = 0;
  std::deque<Transmit> queue_;
  std::deque<Event> events_;
  Counters counters_;
};

}  // namespace netmesh::channel
