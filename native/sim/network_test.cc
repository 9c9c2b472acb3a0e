#include "sim/network.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "sim/world.h"

namespace netmesh::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// Notes what arrives, and when.
struct Listener final : Port {
  explicit Listener(SimNetwork& simulated) : network(simulated) {}
  void receive(const Endpoint& from, Bytes datagram) override {
    sources.push_back(from);
    datagrams.push_back(std::move(datagram));
    times.push_back(network.elapsed());
  }
  SimNetwork& network;
  std::vector<Endpoint> sources;
  std::vector<Bytes> datagrams;
  std::vector<Duration> times;
};

struct Network : ::testing::Test {
  Network() { network.attach(b, listener); }

  void send(int count, std::size_t size = 100) {
    for (int i = 0; i < count; ++i) {
      Bytes datagram(std::max<std::size_t>(size, 4));
      store_le<std::uint32_t>(datagram.data(), static_cast<std::uint32_t>(i));
      network.send(a, b, datagram);
    }
  }
  std::vector<std::uint32_t> numbers() const {
    std::vector<std::uint32_t> out;
    for (const Bytes& datagram : listener.datagrams) {
      out.push_back(load_le<std::uint32_t>(datagram.data()));
    }
    return out;
  }

  const Endpoint a = address_of(1), b = address_of(2);
  SimNetwork network{7};
  Listener listener{network};
};

TEST_F(Network, DeliversAfterTheDelayAndInOrder) {
  LinkConfig link;
  link.delay = milliseconds(30);
  network.set_default_link(link);
  send(10);
  network.run_for(seconds(1));
  ASSERT_EQ(listener.times.size(), 10u);
  EXPECT_EQ(listener.times[0], milliseconds(30));
  const auto order = numbers();
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
  EXPECT_EQ(network.elapsed(), seconds(1));
}

TEST_F(Network, LosesAndRepeatsAsOftenAsItIsTold) {
  LinkConfig link;
  link.loss = 0.3;
  link.duplicate = 0.2;
  network.set_default_link(link);
  send(10'000);
  network.run_for(seconds(1));
  EXPECT_NEAR(static_cast<double>(network.stats().lost), 3'000, 200);
  EXPECT_NEAR(static_cast<double>(network.stats().duplicated), 1'400, 150);
  EXPECT_EQ(listener.datagrams.size(), 10'000 - network.stats().lost + network.stats().duplicated);
}

TEST_F(Network, LosesInBursts) {
  LinkConfig link;
  link.burst_start = 0.01;
  link.burst_length = milliseconds(20);
  network.set_default_link(link);
  for (int i = 0; i < 5'000; ++i) {
    send(1);
    network.run_for(milliseconds(1));
  }
  // A hundredth of the packets begins a burst of ten on average.
  EXPECT_NEAR(static_cast<double>(network.stats().lost), 450, 150);
}

TEST_F(Network, JitterReorders) {
  LinkConfig link;
  link.jitter = milliseconds(10);
  network.set_default_link(link);
  send(100);
  network.run_for(seconds(1));
  auto order = numbers();
  EXPECT_FALSE(std::is_sorted(order.begin(), order.end()));
  std::sort(order.begin(), order.end());
  std::vector<std::uint32_t> all(100);
  std::iota(all.begin(), all.end(), 0u);
  EXPECT_EQ(order, all);
}

TEST_F(Network, DamagesWhatItIsToldToDamage) {
  LinkConfig link;
  link.corrupt = 1;
  network.set_default_link(link);
  const Bytes original(200, std::byte{0x55});
  for (int i = 0; i < 200; ++i) network.send(a, b, original);
  network.run_for(seconds(1));
  std::size_t cut = 0, longer = 0;
  for (const Bytes& datagram : listener.datagrams) {
    cut += datagram.size() < original.size() ? 1u : 0u;
    longer += datagram.size() > original.size() ? 1u : 0u;
  }
  EXPECT_GT(cut, 10u);
  EXPECT_GT(longer, 10u);
  EXPECT_LT(std::count(listener.datagrams.begin(), listener.datagrams.end(), original), 5);
}

TEST_F(Network, ALineHasASpeedAndAQueue) {
  LinkConfig link;
  link.delay = Duration(0);
  link.bytes_per_second = 100'000;
  link.queue_bytes = 2'000;
  network.set_default_link(link);
  send(50, 1'000);
  network.run_for(seconds(5));
  ASSERT_EQ(listener.times.size(), 3u) << "one on the line, two in the queue";
  EXPECT_EQ(listener.times[0], milliseconds(10));
  EXPECT_EQ(listener.times[2], milliseconds(30));
  EXPECT_EQ(network.stats().overflowed, 47u);
}

TEST_F(Network, DatagramsAboveTheMtuAreLost) {
  LinkConfig link;
  link.mtu = 1'200;
  network.set_default_link(link);
  send(1, 1'200);
  send(1, 1'201);
  network.run_for(seconds(1));
  EXPECT_EQ(listener.datagrams.size(), 1u);
}

TEST_F(Network, PartitionsHoldUntilTheyHeal) {
  network.set_partitioned(a, b, true);
  send(5);
  network.run_for(seconds(1));
  EXPECT_TRUE(listener.datagrams.empty());
  network.set_partitioned(a, b, false);
  send(5);
  network.run_for(seconds(1));
  EXPECT_EQ(listener.datagrams.size(), 5u);
}

TEST_F(Network, LinksAreDirectedAndOfTheirOwn) {
  LinkConfig dead;
  dead.loss = 1;
  network.set_link(a, b, dead);
  send(5);
  network.send(address_of(3), b, Bytes(10));
  network.run_for(seconds(1));
  EXPECT_EQ(listener.datagrams.size(), 1u);
}

TEST_F(Network, TranslatesAddressesBothWays) {
  const Endpoint seen = address_of(77);
  Listener inside(network);
  network.attach(a, inside);
  network.set_translation(a, seen);
  send(1);
  network.run_for(seconds(1));
  ASSERT_EQ(listener.sources.size(), 1u);
  EXPECT_EQ(listener.sources[0], seen);
  network.send(b, seen, Bytes(10));
  network.run_for(seconds(1));
  EXPECT_EQ(inside.datagrams.size(), 1u);
  network.set_translation(a, a);
  send(1);
  network.run_for(seconds(1));
  EXPECT_EQ(listener.sources.back(), a);
}

TEST_F(Network, TapsSeeEverythingAndMaySwallowIt) {
  int seen = 0;
  network.set_tap([&](const Endpoint&, const Endpoint&, ByteSpan) { return ++seen % 2 == 0; });
  send(10);
  network.run_for(seconds(1));
  EXPECT_EQ(seen, 10);
  EXPECT_EQ(listener.datagrams.size(), 5u);
}

TEST_F(Network, EventsOfOneInstantKeepTheirOrder) {
  std::vector<int> order;
  for (int i = 0; i < 100; ++i) {
    network.after(milliseconds(5), [&order, i] { order.push_back(i); });
  }
  network.run_for(seconds(1));
  EXPECT_EQ(order.size(), 100u);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

TEST_F(Network, AfterAJumpWhatWasDueHappensLate) {
  Duration at{};
  network.after(seconds(1), [&] { at = network.elapsed(); });
  network.jump(seconds(60));
  network.run_for(Duration(0));
  EXPECT_EQ(at, seconds(60));
}

TEST_F(Network, NobodyHearsWhatIsSentToNobody) {
  network.send(a, address_of(99), Bytes(10));
  network.detach(b);
  send(1);
  network.run_for(seconds(1));
  EXPECT_EQ(network.stats().delivered, 0u);
}

TEST(SimRandom, GivesTheSameNumbersEverywhere) {
  SimRandom random(42);
  // Computed once; the same on every compiler and platform, or no seed replays.
  const std::uint64_t expected[] = {random.next(), random.next()};
  SimRandom again(42);
  EXPECT_EQ(again.next(), expected[0]);
  EXPECT_EQ(again.next(), expected[1]);
  SimRandom known(1);
  EXPECT_EQ(known.next(), 0xB3F2'AF6D'0FC7'10C5ULL);
  EXPECT_NE(SimRandom(43).next(), expected[0]);
}

TEST(SimRandom, KeepsToItsBounds) {
  SimRandom random(5);
  bool low = false, high = false;
  for (int i = 0; i < 1'000; ++i) {
    const std::uint64_t value = random.between(3, 6);
    ASSERT_TRUE(value >= 3 && value <= 6);
    low |= value == 3;
    high |= value == 6;
    const double unit = random.unit();
    ASSERT_TRUE(unit >= 0 && unit < 1);
  }
  EXPECT_TRUE(low && high);
  EXPECT_FALSE(random.chance(0));
  EXPECT_EQ(random.duration(seconds(2), seconds(2)), seconds(2));
}

}  // namespace
}  // namespace netmesh::sim
