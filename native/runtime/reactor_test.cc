#include "runtime/reactor.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <mutex>

#include "runtime/clock.h"
#include "runtime/udp_socket.h"

namespace netmesh::runtime {
namespace {

using namespace std::chrono_literals;

/// Counts turns and lets a test wait for them.
class CountingClient : public ReactorClient {
 public:
  Turn turn(bool readable) override {
    const std::lock_guard lock(mutex_);
    ++turns_;
    if (readable) ++readable_turns_;
    last_turn_ = monotonic_now();
    work_ = false;
    changed_.notify_all();
    return {};
  }
  bool has_work() const override { return work_; }

  bool wait(const std::function<bool()>& condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 2s, condition);
  }
  int turns() {
    const std::lock_guard lock(mutex_);
    return turns_;
  }

  int turns_ = 0;
  int readable_turns_ = 0;
  TimePoint last_turn_{};
  std::atomic<bool> work_{false};

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
};

std::unique_ptr<UdpSocket> open_socket() {
  UdpOptions options;
  options.bind_to = Endpoint::ipv4(127, 0, 0, 1, 0);
  return std::move(*UdpSocket::open(options));
}

class ReactorTest : public testing::Test {
 protected:
  void start() {
    reactor = std::move(*Reactor::create(*readiness, client));
    ASSERT_TRUE(reactor->start());
    ASSERT_TRUE(client.wait([&] { return client.turns_ == 1; }));
  }
  void wait_until_parked() const {
    while (!reactor->parked()) std::this_thread::yield();
  }

  CountingClient client;
  const std::unique_ptr<UdpSocket> socket = open_socket();
  const std::unique_ptr<Readiness> readiness = std::move(*Readiness::open(socket->descriptor()));
  std::unique_ptr<Reactor> reactor;
};

TEST_F(ReactorTest, a_wake_up_makes_the_client_turn) {
  start();
  for (int i = 1; i < 50; ++i) {
    wait_until_parked();
    reactor->wake();
    ASSERT_TRUE(client.wait([&] { return client.turns_ >= 1 + i; }));
  }
}

TEST_F(ReactorTest, an_idle_thread_does_not_turn) {
  start();
  wait_until_parked();
  std::this_thread::sleep_for(50ms);
  EXPECT_EQ(client.turns(), 1);
}

TEST_F(ReactorTest, a_datagram_makes_the_client_turn) {
  start();
  wait_until_parked();
  mesh::TransmitBatch batch;
  batch.begin(1);
  batch.commit(socket->local(), 1);
  open_socket()->send(batch, 0);
  EXPECT_TRUE(client.wait([&] { return client.readable_turns_ > 0; }));
}

TEST_F(ReactorTest, a_deadline_set_from_another_thread_is_met_below_a_millisecond) {
  start();
  Duration best = 1h;
  for (int i = 0; i < 10; ++i) {
    wait_until_parked();
    const TimePoint now = monotonic_now();
    const TimePoint deadline = now + 700us;
    const int before = client.turns();
    reactor->arm(now, deadline);
    ASSERT_TRUE(client.wait([&] { return client.turns_ > before; }));
    EXPECT_GE(client.last_turn_, deadline);
    best = std::min(best, client.last_turn_ - deadline);
  }
#if defined(__linux__)
  EXPECT_LT(best, 1ms);
#endif
}

TEST_F(ReactorTest, an_earlier_deadline_replaces_a_later_one) {
  start();
  wait_until_parked();
  const TimePoint now = monotonic_now();
  reactor->arm(now, now + 1h);
  reactor->arm(now, now + 1ms);
  EXPECT_TRUE(client.wait([&] { return client.turns_ == 2; }));
}

TEST_F(ReactorTest, work_left_without_a_wake_up_while_the_thread_was_busy_is_done) {
  start();
  for (int i = 0; i < 2000; ++i) {
    client.work_ = true;
    if (reactor->parked()) reactor->wake();
    ASSERT_TRUE(client.wait([&] { return !client.work_; }));
  }
}

TEST_F(ReactorTest, a_thousand_reactors_leave_no_descriptor_behind) {
  const auto count_descriptors = [] {
    const std::filesystem::directory_iterator entries("/proc/self/fd");
    return std::distance(begin(entries), end(entries));
  };
  if (!std::filesystem::exists("/proc/self/fd")) GTEST_SKIP() << "no /proc here";
  start();
  reactor.reset();
  const auto before = count_descriptors();
  for (int i = 0; i < 1000; ++i) {
    auto another = std::move(*Reactor::create(*readiness, client));
    if (i % 3 != 0) {
      ASSERT_TRUE(another->start());
    }
    if (i % 2 == 0) another->stop();
    another->wake();
  }
  EXPECT_EQ(count_descriptors(), before);
}

}  // namespace
}  // namespace netmesh::runtime
