#include "session/stream_gate.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <random>
#include <thread>

namespace netmesh::session {
namespace {

using Admission = StreamGate::Admission;

BatchCost cost_of(std::size_t length) {
  BatchCost cost;
  cost.add(length);
  return cost;
}

struct Fixture {
  explicit Fixture(std::uint32_t window, std::int64_t cap = 1 << 30)
      : queued(std::make_shared<std::atomic<std::int64_t>>(0)),
        gate(std::make_shared<StreamGate>(NodeId{1}, StreamConfig{StreamId{1}, true, window, 1}, 2,
                                          1 << 20, queued, cap)) {}
  std::shared_ptr<std::atomic<std::int64_t>> queued;
  std::shared_ptr<StreamGate> gate;
};

TEST(BatchCost, PacksGreedilyIntoBasePackets) {
  BatchCost cost;
  EXPECT_EQ(cost.bytes(), 0u);
  cost.add(10);
  EXPECT_EQ(cost.bytes(), 94u);
  EXPECT_EQ(cost.packets(), 1u);
  cost.add(8'112 - 14 - 4);
  EXPECT_EQ(cost.packets(), 1u) << "exactly full";
  cost.add(0);
  EXPECT_EQ(cost.packets(), 2u);
  EXPECT_EQ(cost.bytes(), 80u + 8'112 + 80 + 4);
}

TEST(BatchCost, CountsAnEventLargerThanAPacketAsOne) {
  BatchCost cost;
  cost.add(100'000);
  EXPECT_EQ(cost.packets(), 1u);
  EXPECT_EQ(cost.bytes(), 80u + 4 + 100'000);
  cost.add(1);
  EXPECT_EQ(cost.packets(), 2u);
}

TEST(StreamGate, AdmitsWithinItsWindow) {
  Fixture f(256);
  EXPECT_EQ(f.gate->try_admit(cost_of(10)), Admission::kAdmitted);
  EXPECT_EQ(f.gate->try_admit(cost_of(10)), Admission::kAdmitted);
  EXPECT_EQ(f.gate->credit_remaining(), 68u);
  EXPECT_EQ(f.gate->try_admit(cost_of(10)), Admission::kBackpressure);
  EXPECT_EQ(f.gate->try_admit(cost_of(10), false), Admission::kBackpressure);
  EXPECT_EQ(f.gate->backpressure_events(), 1u);
  EXPECT_EQ(f.gate->tx_sequence(), 2u);
  EXPECT_FALSE(f.gate->restore_credit(94)) << "nobody waits";
  EXPECT_EQ(f.gate->credit_remaining(), 162u);
  f.gate->restore_credit(1'000'000);
  EXPECT_EQ(f.gate->credit_remaining(), 256u);
}

TEST(StreamGate, WithoutWindowIsBoundedByTheSessionsQueue) {
  Fixture f(0, 200);
  EXPECT_EQ(f.gate->try_admit(cost_of(10)), Admission::kAdmitted);
  EXPECT_EQ(f.gate->try_admit(cost_of(10)), Admission::kAdmitted);
  EXPECT_EQ(f.gate->try_admit(cost_of(10)), Admission::kBackpressure);
  EXPECT_EQ(f.gate->credit_remaining(), 0u);
  f.gate->release_queue(94);
  EXPECT_EQ(f.gate->try_admit(cost_of(10)), Admission::kAdmitted);
}

TEST(StreamGate, AdmitsUnwindowedEventsWithoutCredit) {
  Fixture f(100, 1'000);
  EXPECT_TRUE(f.gate->admit_unwindowed(500, 1, 416).has_value());
  EXPECT_EQ(f.gate->credit_remaining(), 100u);
  EXPECT_EQ(f.gate->admit_unwindowed(501, 1, 417).error().kind, ErrorKind::kBackpressure);
  EXPECT_EQ(f.gate->admit_unwindowed(10, 1, (1 << 20) + 1).error().kind, ErrorKind::kTooLarge);
}

TEST(StreamGate, WakesOnceForCreditThatIsWorthIt) {
  Fixture f(1'000);
  ASSERT_EQ(f.gate->try_admit(cost_of(916)), Admission::kAdmitted);
  f.gate->want_credit(94);
  EXPECT_FALSE(f.gate->restore_credit(100)) << "less than a fourth of the window";
  EXPECT_TRUE(f.gate->restore_credit(150));
  EXPECT_FALSE(f.gate->restore_credit(500)) << "asked once, told once";
}

TEST(StreamGate, ClosesOnceAndTellsWhetherSomebodyWaits) {
  Fixture f(100);
  f.gate->want_credit(50);
  EXPECT_FALSE(f.gate->closed());
  EXPECT_TRUE(f.gate->close());
  EXPECT_FALSE(f.gate->close());
  EXPECT_TRUE(f.gate->closed());
  EXPECT_EQ(f.gate->try_admit(cost_of(1)), Admission::kClosed);
}

/// An application thread that waits for nothing but wake-ups, and an I/O thread that gives back.
TEST(StreamGate, LosesNoWakeUpBetweenTwoThreads) {
  for (const std::uint32_t window : {200u, 3'000u, 65'536u, 0u}) {
    Fixture f(window, 20'000);
    std::mutex mutex;
    std::condition_variable io_wakes, application_wakes;
    std::deque<std::uint64_t> costs;
    bool credit = false, done = false;
    constexpr int kMessages = 20'000;

    std::thread io([&] {
      std::mt19937_64 random(window);
      std::unique_lock lock(mutex);
      while (true) {
        io_wakes.wait(lock, [&] { return done || !costs.empty(); });
        if (costs.empty()) return;
        const std::uint64_t cost = costs.front();
        costs.pop_front();
        lock.unlock();
        if (random() % 16 == 0) std::this_thread::yield();
        f.gate->release_queue(cost);
        const bool wanted = f.gate->restore_credit(cost);
        lock.lock();
        if (wanted) {
          credit = true;
          application_wakes.notify_one();
        }
      }
    });

    std::mt19937_64 random(window + 1);
    bool stuck = false;
    for (int i = 0; i < kMessages && !stuck; ++i) {
      const std::size_t room = window == 0 ? 5'000 : window - 84;
      const BatchCost cost =
          cost_of(std::size_t{random()} % (std::min<std::size_t>(room, 5'000) + 1));
      const auto bytes = static_cast<std::int64_t>(cost.bytes());
      while (f.gate->try_admit(cost) != Admission::kAdmitted) {
        f.gate->want_credit(bytes);
        if (f.gate->fits(bytes)) continue;
        std::unique_lock lock(mutex);
        if (!application_wakes.wait_for(lock, std::chrono::seconds(30), [&] { return credit; })) {
          stuck = true;
          break;
        }
        credit = false;
      }
      if (stuck) break;
      const std::lock_guard lock(mutex);
      costs.push_back(cost.bytes());
      io_wakes.notify_one();
    }
    {
      const std::lock_guard lock(mutex);
      done = true;
      io_wakes.notify_one();
    }
    io.join();
    EXPECT_FALSE(stuck) << "window " << window;
    EXPECT_EQ(f.queued->load(), 0);
    EXPECT_EQ(f.gate->credit_remaining(), window);
    EXPECT_EQ(f.gate->tx_sequence(), static_cast<std::uint64_t>(kMessages));
  }
}

}  // namespace
}  // namespace netmesh::session
