#include "session/ack_tracker.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace netmesh::session {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr TimePoint kStart{std::chrono::hours(1)};

/// Out of line, because GCC 12 warns of what it believes to see when it knows every number.
[[gnu::noinline]] void receive(AckTracker& acks, std::uint64_t number, bool ack_eliciting,
                               TimePoint now) {
  acks.on_received(number, ack_eliciting, now);
}

std::set<std::uint64_t> numbers_of(const wire::AckFrame& frame) {
  std::set<std::uint64_t> out;
  for (std::size_t i = 0; i < frame.range_count; ++i) {
    for (std::uint64_t n = frame.ranges[i].first; n <= frame.ranges[i].last; ++n) out.insert(n);
  }
  return out;
}

TEST(AckTracker, LetsALonePacketWaitForCompany) {
  AckTracker acks;
  receive(acks, 0, true, kStart);
  acks.end_of_batch();
  EXPECT_TRUE(acks.pending());
  EXPECT_FALSE(acks.due());
  ASSERT_TRUE(acks.next_timeout().has_value());
  EXPECT_EQ(*acks.next_timeout(), kStart + AckTracker::kMaxAckDelay);
  acks.handle_timeout(kStart + AckTracker::kMaxAckDelay - Duration(1));
  EXPECT_FALSE(acks.due());
  acks.handle_timeout(kStart + AckTracker::kMaxAckDelay);
  EXPECT_TRUE(acks.due());
  EXPECT_FALSE(acks.next_timeout().has_value());
}

TEST(AckTracker, LetsAFewPacketsWaitForMore) {
  AckTracker acks;
  receive(acks, 0, true, kStart);
  receive(acks, 1, true, kStart);
  acks.end_of_batch();
  EXPECT_FALSE(acks.due());
  EXPECT_EQ(acks.next_timeout(), kStart + AckTracker::kBatchAckDelay);
  acks.handle_timeout(kStart + AckTracker::kBatchAckDelay);
  EXPECT_TRUE(acks.due());
}

TEST(AckTracker, AnswersManyPacketsAtTheEndOfTheirBatch) {
  AckTracker acks;
  for (std::uint64_t n = 0; n < AckTracker::kMaxPending; ++n) {
    acks.end_of_batch();
    EXPECT_FALSE(acks.due());
    receive(acks, n, true, kStart);
  }
  EXPECT_FALSE(acks.due());
  acks.end_of_batch();
  EXPECT_TRUE(acks.due());
  acks.on_frame_sent();
  EXPECT_FALSE(acks.due());
  EXPECT_FALSE(acks.pending());
}

TEST(AckTracker, AnswersAGapAtOnce) {
  AckTracker acks;
  receive(acks, 0, true, kStart);
  acks.on_frame_sent();
  receive(acks, 2, true, kStart);
  acks.end_of_batch();
  EXPECT_TRUE(acks.due());
  acks.on_frame_sent();
  receive(acks, 1, true, kStart);  // the gap closes: news as well
  acks.end_of_batch();
  EXPECT_TRUE(acks.due());
}

TEST(AckTracker, AnswersAtOnceWhenAsked) {
  AckTracker acks;
  receive(acks, 0, true, kStart);
  acks.on_ack_requested();
  acks.end_of_batch();
  EXPECT_TRUE(acks.due());
}

TEST(AckTracker, DoesNotAnswerAcknowledgements) {
  AckTracker acks;
  receive(acks, 0, false, kStart);
  receive(acks, 5, false, kStart);
  acks.on_ack_requested();
  acks.end_of_batch();
  EXPECT_FALSE(acks.pending());
  EXPECT_FALSE(acks.due());
  EXPECT_FALSE(acks.next_timeout().has_value());
}

TEST(AckTracker, TellsHowLongTheNewestWaited) {
  AckTracker acks;
  receive(acks, 4, true, kStart);
  receive(acks, 3, true, kStart + microseconds(400));  // newer in time, not in number
  const wire::AckFrame frame = acks.frame(kStart + microseconds(1'500));
  EXPECT_EQ(frame.delay_us, 1'500u);
  ASSERT_EQ(frame.range_count, 1u);
  EXPECT_EQ(frame.ranges[0], (wire::PacketRange{3, 4}));
  EXPECT_EQ(acks.frame(kStart - milliseconds(1)).delay_us, 0u) << "a clock that went back";
}

TEST(AckTracker, KeepsTheNewestRangesWhenThereAreTooMany) {
  AckTracker acks;
  for (std::uint64_t n = 0; n < 200; n += 2) receive(acks, n, true, kStart);
  const wire::AckFrame frame = acks.frame(kStart);
  ASSERT_EQ(frame.range_count, wire::AckFrame::kMaxRanges);
  EXPECT_EQ(frame.ranges[0].last, 198u);
  EXPECT_EQ(frame.ranges[31].first, 198u - 62);
}

TEST(AckTracker, RepeatsRangesUntilThePeerHasSeenThem) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    std::mt19937_64 random(seed);
    AckTracker acks;
    std::set<std::uint64_t> received, known_to_peer;
    std::uint64_t next = 0;
    for (int step = 0; step < 300; ++step) {
      // Few gaps, so that the frame has room for all.
      if (random() % 20 == 0) ++next;
      receive(acks, next, true, kStart);
      received.insert(next++);
      if (random() % 3 != 0) continue;
      const wire::AckFrame frame = acks.frame(kStart);
      const std::uint64_t largest = acks.largest();
      ASSERT_EQ(frame.ranges[0].last, largest);
      acks.on_frame_sent();
      for (const std::uint64_t n : numbers_of(frame)) ASSERT_TRUE(received.contains(n));
      if (random() % 2 != 0) continue;  // lost
      for (const std::uint64_t n : numbers_of(frame)) known_to_peer.insert(n);
      acks.on_frame_acknowledged(largest);
      // Whatever was received by then is known by then.
      for (const std::uint64_t n : received) {
        ASSERT_TRUE(n > largest || known_to_peer.contains(n)) << "seed " << seed << " number " << n;
      }
    }
  }
}

}  // namespace
}  // namespace netmesh::session
