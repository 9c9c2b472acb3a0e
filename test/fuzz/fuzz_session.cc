// Sessions as state machines. The input is a script: commands of the application, time, and what
// the line does to each packet. Two modern ends, two base ends, or one modern end and a peer that
// has the keys and writes frames as it likes.

#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "fuzz.h"
#include "session/session_testing.h"

using namespace netmesh;
using namespace netmesh::session;
using session::testing::at;

namespace {

constexpr std::uint64_t kStreams = 4;
constexpr std::size_t kMostFlying = 4'096;
/// A script ends in a good line for so long: probes come every second at most.
constexpr int kSettleSteps = 20'000;
constexpr Duration kSettleTime = std::chrono::minutes(20);

class ScriptRandom final : public RandomSource {
 public:
  explicit ScriptRandom(std::uint64_t seed) : state_(seed) {}
  void fill(MutableByteSpan out) override {
    for (std::byte& b : out) b = static_cast<std::byte>(next());
  }

 private:
  std::uint64_t next() {
    state_ += 0x9E37'79B9'7F4A'7C15ULL;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58'476D'1CE4'E5B9ULL;
    return z ^ (z >> 31);
  }
  std::uint64_t state_;
};

struct Identities {
  Identities() { crypto::initialize(); }
  identity::LocalIdentity a = identity::LocalIdentity::from_seed(Bytes(32, std::byte{1}));
  identity::LocalIdentity b = identity::LocalIdentity::from_seed(Bytes(32, std::byte{2}));
  crypto::SecretKey reset_key{Bytes(32, std::byte{3})};
};

const Identities& identities() {
  static const Identities made;
  return made;
}

/// What a session reports, checked against what was sent.
struct Checker final : SessionEvents {
  struct Incoming {
    StreamId id;
    bool reliable = false, over = false;
    std::size_t count = 0;  ///< messages of a reliable stream so far
    std::uint64_t last_sequence = 0;
    std::uint64_t unread_bytes = 0, unread_events = 0;
  };
  std::vector<Incoming> streams;
  std::map<StreamId, std::vector<std::vector<Bytes>>>* sent = nullptr;  ///< reliable, by opening
  std::map<StreamId, std::size_t> openings;                             ///< reliable ones seen
  std::map<StreamRef, std::size_t> opening_of;
  std::uint64_t unread = 0;
  int challenges = 0;

  void peer_proven() override {}
  StreamRef stream_opened(StreamId stream, bool reliable) override {
    streams.push_back({stream, reliable, false, 0, 0, 0, 0});
    const auto ref = static_cast<StreamRef>(streams.size() - 1);
    if (reliable) opening_of[ref] = openings[stream]++;
    return ref;
  }
  void deliver(StreamRef ref, std::uint64_t sequence, std::uint32_t, ByteSpan first,
               ByteSpan second) override {
    FUZZ_CHECK(ref < streams.size() && !streams[ref].over);
    Incoming& stream = streams[ref];
    stream.unread_bytes += first.size() + second.size();
    ++stream.unread_events;
    unread += first.size() + second.size() + 4;
    if (!stream.reliable || sent == nullptr) return;
    const auto& all = (*sent)[stream.id];
    // An opening on which nothing was sent may have come and gone unseen only with its FIN.
    FUZZ_CHECK(opening_of[ref] < all.size());
    const auto& messages = all[opening_of[ref]];
    FUZZ_CHECK(stream.count < messages.size() && sequence == stream.count);
    const Bytes& expected = messages[stream.count++];
    FUZZ_CHECK(expected.size() == first.size() + second.size());
    FUZZ_CHECK(fuzz::equal(ByteSpan(expected).first(first.size()), first));
    FUZZ_CHECK(fuzz::equal(ByteSpan(expected).subspan(first.size()), second));
  }
  void stream_finished(StreamRef ref, bool) override {
    FUZZ_CHECK(ref < streams.size() && !streams[ref].over);
    streams[ref].over = true;
  }
  void credit_available(StreamId, std::uint64_t) override {}
  void path_challenged(std::uint64_t) override { ++challenges; }
};

struct End {
  Checker events;
  std::unique_ptr<Session> session;
  std::map<StreamId, std::shared_ptr<StreamGate>> gates;
  std::map<StreamId, std::vector<std::vector<Bytes>>> sent;  ///< reliable, by opening
  bool reading = true;

  void read(Now now) {
    for (std::size_t i = 0; i < events.streams.size(); ++i) {
      Checker::Incoming& stream = events.streams[i];
      if (stream.unread_events == 0) continue;
      events.unread -= stream.unread_bytes + 4 * stream.unread_events;
      session->consume(now, stream.id, stream.reliable, std::exchange(stream.unread_events, 0),
                       std::exchange(stream.unread_bytes, 0));
    }
  }
};

struct Script {
  explicit Script(ByteSpan input) : in(input) {}
  bool more() const { return in.remaining() > 0; }
  std::uint8_t u8() { return in.remaining() >= 1 ? in.u8() : std::uint8_t{0}; }
  std::uint16_t u16() { return in.remaining() >= 2 ? in.u16() : std::uint16_t{0}; }
  ByteReader in;
};

Duration duration_of(std::uint8_t code) {
  // 1 µs to about 4 s, of every magnitude alike.
  return Duration((1'000 + 250 * (code & 7)) * (std::int64_t{1} << (code >> 3)) / 2);
}

Bytes event_of(std::uint16_t size, std::size_t number) {
  Bytes out(size);
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::byte>(i * 31 + number);
  return out;
}

class Conversation {
 public:
  explicit Conversation(Script& input) : script_(input) {
    const std::uint8_t shape = script_.u8(), keys = script_.u8(), windows = script_.u8();
    modern_ = (shape & 1) == 0;
    SessionConfig config;
    config.stream_receive_window = 16'384u << (windows & 7);
    config.session_receive_window = config.stream_receive_window << ((windows >> 3) & 3);
    config.max_stream_receive_window = config.stream_receive_window;
    config.max_session_receive_window = config.session_receive_window;
    config.max_queued_bytes = 1u << 20;
    config.max_message_bytes = 1u << 20;
    config.max_streams = 64;
    config.seed = (shape & 2) != 0 ? keys | 1u : 0;
    config.key_update_packets = keys & 15;
    if ((keys & 16) != 0) config.rekey_interval = std::chrono::milliseconds(20 << (keys >> 5));
    config.random = &random_;
    config.reset_key = &identities().reset_key;
    path_.loopback = (shape & 4) != 0;
    path_.relayed = (shape & 8) != 0;
    path_.max_datagram = (shape & 16) != 0 ? 9'000 : wire::kBaseDatagramBytes;
    if ((shape & 32) != 0) config.congestion = CongestionAlgorithm::kCubic;
    for (const bool initiator : {true, false}) {
      End& end = initiator ? a_ : b_;
      std::optional<wire::Hello> hello;
      if (modern_) {
        hello = session::testing::usual_hello();
        hello->features = (shape & 64) != 0 ? 0 : wire::feature::kAll;
        hello->stream_window = config.stream_receive_window;
        hello->session_window = config.session_receive_window;
        hello->max_message = config.max_message_bytes;
        hello->entity_id = (initiator ? identities().b : identities().a).entity_id();
      }
      config.identity = initiator ? &identities().a : &identities().b;
      auto established = session::testing::established(initiator, hello);
      end.session =
          modern_
              ? make_modern_session(std::move(established), config, path_, end.events, at(now_))
              : make_legacy_session(std::move(established), config, path_, end.events, at(now_));
    }
    if (modern_) {
      a_.events.sent = &b_.sent;
      b_.events.sent = &a_.sent;
    }
    unread_bound_ = config.session_receive_window * 3 + (2u << 20);
  }

  void run() {
    while (script_.more() && steps_++ < 4'000) {
      step();
      check();
    }
    if (modern_) settle();
  }

 private:
  struct Flight {
    bool to_b;
    Bytes bytes;
  };

  End& end_of(bool a) { return a ? a_ : b_; }

  void step() {
    const std::uint8_t op = script_.u8();
    End& end = end_of((op & 0x80) != 0);
    const StreamId stream{op / 16u % kStreams};
    switch (op & 15) {
      case 0:
      case 1:
        offer(end, stream, true, script_.u16());
        break;
      case 2:
        offer(end, stream, false, script_.u16() % 8'200);
        break;
      case 3:
        end.session->close_stream(at(now_), stream);
        end.gates.erase(stream);
        break;
      case 4:
      case 5:
        pass(duration_of(script_.u8()));
        break;
      case 6:  // everything arrives
        transmit();
        while (!flying_.empty()) arrive(0, false);
        batch_ends();
        break;
      case 7:  // one packet overtakes others
        transmit();
        arrive(script_.u8(), false);
        break;
      case 8:  // one comes twice
        transmit();
        arrive(script_.u8(), true);
        break;
      case 9:  // some are lost
        transmit();
        for (int i = script_.u8() % 8; i >= 0 && !flying_.empty(); --i)
          flying_.erase(flying_.begin() +
                        static_cast<std::ptrdiff_t>(script_.u8() % flying_.size()));
        break;
      case 10:  // a damaged copy comes first
        transmit();
        damage(script_.u8(), script_.u16(), script_.u8());
        break;
      case 11:
        end.session->heartbeat(at(now_));
        if ((op & 0x40) != 0) end.session->evict_idle(at(now_));
        break;
      case 12:
        end.reading = !end.reading;
        break;
      case 13: {
        path_.max_datagram = (op & 0x10) != 0 ? 1'200u : 1'200u + script_.u16() % 8'000;
        end.session->move_to(at(now_), path_);
        break;
      }
      case 14:
        path_packet(end, (op & 0x40) != 0);
        break;
      default:
        batch_ends();
    }
    for (End* reader : {&a_, &b_}) {
      if (reader->reading) reader->read(at(now_));
    }
  }

  void offer(End& end, StreamId stream, bool reliable, std::uint16_t size) {
    auto& gate = end.gates[stream];
    if (gate == nullptr || gate->closed()) {
      auto opened = end.session->open_stream(
          at(now_), {stream, reliable, 0, 1u + size % 4u, static_cast<Priority>(size % 4)});
      if (!opened) return;
      if (gate != *opened && (*opened)->config.reliable) end.sent[stream].emplace_back();
      gate = *opened;
    }
    if (size > gate->max_event_bytes) size = static_cast<std::uint16_t>(gate->max_event_bytes);
    auto& openings = end.sent[stream];
    const std::size_t number = openings.empty() ? 0 : openings.back().size();
    Bytes event = event_of(size, number);
    if (!session::testing::send(*end.session, at(now_), *gate, {event})) return;
    if (gate->config.reliable) openings.back().push_back(std::move(event));
  }

  void transmit() {
    for (const bool from_a : {true, false}) {
      End& end = end_of(from_a);
      for (Bytes& packet : session::testing::packets_of(*end.session, at(now_))) {
        FUZZ_CHECK(packet.size() <= 16'384);
        if (flying_.size() < kMostFlying) flying_.push_back({from_a, std::move(packet)});
      }
    }
  }
  void take(const Flight& flight, bool intact) {
    End& to = flight.to_b ? b_ : a_;
    const bool closed = to.session->closing().has_value();
    Bytes packet = flight.bytes;
    const PacketVerdict verdict = to.session->handle_packet(at(now_), packet);
    if (!closed) FUZZ_CHECK(!modern_ || verdict != PacketVerdict::kProtocolViolation);
    if (!intact) FUZZ_CHECK(verdict != PacketVerdict::kAccepted);
  }
  void arrive(std::uint8_t which, bool twice) {
    if (flying_.empty()) return;
    const std::size_t index = which % flying_.size();
    const Flight flight = std::move(flying_[index]);
    flying_.erase(flying_.begin() + static_cast<std::ptrdiff_t>(index));
    take(flight, true);
    if (twice) take(flight, false);
  }
  void damage(std::uint8_t which, std::uint16_t where, std::uint8_t how) {
    if (flying_.empty()) return;
    Flight copy = flying_[which % flying_.size()];
    if (how == 0) {
      copy.bytes.resize(where % copy.bytes.size());
    } else {
      // Some header fields of a base packet are not authenticated; its body is.
      const std::size_t from = modern_ ? 0 : wire::kNetHeaderBytes;
      if (copy.bytes.size() <= from) return;
      copy.bytes[from + where % (copy.bytes.size() - from)] ^= std::byte{how};
      // Bits of the modern flags byte that mean nothing are covered by the AAD as well.
    }
    take(copy, false);
  }
  void batch_ends() {
    for (End* end : {&a_, &b_}) end->session->end_of_batch(at(now_));
  }
  void fire() {
    for (End* end : {&a_, &b_}) {
      const auto due = end->session->next_timeout();
      if (due && *due <= at(now_).monotonic) end->session->handle_timeout(at(now_));
    }
  }
  /// Time passes; what flies stays where it is.
  void pass(Duration duration) {
    const Duration until = now_ + duration;
    for (int i = 0; i < 16; ++i) {
      transmit();
      std::optional<TimePoint> next;
      for (const End* end : {&a_, &b_}) {
        const auto due = end->session->next_timeout();
        if (due && (!next || *due < *next)) next = due;
      }
      if (!next || *next > at(until).monotonic) break;
      now_ = std::max<Duration>(now_, *next - at({}).monotonic);
      fire();
    }
    now_ = until;
    fire();
  }
  void path_packet(End& end, bool challenge) {
    Bytes out(200);
    const wire::Frame frame = challenge ? wire::Frame(wire::PathChallengeFrame{7})
                                        : wire::Frame(wire::PathResponseFrame{7});
    const std::size_t size = end.session->write_path_packet(at(now_), out, frame);
    FUZZ_CHECK(size <= out.size());
    out.resize(size);
    if (size != 0 && flying_.size() < kMostFlying) flying_.push_back({&end == &a_, std::move(out)});
  }

  void check() {
    for (const End* end : {&a_, &b_}) {
      FUZZ_CHECK(end->events.unread <= unread_bound_);
      if (modern_ && end->session->closing()) FUZZ_CHECK(end->session->closing()->code == 0);
    }
  }
  bool complete() {
    for (const End* end : {&a_, &b_}) {
      if (end->session->unacknowledged_bytes() != 0) return false;
    }
    return true;
  }
  /// On a line that loses nothing everything arrives.
  void settle() {
    a_.reading = b_.reading = true;
    const Duration begin = now_;
    for (int i = 0; i < kSettleSteps && now_ - begin < kSettleTime; ++i) {
      transmit();
      const bool idle = flying_.empty();
      while (!flying_.empty()) arrive(0, false);
      batch_ends();
      a_.read(at(now_));
      b_.read(at(now_));
      transmit();
      if (idle && flying_.empty()) {
        if (complete()) break;
        Duration wait = std::chrono::seconds(5);
        for (const End* end : {&a_, &b_}) {
          if (const auto due = end->session->next_timeout())
            wait = std::min<Duration>(wait, *due - at(now_).monotonic);
        }
        now_ += std::max(wait, Duration(1'000));
      } else {
        now_ += std::chrono::milliseconds(1);
      }
      fire();
    }
    check();
    FUZZ_CHECK(complete());
    for (End* end : {&a_, &b_}) {
      End& peer = end == &a_ ? b_ : a_;
      for (const auto& [id, openings] : end->sent) {
        std::size_t sent = 0, arrived = 0;
        for (const auto& messages : openings) sent += messages.size();
        for (const auto& stream : peer.events.streams) {
          if (stream.reliable && stream.id == id) arrived += stream.count;
        }
        FUZZ_CHECK(arrived == sent);
      }
    }
  }

  Script& script_;
  ScriptRandom random_{42};
  bool modern_ = true;
  PathInfo path_;
  End a_, b_;
  std::deque<Flight> flying_;
  Duration now_{};
  int steps_ = 0;
  std::uint64_t unread_bound_ = 0;
};

/// Frames of the input's choice, in packets that authenticate.
void hostile(Script& script) {
  SessionConfig config;
  config.stream_receive_window = 65'536;
  config.session_receive_window = 131'072;
  config.max_stream_receive_window = 65'536;
  config.max_session_receive_window = 131'072;
  config.max_message_bytes = 65'536;
  config.max_queued_bytes = 1u << 20;
  config.max_streams = 16;
  ScriptRandom random(7);
  config.identity = &identities().a;
  config.random = &random;
  config.reset_key = &identities().reset_key;
  config.rekey_interval = std::chrono::milliseconds(100);
  wire::Hello hello = session::testing::usual_hello();
  hello.features = wire::feature::kAll;
  hello.entity_id = identities().b.entity_id();
  Checker events;
  const auto session = make_modern_session(session::testing::established(false, hello), config,
                                           {false, false, 1'500}, events, at({}));
  session::testing::Crafter crafter;
  Duration now{};
  const auto gate = *session->open_stream(at(now), {StreamId{1}, true, 0, 1});
  session::testing::send(*session, at(now), *gate, {Bytes(50'000)});
  while (script.more()) {
    const std::uint8_t op = script.u8();
    if ((op & 3) == 0) {
      now += duration_of(script.u8());
      if (session->next_timeout() && *session->next_timeout() <= at(now).monotonic)
        session->handle_timeout(at(now));
    } else {
      const std::size_t length = std::min<std::size_t>(script.u16() % 1'500, script.in.remaining());
      if ((op & 4) != 0) crafter.skip(script.u8());
      Bytes packet = crafter.packet(script.in.bytes(std::min(length, script.in.remaining())));
      const bool closed = session->closing().has_value();
      const PacketVerdict verdict = session->handle_packet(at(now), packet);
      FUZZ_CHECK(verdict == PacketVerdict::kAccepted ||
                 (verdict == PacketVerdict::kProtocolViolation && !closed));
      if (verdict == PacketVerdict::kProtocolViolation) {
        FUZZ_CHECK(session->closing() && session->closing()->code != 0);
        FUZZ_CHECK(!session->closing()->reason.empty());
      }
    }
    if ((op & 8) != 0) session->end_of_batch(at(now));
    // However it is told that things got lost: what is queued, once, and acknowledgements.
    std::size_t sent_bytes = 0;
    for (const Bytes& packet : session::testing::packets_of(*session, at(now)))
      sent_bytes += packet.size();
    FUZZ_CHECK(sent_bytes <= 256'000);
    // Nobody reads: what is kept for the application is bounded by the windows, and an event.
    FUZZ_CHECK(events.unread <= 131'072 + 65'536 + 131'072);
    FUZZ_CHECK(session->stream_count() <= 33);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  identities();
  Script script(fuzz::input_bytes(data, size));
  if ((script.u8() & 3) == 3) {
    hostile(script);
  } else {
    Conversation(script).run();
  }
  return 0;
}
