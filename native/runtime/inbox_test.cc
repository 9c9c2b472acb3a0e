#include "runtime/inbox.h"

#include <gtest/gtest.h>

#include <string>

namespace netmesh::runtime {
namespace {

struct Message {
  std::string bytes;
  std::uint32_t ref;
  std::uint32_t index;
  std::uint64_t sequence;
  friend bool operator==(const Message&, const Message&) = default;
};

std::vector<Message> messages_of(const Drained& drained) {
  std::vector<Message> out;
  for (const DeliveryBlock& block : drained.blocks) {
    EXPECT_EQ(block.meta.size() % DeliveryBlock::kMetaWords, 0u);
    for (std::size_t i = 0; i < block.meta.size(); i += DeliveryBlock::kMetaWords) {
      const std::uint32_t* words = &block.meta[i];
      EXPECT_LE(words[0] + words[1], block.bytes.size());
      const auto* at = reinterpret_cast<const char*>(block.bytes.data()) + words[0];
      out.push_back({std::string(at, words[1]), words[2], words[3],
                     words[4] | static_cast<std::uint64_t>(words[5]) << 32});
    }
  }
  return out;
}

void deliver(Inbox& inbox, std::string_view first, std::string_view second = {},
             std::uint64_t sequence = 0) {
  inbox.deliver(7, sequence, 3, as_byte_span(first), as_byte_span(second));
}

class InboxTest : public testing::Test {
 protected:
  int signals = 0;
  Inbox inbox{[this] { ++signals; }};
};

TEST_F(InboxTest, nothing_is_handed_over_before_it_is_published) {
  deliver(inbox, "hello");
  EXPECT_TRUE(inbox.drain().blocks.empty());
  EXPECT_EQ(signals, 0);
  inbox.publish();
  EXPECT_EQ(signals, 1);
  EXPECT_EQ(messages_of(inbox.drain()).size(), 1u);
}

TEST_F(InboxTest, the_application_is_signalled_once_until_it_drains) {
  for (int i = 0; i < 5; ++i) {
    deliver(inbox, "x");
    inbox.publish();
  }
  EXPECT_EQ(signals, 1);
  EXPECT_EQ(messages_of(inbox.drain()).size(), 5u);
  inbox.publish();
  EXPECT_EQ(signals, 1);
  deliver(inbox, "y");
  inbox.publish();
  EXPECT_EQ(signals, 2);
}

TEST_F(InboxTest, a_message_keeps_its_bytes_and_everything_known_about_it) {
  deliver(inbox, "hel", "lo", 0x0123456789ABCDEF);
  deliver(inbox, "", "");
  inbox.publish();
  const auto messages = messages_of(inbox.drain());
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(messages[0], (Message{"hello", 7, 3, 0x0123456789ABCDEF}));
  EXPECT_EQ(messages[1], (Message{"", 7, 3, 0}));
}

TEST_F(InboxTest, messages_of_many_sizes_keep_their_order_across_blocks_and_batches) {
  std::vector<std::string> sent;
  for (std::size_t i = 0; i < 3000; ++i) {
    std::string text = std::to_string(i);
    text.resize(1 + (i * 7919) % (i % 100 == 0 ? 200'000 : 900), 'x');
    deliver(inbox, std::string_view(text).substr(0, text.size() / 2),
            std::string_view(text).substr(text.size() / 2), i);
    sent.push_back(std::move(text));
    if (i % 3 == 0) inbox.publish();
  }
  inbox.publish();
  const auto messages = messages_of(inbox.drain());
  ASSERT_EQ(messages.size(), sent.size());
  for (std::size_t i = 0; i < sent.size(); ++i) {
    EXPECT_EQ(messages[i].bytes, sent[i]);
    EXPECT_EQ(messages[i].sequence, i);
  }
}

TEST_F(InboxTest, events_know_how_many_messages_come_before_them) {
  inbox.stream_opened(7, NodeId(1), StreamId(2), true);
  deliver(inbox, "a");
  deliver(inbox, "b");
  inbox.credit_available(NodeId(1), StreamId(2), 9);
  inbox.publish();
  deliver(inbox, "c");
  inbox.stream_finished(7, mesh::StreamEnd::kFinished);
  inbox.publish();
  const Drained drained = inbox.drain();
  ASSERT_EQ(drained.events.size(), 3u);
  EXPECT_EQ(drained.events[0].kind, ControlEvent::Kind::kStreamOpened);
  EXPECT_EQ(drained.events[0].at, 0u);
  EXPECT_EQ(drained.events[1].kind, ControlEvent::Kind::kCreditAvailable);
  EXPECT_EQ(drained.events[1].at, 2u);
  EXPECT_EQ(drained.events[1].epoch, 9u);
  EXPECT_EQ(drained.events[2].kind, ControlEvent::Kind::kStreamFinished);
  EXPECT_EQ(drained.events[2].at, 3u);
  EXPECT_TRUE(drained.events[2].flag);
  deliver(inbox, "d");
  inbox.peer_down(NodeId(1), mesh::DownReason::kGoodbye, "");
  inbox.publish();
  const Drained next = inbox.drain();
  ASSERT_EQ(next.events.size(), 1u);
  EXPECT_EQ(next.events[0].at, 1u);
  EXPECT_EQ(next.events[0].text, "goodbye");
}

TEST_F(InboxTest, a_lone_small_message_costs_a_small_block_and_a_busy_reader_gets_full_ones) {
  deliver(inbox, "x");
  inbox.publish();
  Drained drained = inbox.drain();
  ASSERT_EQ(drained.blocks.size(), 1u);
  EXPECT_EQ(drained.blocks[0].bytes.capacity(), Inbox::kSmallBlockBytes);

  const std::string kilobyte(1024, 'k');
  for (int i = 0; i < 1000; ++i) {
    deliver(inbox, kilobyte);
    inbox.publish();
  }
  drained = inbox.drain();
  EXPECT_EQ(messages_of(drained).size(), 1000u);
  EXPECT_LE(drained.blocks.size(), 18u);
}

TEST_F(InboxTest, a_message_larger_than_a_block_gets_one_of_its_own_size) {
  const std::string large(1'000'000, 'l');
  deliver(inbox, large);
  inbox.publish();
  const Drained drained = inbox.drain();
  ASSERT_EQ(drained.blocks.size(), 1u);
  EXPECT_EQ(drained.blocks[0].bytes.capacity(), large.size());
}

TEST_F(InboxTest, failures_and_results_of_requests_are_told_apart) {
  inbox.connect_done(1, {});
  inbox.connect_done(2, fail(ErrorKind::kConnection, "no"));
  inbox.accept_done(3, Endpoint::ipv4(1, 2, 3, 4, 5));
  inbox.accept_done(4, fail(ErrorKind::kFatal, "never"));
  inbox.shutdown_done({{NodeId{5}, StreamId{6}, 77, 2}});
  inbox.publish();
  const auto events = inbox.drain().events;
  ASSERT_EQ(events.size(), 5u);
  EXPECT_FALSE(events[0].error);
  EXPECT_EQ(events[1].error->message, "no");
  EXPECT_EQ(events[2].text, "1.2.3.4:5");
  EXPECT_EQ(events[3].error->kind, ErrorKind::kFatal);
  ASSERT_EQ(events[4].unacknowledged.size(), 1u);
  EXPECT_EQ(events[4].unacknowledged[0].bytes, 77u);
  EXPECT_EQ(events[4].unacknowledged[0].events, 2u);
}

}  // namespace
}  // namespace netmesh::runtime
