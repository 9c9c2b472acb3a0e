// Two nodes over loopback: the whole core with real sockets, threads and clocks.

#include "runtime/node.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

namespace netmesh::runtime {
namespace {

using namespace std::chrono_literals;
using Kind = ControlEvent::Kind;

struct Message {
  std::uint32_t ref;
  Bytes bytes;
};

NodeOptions test_options() {
  NodeOptions options;
  options.bind_address = "127.0.0.1:0";
  options.psk.assign(32, std::byte{0x42});
  return options;
}

/// A node with an application that keeps everything it is told and consumes at once.
class TestNode {
 public:
  explicit TestNode(NodeOptions options = test_options()) {
    auto created = Node::create(std::move(options), [this] {
      const std::lock_guard lock(mutex_);
      ready_ = true;
      changed_.notify_all();
    });
    EXPECT_TRUE(created) << (created ? "" : created.error().message);
    if (created) node = std::move(*created);
  }

  /// Drains until the condition holds; false after five seconds.
  bool run_until(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + 5s;
    while (!condition()) {
      {
        std::unique_lock lock(mutex_);
        if (!changed_.wait_until(lock, end, [this] { return ready_; })) return false;
        ready_ = false;
      }
      take();
    }
    return true;
  }

  std::optional<ControlEvent> wait_for(Kind kind) {
    std::optional<ControlEvent> found;
    run_until([&] {
      const auto at = std::find_if(events.begin(), events.end(),
                                   [&](const auto& event) { return event.kind == kind; });
      if (at == events.end()) return false;
      found = *at;
      events.erase(at);
      return true;
    });
    return found;
  }

  std::unique_ptr<Node> node;
  std::deque<ControlEvent> events;
  std::deque<Message> messages;
  std::size_t bytes_received = 0;
  bool keep_messages = true;

 private:
  void take() {
    Drained drained = node->drain();
    std::map<std::uint32_t, ConsumedEntry> consumed;
    for (const DeliveryBlock& block : drained.blocks) {
      for (std::size_t i = 0; i < block.meta.size(); i += DeliveryBlock::kMetaWords) {
        const ByteSpan bytes = block.bytes.bytes().subspan(block.meta[i], block.meta[i + 1]);
        const std::uint32_t ref = block.meta[i + 2];
        if (keep_messages) messages.push_back({ref, {bytes.begin(), bytes.end()}});
        bytes_received += bytes.size();
        ConsumedEntry& entry = consumed.try_emplace(ref, ConsumedEntry{ref, 0, 0}).first->second;
        ++entry.events;
        entry.bytes += bytes.size();
      }
    }
    std::move(drained.events.begin(), drained.events.end(), std::back_inserter(events));
    for (const auto& [ref, entry] : consumed) node->consume(&entry, 1);
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool ready_ = false;
};

bool connect(TestNode& from, TestNode& to) {
  to.node->start();
  const Bytes key = to.node->public_key();
  const auto request =
      from.node->connect(to.node->local_address(), key, to.node->node_id(), false, std::nullopt);
  EXPECT_TRUE(request);
  const auto done = from.wait_for(Kind::kConnectDone);
  if (!done || done->error) {
    ADD_FAILURE() << (done ? done->error->message : "no answer");
    return false;
  }
  EXPECT_EQ(done->request, *request);
  return to.wait_for(Kind::kPeerUp).has_value();
}

std::unique_ptr<Stream> open_stream(TestNode& from, const TestNode& to, std::uint64_t id,
                                    std::uint32_t window) {
  auto stream = from.node->open_stream(to.node->node_id(), id, true, window, 1);
  EXPECT_TRUE(stream) << (stream ? "" : stream.error().message);
  return std::move(*stream);
}

EventView view(const Bytes& bytes) { return {bytes.data(), bytes.size()}; }

Bytes numbered(std::size_t length, std::size_t number) {
  Bytes bytes(length);
  for (std::size_t i = 0; i < length; ++i) bytes[i] = static_cast<std::byte>(number * 31 + i * 7);
  return bytes;
}

/// Sends everything, waiting for credit where the window is used up.
void send_all(TestNode& from, Stream& stream, const std::vector<Bytes>& events) {
  std::vector<EventView> views;
  views.reserve(events.size());
  for (const Bytes& event : events) views.push_back(view(event));
  ASSERT_TRUE(stream.check(views.data(), views.size()));
  std::size_t sent = 0;
  while (sent < views.size()) {
    const auto result = stream.send(views.data() + sent, views.size() - sent, true);
    ASSERT_TRUE(result.status == Stream::Status::kSent ||
                result.status == Stream::Status::kBackpressure);
    sent += result.sent;
    if (sent < views.size() && stream.want_credit(views[sent].length)) {
      ASSERT_TRUE(from.wait_for(Kind::kCreditAvailable)) << "stalled after " << sent << " events";
    }
  }
}

TEST(RuntimeNode, two_nodes_connect_and_know_of_each_other) {
  TestNode a;
  TestNode b;
  ASSERT_TRUE(connect(a, b));
  EXPECT_EQ(a.node->peer_count(), 1u);
  const auto peers = a.node->peers();
  ASSERT_EQ(peers.size(), 1u);
  EXPECT_EQ(peers[0].node_id, b.node->node_id());
  EXPECT_EQ(peers[0].address, b.node->local_address());
  EXPECT_TRUE(peers[0].modern);
  EXPECT_EQ(peers[0].entity_id, b.node->entity_id());
  EXPECT_FALSE(a.node->started());
  EXPECT_TRUE(b.node->started());
}

TEST(RuntimeNode, messages_arrive_complete_and_in_order) {
  TestNode a;
  TestNode b;
  ASSERT_TRUE(connect(a, b));
  const auto stream = open_stream(a, b, 5, 256 * 1024);
  std::vector<Bytes> events;
  for (std::size_t i = 0; i < 2000; ++i) events.push_back(numbered((i * 37) % 3000, i));
  std::thread receiving(
      [&] { EXPECT_TRUE(b.run_until([&] { return b.messages.size() == events.size(); })); });
  send_all(a, *stream, events);
  receiving.join();
  ASSERT_EQ(b.messages.size(), events.size());
  for (std::size_t i = 0; i < events.size(); ++i) ASSERT_EQ(b.messages[i].bytes, events[i]) << i;
  const auto opened = b.wait_for(Kind::kStreamOpened);
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->peer, a.node->node_id());
  EXPECT_EQ(opened->stream_id, 5u);
  EXPECT_TRUE(opened->flag);
}

TEST(RuntimeNode, a_large_message_arrives_whole) {
  TestNode a;
  TestNode b;
  ASSERT_TRUE(connect(a, b));
  const auto stream = open_stream(a, b, 5, 0);
  const std::vector<Bytes> events = {numbered(5'000'000, 1)};
  std::thread receiving([&] { EXPECT_TRUE(b.run_until([&] { return !b.messages.empty(); })); });
  send_all(a, *stream, events);
  receiving.join();
  ASSERT_EQ(b.messages.size(), 1u);
  EXPECT_EQ(b.messages[0].bytes, events[0]);
}

TEST(RuntimeNode, single_messages_go_back_and_forth) {
  TestNode a;
  TestNode b;
  ASSERT_TRUE(connect(a, b));
  const auto there = open_stream(a, b, 1, 65'536);
  const auto back = open_stream(b, a, 1, 65'536);
  std::thread echo([&] {
    for (std::size_t i = 0; i < 2000; ++i) {
      if (!b.run_until([&] { return !b.messages.empty(); })) return;
      const EventView event = view(b.messages.front().bytes);
      EXPECT_EQ(back->send(&event, 1, false).status, Stream::Status::kSent);
      b.messages.pop_front();
    }
  });
  for (std::size_t i = 0; i < 2000; ++i) {
    const Bytes bytes = numbered(64, i);
    const EventView event = view(bytes);
    ASSERT_EQ(there->send(&event, 1, false).status, Stream::Status::kSent);
    ASSERT_TRUE(a.run_until([&] { return !a.messages.empty(); })) << "round " << i;
    EXPECT_EQ(a.messages.front().bytes, bytes);
    a.messages.pop_front();
  }
  echo.join();
}

TEST(RuntimeNode, sixteen_streams_at_once_keep_their_messages_apart) {
  TestNode a;
  TestNode b;
  ASSERT_TRUE(connect(a, b));
  std::vector<std::unique_ptr<Stream>> streams;
  for (std::uint64_t id = 1; id <= 16; ++id) streams.push_back(open_stream(a, b, id, 1 << 20));
  for (std::size_t i = 0; i < 100; ++i) {
    for (std::size_t s = 0; s < streams.size(); ++s) {
      const Bytes bytes = numbered(500, s * 1000 + i);
      const EventView event = view(bytes);
      ASSERT_EQ(streams[s]->send(&event, 1, false).status, Stream::Status::kSent);
    }
  }
  ASSERT_TRUE(b.run_until([&] { return b.messages.size() == 1600; }));
  std::map<std::uint32_t, std::size_t> stream_of;
  for (const ControlEvent& event : b.events) {
    if (event.kind == Kind::kStreamOpened) stream_of[event.stream_ref] = event.stream_id - 1;
  }
  std::map<std::size_t, std::size_t> next;
  for (const Message& message : b.messages) {
    const std::size_t s = stream_of.at(message.ref);
    EXPECT_EQ(message.bytes, numbered(500, s * 1000 + next[s]++));
  }
}

TEST(RuntimeNode, a_reader_that_stops_bounds_what_a_sender_can_send) {
  TestNode a;
  TestNode b;
  ASSERT_TRUE(connect(a, b));
  const auto stream = open_stream(a, b, 5, 64 * 1024);
  const Bytes bytes(1000);
  const std::vector<EventView> events(1000, view(bytes));
  std::size_t sent = 0;
  for (int quiet = 0; quiet < 20;) {
    const auto result = stream->send(events.data(), events.size(), true);
    sent += result.sent;
    quiet = result.sent == 0 ? quiet + 1 : 0;
    std::this_thread::sleep_for(5ms);
    ASSERT_LT(sent, 100'000u) << "nothing stops the sender";
  }
  EXPECT_GE(sent, 60u);
  // Whoever waits is told once the reader goes on.
  ASSERT_TRUE(stream->want_credit(1000));
  ASSERT_TRUE(b.run_until([&] { return b.messages.size() == sent; }));
  EXPECT_TRUE(a.wait_for(Kind::kCreditAvailable));
}

TEST(RuntimeNode, events_that_a_stream_can_never_carry_are_refused) {
  TestNode a;
  TestNode b;
  ASSERT_TRUE(connect(a, b));
  const auto windowed = open_stream(a, b, 5, 65'536);
  const Bytes over_window(65'536);
  const EventView event = view(over_window);
  const auto refused = windowed->check(&event, 1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kBackpressure);
  EXPECT_EQ(refused.error().message,
            "stream would block: an event of 65536 bytes costs 65620 bytes of credit, more than "
            "the stream's whole "
            "window of 65536 bytes");
  const auto open = open_stream(a, b, 6, 0);
  const EventView huge{nullptr, std::size_t{open->max_event_bytes()} + 1};
  const auto too_large = open->check(&huge, 1);
  ASSERT_FALSE(too_large);
  EXPECT_EQ(too_large.error().kind, ErrorKind::kTooLarge);
  EXPECT_EQ(too_large.error().message,
            "stream transport error: event of 16777217 bytes exceeds the limit of "
            "16777216 bytes on this stream");
}

TEST(RuntimeNode, sends_are_all_or_nothing_unless_asked_for_a_part) {
  TestNode a;
  TestNode b;
  ASSERT_TRUE(connect(a, b));
  const auto stream = open_stream(a, b, 5, 10'000);
  const Bytes bytes(1000);
  const std::vector<EventView> events(20, view(bytes));
  const auto all = stream->send(events.data(), 20, false);
  EXPECT_EQ(all.status, Stream::Status::kBackpressure);
  EXPECT_EQ(all.sent, 0u);
  // 9 events in two packets: 9 × 1004 + 2 × 80 bytes; the tenth would cost more than is there.
  const auto part = stream->send(events.data(), 20, true);
  EXPECT_EQ(part.status, Stream::Status::kBackpressure);
  EXPECT_EQ(part.sent, 9u);
  EXPECT_EQ(stream->send(events.data(), 0, false).status, Stream::Status::kSent);
}

TEST(RuntimeNode, a_port_in_use_and_bad_arguments_are_told_in_words) {
  TestNode a;
  NodeOptions options = test_options();
  options.bind_address = a.node->local_address();
  const auto taken = Node::create(options, [] {});
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().message,
            "MeshNode creation failed: connection error: bind failed: Address already in use");

  const Bytes key(32);
  const auto error_of = [](const auto& result) {
    return result ? std::string() : result.error().message;
  };
  EXPECT_EQ(error_of(a.node->connect("nowhere", key, 1, false, {})),
            "invalid peer address: invalid socket address syntax");
  EXPECT_EQ(error_of(a.node->connect("127.0.0.1:1", Bytes(31), 1, false, {})),
            "public key must be 32 bytes");
  EXPECT_EQ(error_of(a.node->connect("127.0.0.1:1", key, 1, false, -1.0)),
            "timeoutMs must be a non-negative number of milliseconds; got -1");
  EXPECT_EQ(error_of(a.node->add_route(1, "nowhere")),
            "invalid address: invalid socket address syntax");
  EXPECT_EQ(error_of(a.node->send_to_address("127.0.0.1:9", nullptr, 0)),
            "send failed: connection error: unknown peer");
  EXPECT_FALSE(a.node->open_stream(99, 1, true, 0, 1));
}

TEST(RuntimeNode, an_orderly_shutdown_says_so_and_refuses_new_work) {
  TestNode a;
  TestNode b;
  ASSERT_TRUE(connect(a, b));
  const auto stream = open_stream(a, b, 5, 65'536);
  const Bytes bytes = numbered(1000, 1);
  const EventView event = view(bytes);
  ASSERT_EQ(stream->send(&event, 1, false).status, Stream::Status::kSent);
  a.node->shutdown(1000);
  EXPECT_EQ(stream->send(&event, 1, false).status, Stream::Status::kShutDown);
  EXPECT_TRUE(stream->closed());
  const auto request = a.node->connect("127.0.0.1:1", Bytes(32), 1, false, {});
  ASSERT_FALSE(request);
  EXPECT_EQ(request.error().message, "MeshNode has been shut down");
  const auto done = a.wait_for(Kind::kShutdownDone);
  ASSERT_TRUE(done);
  EXPECT_TRUE(done->unacknowledged.empty());
  ASSERT_TRUE(b.run_until([&] { return b.messages.size() == 1; }));
  const auto down = b.wait_for(Kind::kPeerDown);
  ASSERT_TRUE(down);
  EXPECT_EQ(down->text.substr(0, 7), "goodbye");
}

TEST(RuntimeNode, a_stream_handle_survives_its_node) {
  TestNode b;
  std::unique_ptr<Stream> stream;
  {
    TestNode a;
    ASSERT_TRUE(connect(a, b));
    stream = open_stream(a, b, 5, 65'536);
  }
  const Bytes bytes(10);
  const EventView event = view(bytes);
  EXPECT_EQ(stream->send(&event, 1, false).status, Stream::Status::kShutDown);
  EXPECT_TRUE(stream->closed());
  EXPECT_FALSE(stream->want_credit(10));
  EXPECT_EQ(stream->stream_id(), 5u);
}

TEST(RuntimeNode, without_offload_everything_works_as_well) {
  NodeOptions options = test_options();
  options.offload = false;
  TestNode a(options);
  TestNode b(options);
  ASSERT_TRUE(connect(a, b));
  const auto stream = open_stream(a, b, 5, 1 << 20);
  std::vector<Bytes> events;
  for (std::size_t i = 0; i < 500; ++i) events.push_back(numbered(2000, i));
  std::thread receiving(
      [&] { EXPECT_TRUE(b.run_until([&] { return b.messages.size() == events.size(); })); });
  send_all(a, *stream, events);
  receiving.join();
  EXPECT_EQ(b.messages.back().bytes, events.back());
}

TEST(RuntimeNode, control_calls_get_through_while_data_flows) {
  TestNode a;
  TestNode b;
  ASSERT_TRUE(connect(a, b));
  const auto stream = open_stream(a, b, 5, 1 << 20);
  std::vector<Bytes> events(20'000, Bytes(1000));
  b.keep_messages = false;
  std::thread receiving([&] {
    EXPECT_TRUE(b.run_until([&] {
      EXPECT_EQ(b.node->peers().size(), 1u);
      return b.bytes_received == events.size() * 1000;
    }));
  });
  send_all(a, *stream, events);
  receiving.join();
  EXPECT_FALSE(b.node->counters().empty());
}

TEST(RuntimeNode, many_nodes_come_and_go_without_leaving_descriptors_or_threads) {
  const auto count = [](const char* directory) {
    const std::filesystem::directory_iterator entries(directory);
    return std::distance(begin(entries), end(entries));
  };
  if (!std::filesystem::exists("/proc/self/task")) GTEST_SKIP() << "no /proc here";
  { TestNode warm_up; }
  const auto descriptors = count("/proc/self/fd");
  const auto threads = count("/proc/self/task");
  for (int i = 0; i < 300; ++i) {
    TestNode a;
    TestNode b;
    if (i % 10 == 0) {
      ASSERT_TRUE(connect(a, b));
    }
  }
  EXPECT_EQ(count("/proc/self/fd"), descriptors);
  EXPECT_EQ(count("/proc/self/task"), threads);
}

}  // namespace
}  // namespace netmesh::runtime
