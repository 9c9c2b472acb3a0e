#include "session/stream_scheduler.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <random>
#include <vector>

namespace netmesh::session {
namespace {

constexpr std::size_t kQuantum = 1'200;

class Scheduler : public ::testing::Test {
 protected:
  SendStream& stream(Priority priority, std::uint32_t weight = 1) {
    StreamConfig config{StreamId{streams.size()}, true, 0, weight, priority};
    auto gate = std::make_shared<StreamGate>(
        NodeId{1}, config, 2, 1u << 20, std::make_shared<std::atomic<std::int64_t>>(0), 1 << 20);
    streams.push_back(std::make_unique<SendStream>(std::move(gate), 1 << 20));
    scheduler.add(*streams.back());
    return *streams.back();
  }
  /// Sends packets of `bytes(stream)` until about `total` bytes have left; bytes per stream.
  template <typename BytesOf>
  std::map<std::uint64_t, std::uint64_t> serve(std::uint64_t total, BytesOf bytes_of) {
    std::map<std::uint64_t, std::uint64_t> sent;
    std::uint64_t all = 0;
    while (all < total) {
      SendStream& next = scheduler.front(kQuantum);
      const std::size_t bytes = bytes_of(next);
      scheduler.charge(next, bytes);
      sent[next.id().value] += bytes;
      all += bytes;
    }
    return sent;
  }

  std::vector<std::unique_ptr<SendStream>> streams;
  StreamScheduler scheduler;
};

TEST_F(Scheduler, AClassSendsOnlyWhileThoseAboveHaveNothing) {
  SendStream& bulk = stream(Priority::kBulk);
  SendStream& normal = stream(Priority::kNormal);
  SendStream& high = stream(Priority::kHigh);
  SendStream& control = stream(Priority::kControl);
  for (SendStream* expected : {&control, &high, &normal, &bulk}) {
    for (int i = 0; i < 10; ++i) {
      EXPECT_EQ(&scheduler.front(kQuantum), expected);
      scheduler.charge(*expected, 5'000);
    }
    scheduler.remove(*expected);
  }
  EXPECT_TRUE(scheduler.empty());
  scheduler.add(bulk);
  scheduler.add(control);
  EXPECT_EQ(&scheduler.front(kQuantum), &control);
}

TEST_F(Scheduler, SharesByWeight) {
  for (const std::uint32_t weight : {1u, 3u, 8u}) stream(Priority::kNormal, weight);
  const auto sent = serve(12'000'000, [](const SendStream&) { return kQuantum; });
  EXPECT_NEAR(static_cast<double>(sent.at(0)), 1e6, 2e4);
  EXPECT_NEAR(static_cast<double>(sent.at(1)), 3e6, 6e4);
  EXPECT_NEAR(static_cast<double>(sent.at(2)), 8e6, 16e4);
}

/// One sends full packets, one tiny ones, one events of many packets at a time.
TEST_F(Scheduler, SharesBytesWhateverTheSizesAre) {
  for (int i = 0; i < 3; ++i) stream(Priority::kNormal);
  const auto sent = serve(3'000'000, [](const SendStream& at) -> std::size_t {
    return at.id().value == 0 ? 100 : at.id().value == 1 ? kQuantum : 8'112;
  });
  for (const auto& [id, bytes] : sent) EXPECT_NEAR(static_cast<double>(bytes), 1e6, 2e4) << id;
}

TEST_F(Scheduler, NobodyWaitsLongerThanARoundOfTheOthers) {
  std::mt19937_64 random(5);
  std::uint64_t round = 0;
  for (int i = 0; i < 20; ++i) {
    const auto weight = static_cast<std::uint32_t>(1 + random() % 4);
    stream(Priority::kNormal, weight);
    round += weight * kQuantum;
  }
  std::map<std::uint64_t, std::uint64_t> last;
  std::uint64_t all = 0;
  while (all < 50 * round) {
    SendStream& next = scheduler.front(kQuantum);
    const std::size_t bytes = 1 + random() % kQuantum;
    EXPECT_LE(all - last[next.id().value], round + 20 * kQuantum);
    scheduler.charge(next, bytes);
    all += bytes;
    last[next.id().value] = all;
  }
  EXPECT_EQ(last.size(), 20u);
}

TEST_F(Scheduler, IsInOneListOnceWhateverIsAddedAndRemoved) {
  std::mt19937_64 random(7);
  std::vector<SendStream*> all;
  for (int i = 0; i < 12; ++i) all.push_back(&stream(static_cast<Priority>(i % 4)));
  for (int step = 0; step < 20'000; ++step) {
    SendStream& chosen = *all[random() % all.size()];
    switch (random() % 3) {
      case 0:
        scheduler.add(chosen);
        break;
      case 1:
        scheduler.remove(chosen);
        break;
      default:
        if (!scheduler.empty()) scheduler.charge(scheduler.front(kQuantum), random() % 3'000);
    }
    const auto scheduled = static_cast<std::size_t>(
        std::count_if(all.begin(), all.end(), [](const SendStream* s) { return s->scheduled; }));
    ASSERT_EQ(scheduler.size(), scheduled);
    if (scheduler.empty()) continue;
    Priority best = Priority::kBulk;
    for (const SendStream* s : all) {
      if (s->scheduled) best = std::min(best, s->gate().config.priority);
    }
    ASSERT_EQ(scheduler.front(kQuantum).gate().config.priority, best);
    ASSERT_TRUE(scheduler.front(kQuantum).scheduled);
  }
  scheduler.clear();
  EXPECT_TRUE(scheduler.empty());
  for (const SendStream* s : all) EXPECT_FALSE(s->scheduled);
}

TEST_F(Scheduler, AWeightOfZeroCountsAsOne) {
  stream(Priority::kNormal, 0);
  stream(Priority::kNormal, 1);
  const auto sent = serve(1'000'000, [](const SendStream&) { return kQuantum; });
  EXPECT_NEAR(static_cast<double>(sent.at(0)), 5e5, 1e4);
}

}  // namespace
}  // namespace netmesh::session
