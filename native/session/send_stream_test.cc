#include "session/send_stream.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace netmesh::session {
namespace {

constexpr std::uint64_t kNoLimit = 1ULL << 40;

struct Fixture {
  explicit Fixture(bool reliable, std::uint32_t window = 0, std::uint64_t peer_window = kNoLimit)
      : queued(std::make_shared<std::atomic<std::int64_t>>(0)),
        gate(std::make_shared<StreamGate>(NodeId{1}, StreamConfig{StreamId{7}, reliable, window, 1},
                                          2, 100'000, queued, 1 << 30)),
        stream(std::make_unique<SendStream>(gate, peer_window)) {}

  /// Admits and pushes one batch; false when the window has no room.
  bool push(const std::vector<Bytes>& events) {
    BatchCost cost;
    OutboundBatch batch;
    std::size_t size = 0;
    for (const Bytes& event : events) {
      cost.add(event.size());
      size += 4 + event.size();
    }
    if (gate->try_admit(cost) != StreamGate::Admission::kAdmitted) return false;
    batch.frames = Slab(size);
    for (const Bytes& event : events) {
      Bytes frame(4);
      store_le<std::uint32_t>(frame.data(), static_cast<std::uint32_t>(event.size()));
      frame.insert(frame.end(), event.begin(), event.end());
      std::memcpy(batch.frames.extend(frame.size()), frame.data(), frame.size());
      content.insert(content.end(), frame.begin(), frame.end());
    }
    batch.cost = cost.bytes();
    batch.event_count = static_cast<std::uint32_t>(events.size());
    batch.packets = static_cast<std::uint32_t>(cost.packets());
    stream->push(std::move(batch));
    return true;
  }

  /// What the stream hands out for a range is what was pushed.
  void check(const StreamRange& range) {
    Bytes bytes(range.length);
    stream->read(range.offset, bytes);
    ASSERT_TRUE(std::equal(bytes.begin(), bytes.end(),
                           content.begin() + static_cast<std::ptrdiff_t>(range.offset)));
  }

  std::shared_ptr<std::atomic<std::int64_t>> queued;
  std::shared_ptr<StreamGate> gate;
  std::unique_ptr<SendStream> stream;
  Bytes content;
};

TEST(SendStream, SendsAFinBehindTheLastByte) {
  Fixture f(true);
  ASSERT_TRUE(f.push({Bytes(10)}));
  f.stream->finish();
  const auto range = f.stream->take(100, kNoLimit);
  ASSERT_TRUE(range.has_value());
  EXPECT_EQ(range->length, 14u);
  EXPECT_TRUE(range->fin);
  EXPECT_FALSE(f.stream->has_sendable());
  EXPECT_FALSE(f.stream->complete());
  f.stream->on_acknowledged(*range);
  EXPECT_TRUE(f.stream->complete());
}

TEST(SendStream, SendsAFinOfItsOwnWhenTheDataHasLeft) {
  Fixture f(true);
  ASSERT_TRUE(f.push({Bytes(10)}));
  const auto data = f.stream->take(100, kNoLimit);
  ASSERT_TRUE(data.has_value());
  f.stream->finish();
  const auto fin = f.stream->take(100, kNoLimit);
  ASSERT_TRUE(fin.has_value());
  EXPECT_EQ(*&fin->offset, 14u);
  EXPECT_EQ(fin->length, 0u);
  EXPECT_TRUE(fin->fin);
  // The FIN may be acknowledged before the data.
  f.stream->on_acknowledged(*fin);
  EXPECT_FALSE(f.stream->complete());
  f.stream->on_lost(*data);
  const auto again = f.stream->take(100, kNoLimit);
  ASSERT_TRUE(again.has_value());
  EXPECT_FALSE(again->fin) << "the FIN has arrived";
  f.stream->on_acknowledged(*again);
  EXPECT_TRUE(f.stream->complete());
}

TEST(SendStream, RepeatsALostFin) {
  Fixture f(true);
  f.stream->finish();
  const auto fin = f.stream->take(100, kNoLimit);
  ASSERT_TRUE(fin.has_value() && fin->fin);
  EXPECT_FALSE(f.stream->has_sendable());
  f.stream->on_lost(*fin);
  EXPECT_TRUE(f.stream->has_sendable());
  const auto again = f.stream->take(100, kNoLimit);
  ASSERT_TRUE(again.has_value() && again->fin);
  f.stream->on_acknowledged(*again);
  EXPECT_TRUE(f.stream->complete());
}

TEST(SendStream, StopsAtThePeersLimitAndAtTheSessions) {
  Fixture f(true, 0, 10);
  ASSERT_TRUE(f.push({Bytes(50)}));
  const auto first = f.stream->take(100, 4);
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->length, 4u) << "the session's limit";
  EXPECT_FALSE(f.stream->take(100, 0).has_value());
  const auto second = f.stream->take(100, kNoLimit);
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->length, 6u) << "the stream's limit";
  EXPECT_TRUE(f.stream->blocked());
  EXPECT_FALSE(f.stream->has_sendable());
  EXPECT_FALSE(f.stream->raise_limit(10));
  EXPECT_TRUE(f.stream->raise_limit(20));
  EXPECT_TRUE(f.stream->has_sendable());
  // What is lost may be sent again whatever the session's limit says.
  f.stream->on_lost(*first);
  const auto again = f.stream->take(100, 0);
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->offset, 0u);
}

TEST(SendStream, GivesCreditBackInOrder) {
  Fixture f(true, 1'000);
  ASSERT_TRUE(f.push({Bytes(100)}));
  ASSERT_TRUE(f.push({Bytes(200)}));
  EXPECT_EQ(f.gate->credit_remaining(), 1'000u - 184 - 284);
  EXPECT_EQ(f.queued->load(), 184 + 284);
  f.gate->want_credit(900);
  const auto all = f.stream->take(1'000, kNoLimit);
  ASSERT_TRUE(all.has_value());
  EXPECT_FALSE(f.stream->on_acknowledged({104, 204, false})) << "the first batch is missing";
  EXPECT_EQ(f.gate->credit_remaining(), 1'000u - 184 - 284);
  EXPECT_TRUE(f.stream->on_acknowledged({0, 104, false})) << "somebody waits for it";
  EXPECT_EQ(f.gate->credit_remaining(), 1'000u);
  EXPECT_EQ(f.queued->load(), 0);
}

TEST(SendStream, LeavesNothingInTheSessionsQueueWhenItGoes) {
  Fixture f(true);
  ASSERT_TRUE(f.push({Bytes(100), Bytes(5)}));
  EXPECT_GT(f.queued->load(), 0);
  f.stream.reset();
  EXPECT_EQ(f.queued->load(), 0);
}

TEST(SendStream, TakesWholeFramesOfAFireAndForgetStream) {
  Fixture f(false);
  ASSERT_TRUE(f.push({Bytes(10), Bytes(20), Bytes(3'000), Bytes(1)}));
  auto take = f.stream->take_frames(50);
  ASSERT_TRUE(take.has_value());
  EXPECT_EQ(take->range.length, 14u + 24);
  take = f.stream->take_frames(50);
  ASSERT_TRUE(take.has_value());
  EXPECT_EQ(take->range.length, 0u);
  EXPECT_EQ(take->oversized, 3'004u);
  EXPECT_EQ(f.stream->take_oversized(3'004).offset, 38u);
  take = f.stream->take_frames(50);
  ASSERT_TRUE(take.has_value());
  EXPECT_EQ(take->range.offset, 38u + 3'004);
  EXPECT_EQ(take->range.length, 5u);
  EXPECT_FALSE(f.stream->take_frames(50).has_value());
}

TEST(SendStream, NeverCutsAFireAndForgetFrameAtTheLimit) {
  Fixture f(false, 0, 30);
  ASSERT_TRUE(f.push({Bytes(10), Bytes(20)}));
  auto take = f.stream->take_frames(1'000);
  ASSERT_TRUE(take.has_value());
  EXPECT_EQ(take->range.length, 14u);
  EXPECT_TRUE(f.stream->blocked());
  EXPECT_FALSE(f.stream->take_frames(1'000).has_value());
  f.stream->raise_limit(38);
  take = f.stream->take_frames(1'000);
  ASSERT_TRUE(take.has_value());
  EXPECT_EQ(take->range.length, 24u);
}

TEST(SendStream, FireAndForgetCreditReturnsForWhatIsLostToo) {
  Fixture f(false, 1'000);
  ASSERT_TRUE(f.push({Bytes(100)}));
  const auto take = f.stream->take_frames(1'000);
  ASSERT_TRUE(take.has_value());
  f.stream->on_lost(take->range);
  EXPECT_EQ(f.gate->credit_remaining(), 1'000u);
  EXPECT_FALSE(f.stream->has_lost());
  f.stream->finish();
  EXPECT_TRUE(f.stream->complete());
}

/// A careless network: every stretch is acknowledged, lost or probed at random, in any order.
TEST(SendStream, ResolvesEveryByteWhateverHappensToThem) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    std::mt19937_64 random(seed);
    const bool reliable = random() % 2 == 0;
    const std::uint32_t window = random() % 2 == 0 ? 0 : 20'000;
    Fixture f(reliable, window, 1'000);
    std::vector<StreamRange> in_flight;
    std::vector<bool> arrived;
    bool fin_arrived = false;
    std::uint64_t new_bytes = 0;
    int pushes = static_cast<int>(random() % 30);
    int steps = 0;
    const auto settle = [&](std::size_t index, bool acknowledged) {
      const StreamRange range = in_flight[index];
      in_flight.erase(in_flight.begin() + static_cast<std::ptrdiff_t>(index));
      if (!acknowledged) {
        f.stream->on_lost(range);
        return;
      }
      for (std::uint64_t i = 0; i < range.length; ++i) arrived[range.offset + i] = true;
      fin_arrived |= range.fin;
      f.stream->on_acknowledged(range);
    };
    while (!f.stream->complete()) {
      ASSERT_LT(++steps, 100'000) << "seed " << seed;
      switch (random() % 6) {
        case 0:
          if (pushes > 0) {
            std::vector<Bytes> events;
            for (std::uint64_t n = 1 + random() % 3; n > 0; --n) {
              Bytes event(std::size_t{random()} % 500);
              for (std::byte& b : event) b = static_cast<std::byte>(random());
              events.push_back(std::move(event));
            }
            if (f.push(events)) --pushes;
            arrived.resize(f.content.size());
          } else {
            f.stream->finish();
          }
          break;
        case 1:
          f.stream->raise_limit(f.stream->max_offset() + random() % 2'000);
          break;
        case 2:
        case 3: {
          if (!reliable) {
            const auto take = f.stream->take_frames(20 + random() % 600);
            if (!take) break;
            const StreamRange range =
                take->oversized != 0 ? f.stream->take_oversized(take->oversized) : take->range;
            f.check(range);
            in_flight.push_back(range);
            ASSERT_LE(range.offset + range.length, f.stream->max_offset());
            break;
          }
          const bool retransmission = f.stream->has_lost();
          const auto range = f.stream->take(1 + random() % 300, random() % 1'000);
          if (!range) break;
          f.check(*range);
          if (!retransmission) new_bytes += range->length;
          ASSERT_LE(range->offset + range->length, f.stream->max_offset());
          in_flight.push_back(*range);
          break;
        }
        case 4:
          if (!in_flight.empty()) settle(random() % in_flight.size(), random() % 10 < 6);
          break;
        default:
          if (reliable && !in_flight.empty() && random() % 4 == 0) {
            f.stream->probe(in_flight[random() % in_flight.size()]);
          }
      }
      if (::testing::Test::HasFatalFailure()) return;
    }
    if (reliable) {
      ASSERT_TRUE(fin_arrived) << "seed " << seed;
      ASSERT_TRUE(std::all_of(arrived.begin(), arrived.end(), [](bool b) { return b; }))
          << "seed " << seed;
      ASSERT_EQ(new_bytes, f.content.size()) << "each byte is new once, seed " << seed;
    }
    ASSERT_EQ(f.stream->unacknowledged_bytes(), 0u);
    ASSERT_EQ(f.queued->load(), 0) << "seed " << seed;
    if (window != 0) ASSERT_EQ(f.gate->credit_remaining(), window) << "seed " << seed;
    // What still was in flight arrives late, and changes nothing.
    while (!in_flight.empty()) settle(0, random() % 2 == 0);
    ASSERT_TRUE(f.stream->complete());
  }
}

}  // namespace
}  // namespace netmesh::session
