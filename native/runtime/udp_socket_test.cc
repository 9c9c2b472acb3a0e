#include "runtime/udp_socket.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <string>
#include <thread>

namespace netmesh::runtime {
namespace {

UdpOptions loopback_options() {
  UdpOptions options;
  options.bind_to = Endpoint::ipv4(127, 0, 0, 1, 0);
  return options;
}

std::unique_ptr<UdpSocket> open_socket(const UdpOptions& options = loopback_options()) {
  auto socket = UdpSocket::open(options);
  EXPECT_TRUE(socket) << (socket ? "" : socket.error().message);
  return std::move(*socket);
}

/// A datagram whose every byte tells which one it is.
void append(mesh::TransmitBatch& batch, const Endpoint& to, std::size_t length, unsigned number) {
  const MutableByteSpan room = batch.begin(length);
  ASSERT_EQ(room.size(), length);
  std::fill(room.begin(), room.end(), static_cast<std::byte>(number));
  batch.commit(to, length);
}

using Datagrams = std::vector<Bytes>;

/// Waits for `count` datagrams.
Datagrams receive_datagrams(UdpSocket& socket, std::size_t count) {
  Datagrams out;
  while (out.size() < count) {
    pollfd ready{socket.descriptor(), POLLIN, 0};
    if (::poll(&ready, 1, 2000) <= 0) {
      ADD_FAILURE() << "only " << out.size() << " of " << count << " datagrams came";
      break;
    }
    for (const UdpSocket::Received& received : socket.receive().datagrams) {
      MutableByteSpan rest = received.bytes;
      do {
        const MutableByteSpan datagram = rest.first(std::min(received.segment_bytes, rest.size()));
        out.emplace_back(datagram.begin(), datagram.end());
        rest = rest.subspan(datagram.size());
      } while (!rest.empty());
    }
  }
  return out;
}

void expect_datagram(const Bytes& datagram, std::size_t length, unsigned number) {
  EXPECT_EQ(datagram, Bytes(length, static_cast<std::byte>(number)));
}

struct Path {
  const char* name;
  bool offload;
  bool batch_calls;
};

/// Every way that datagrams can take on this system.
class UdpSocketPaths : public testing::TestWithParam<Path> {
 protected:
  UdpOptions options() const {
    UdpOptions options = loopback_options();
    options.offload = GetParam().offload;
    options.batch_calls = GetParam().batch_calls;
    return options;
  }
};

INSTANTIATE_TEST_SUITE_P(Paths, UdpSocketPaths,
                         testing::Values(Path{"Offload", true, true},
                                         Path{"BatchCalls", false, true},
                                         Path{"Plain", false, false},
                                         Path{"OffloadPlainCalls", true, false}),
                         [](const auto& path) { return path.param.name; });

TEST_P(UdpSocketPaths, a_run_of_equal_datagrams_with_a_shorter_last_one_arrives_in_order) {
  const auto a = open_socket(options());
  const auto b = open_socket(options());
  mesh::TransmitBatch batch;
  for (unsigned i = 0; i < 100; ++i) append(batch, b->local(), 1200, i);
  append(batch, b->local(), 7, 100);
  EXPECT_EQ(a->send(batch, 0), 101u);

  const Datagrams received = receive_datagrams(*b, 101);
  ASSERT_EQ(received.size(), 101u);
  for (unsigned i = 0; i < 100; ++i) expect_datagram(received[i], 1200, i);
  expect_datagram(received[100], 7, 100);
}

TEST_P(UdpSocketPaths, a_batch_for_several_peers_reaches_each_of_them_in_order) {
  const auto sender = open_socket(options());
  const std::unique_ptr<UdpSocket> receivers[] = {open_socket(options()), open_socket(options()),
                                                  open_socket(options())};
  mesh::TransmitBatch batch;
  std::map<std::size_t, std::vector<std::pair<std::size_t, unsigned>>> expected;
  for (unsigned i = 0; i < 200; ++i) {
    const std::size_t peer = i % 7 == 0 ? 0 : (i / 20) % 3;
    const std::size_t length = i % 11 == 0 ? 333 : 1100;
    append(batch, receivers[peer]->local(), length, i);
    expected[peer].emplace_back(length, i);
  }
  EXPECT_EQ(sender->send(batch, 0), 200u);

  for (std::size_t peer = 0; peer < 3; ++peer) {
    const Datagrams received = receive_datagrams(*receivers[peer], expected[peer].size());
    ASSERT_EQ(received.size(), expected[peer].size());
    for (std::size_t i = 0; i < received.size(); ++i) {
      expect_datagram(received[i], expected[peer][i].first, expected[peer][i].second);
    }
  }
}

// Where the MTU of the loopback is below 8192 (a network namespace of a developer's) the kernel
// refuses such segments, and the datagrams go one by one.
TEST_P(UdpSocketPaths, a_run_of_large_datagrams_arrives_whatever_the_mtu) {
  const auto a = open_socket(options());
  const auto b = open_socket(options());
  for (unsigned round = 0; round < 3; ++round) {
    mesh::TransmitBatch batch;
    for (unsigned i = 0; i < 20; ++i) append(batch, b->local(), 8192, i);
    EXPECT_EQ(a->send(batch, 0), 20u);
    const Datagrams received = receive_datagrams(*b, 20);
    ASSERT_EQ(received.size(), 20u);
    for (unsigned i = 0; i < 20; ++i) expect_datagram(received[i], 8192, i);
  }
}

TEST_P(UdpSocketPaths, the_sender_of_a_datagram_is_reported) {
  const auto a = open_socket(options());
  const auto b = open_socket(options());
  mesh::TransmitBatch batch;
  append(batch, b->local(), 10, 1);
  a->send(batch, 0);
  pollfd ready{b->descriptor(), POLLIN, 0};
  ASSERT_EQ(::poll(&ready, 1, 2000), 1);
  const auto received = b->receive();
  ASSERT_EQ(received.datagrams.size(), 1u);
  EXPECT_EQ(received.datagrams[0].from, a->local());
}

TEST_P(UdpSocketPaths, empty_and_largest_datagrams_arrive) {
  const auto a = open_socket(options());
  const auto b = open_socket(options());
  mesh::TransmitBatch batch;
  append(batch, b->local(), mesh::TransmitBatch::kMaxDatagramBytes, 1);
  append(batch, b->local(), 0, 2);
  append(batch, b->local(), 8192, 3);
  EXPECT_EQ(a->send(batch, 0), 3u);
  const Datagrams received = receive_datagrams(*b, 3);
  ASSERT_EQ(received.size(), 3u);
  expect_datagram(received[0], mesh::TransmitBatch::kMaxDatagramBytes, 1);
  expect_datagram(received[1], 0, 2);
  expect_datagram(received[2], 8192, 3);
}

TEST_P(UdpSocketPaths, datagrams_that_cannot_be_sent_are_counted_and_the_others_arrive) {
  const auto a = open_socket(options());
  const auto b = open_socket(options());
  mesh::TransmitBatch batch;
  const Endpoint ipv6 = *Endpoint::parse("[::1]:9");
  append(batch, ipv6, 100, 0);
  append(batch, b->local(), 100, 1);
  append(batch, Endpoint::ipv4(127, 0, 0, 1, 0), 100, 2);
  append(batch, b->local(), 100, 3);
  append(batch, Endpoint{}, 100, 4);
  append(batch, ipv6, 100, 5);
  EXPECT_EQ(a->send(batch, 0), 6u);
  const Datagrams received = receive_datagrams(*b, 2);
  ASSERT_EQ(received.size(), 2u);
  expect_datagram(received[0], 100, 1);
  expect_datagram(received[1], 100, 3);
}

TEST_P(UdpSocketPaths, sending_to_a_closed_port_harms_nothing) {
  const auto a = open_socket(options());
  const auto b = open_socket(options());
  const Endpoint gone = open_socket(options())->local();
  for (int round = 0; round < 3; ++round) {
    mesh::TransmitBatch batch;
    append(batch, gone, 100, 1);
    append(batch, gone, 100, 2);
    append(batch, b->local(), 100, 3);
    EXPECT_EQ(a->send(batch, 0), 3u);
    a->receive();
  }
  EXPECT_EQ(receive_datagrams(*b, 3).size(), 3u);
}

TEST_P(UdpSocketPaths, a_datagram_larger_than_the_receive_slot_is_dropped_and_counted) {
  UdpOptions small = options();
  small.offload = false;
  small.receive_slot_bytes = 1500;
  const auto a = open_socket(options());
  const auto b = open_socket(small);
  mesh::TransmitBatch batch;
  append(batch, b->local(), 1501, 1);
  append(batch, b->local(), 1500, 2);
  a->send(batch, 0);
  const Datagrams received = receive_datagrams(*b, 1);
  ASSERT_EQ(received.size(), 1u);
  expect_datagram(received[0], 1500, 2);
  EXPECT_EQ(b->counters().receive_truncated, 1u);
}

TEST_P(UdpSocketPaths, after_close_sends_are_dropped_and_nothing_is_received) {
  const auto a = open_socket(options());
  const auto b = open_socket(options());
  mesh::TransmitBatch batch;
  append(batch, b->local(), 10, 1);
  a->close();
  a->close();
  EXPECT_EQ(a->send(batch, 0), 1u);
  EXPECT_EQ(a->counters().dropped_other, 1u);
  EXPECT_TRUE(a->receive().datagrams.empty());
  EXPECT_TRUE(a->receive().exhausted);
}

TEST_P(UdpSocketPaths, an_ipv6_wildcard_socket_talks_to_both_protocols) {
  UdpOptions wildcard = options();
  wildcard.bind_to = *Endpoint::parse("[::]:0");
  auto opened = UdpSocket::open(wildcard);
  if (!opened) GTEST_SKIP() << "no IPv6 here: " << opened.error().message;
  const auto both = std::move(*opened);
  const auto ipv4 = open_socket(options());
  mesh::TransmitBatch to_wildcard;
  append(to_wildcard, Endpoint::ipv4(127, 0, 0, 1, both->local().port), 50, 1);
  ipv4->send(to_wildcard, 0);
  pollfd ready{both->descriptor(), POLLIN, 0};
  ASSERT_EQ(::poll(&ready, 1, 2000), 1);
  const auto received = both->receive();
  ASSERT_EQ(received.datagrams.size(), 1u);
  EXPECT_EQ(received.datagrams[0].from, ipv4->local());

  mesh::TransmitBatch back;
  append(back, ipv4->local(), 60, 2);
  append(back, ipv4->local(), 60, 3);
  EXPECT_EQ(both->send(back, 0), 2u);
  EXPECT_EQ(receive_datagrams(*ipv4, 2).size(), 2u);
}

TEST(UdpSocket, a_port_in_use_is_reported_with_the_systems_words) {
  const auto a = open_socket();
  UdpOptions options = loopback_options();
  options.bind_to = a->local();
  const auto b = UdpSocket::open(options);
  ASSERT_FALSE(b);
  EXPECT_EQ(b.error().kind, ErrorKind::kConnection);
  EXPECT_EQ(b.error().message, "bind failed: Address already in use");
}

TEST(UdpSocket, an_address_of_another_machine_is_reported) {
  UdpOptions options = loopback_options();
  options.bind_to = Endpoint::ipv4(192, 0, 2, 1, 0);
  const auto socket = UdpSocket::open(options);
  ASSERT_FALSE(socket);
  EXPECT_EQ(socket.error().message, "bind failed: Cannot assign requested address");
}

TEST(UdpSocket, a_run_leaves_in_one_call_where_the_kernel_segments) {
  const auto a = open_socket();
  if (!a->sends_segmented()) GTEST_SKIP() << "no GSO here";
  const auto b = open_socket();
  mesh::TransmitBatch batch;
  for (unsigned i = 0; i < 50; ++i) append(batch, b->local(), 1200, i);
  a->send(batch, 0);
  EXPECT_EQ(a->counters().send_calls, 1u);
  receive_datagrams(*b, 50);
}

TEST(UdpSocket, a_kernel_that_refuses_segments_gets_single_datagrams) {
  const auto a = open_socket();
  if (!a->sends_segmented()) GTEST_SKIP() << "no GSO here";
  // Broadcast is not allowed on this socket: the kernel takes neither runs nor single datagrams,
  // which must not be held against segmentation.
  mesh::TransmitBatch refused;
  for (unsigned i = 0; i < 4; ++i) append(refused, Endpoint::ipv4(255, 255, 255, 255, 9), 1200, i);
  EXPECT_EQ(a->send(refused, 0), 4u);
  EXPECT_TRUE(a->sends_segmented());
  const UdpCounters counters = a->counters();
  EXPECT_EQ(counters.dropped_other + counters.dropped_unreachable, 4u);
}

TEST(UdpSocket, two_hundred_batches_to_a_slow_reader_lose_nothing_that_the_kernel_took) {
  UdpOptions options = loopback_options();
  options.kernel_buffer_bytes = 1 << 20;
  const auto a = open_socket(options);
  const auto b = open_socket(options);
  std::size_t received = 0;
  for (unsigned round = 0; round < 200; ++round) {
    mesh::TransmitBatch batch;
    for (unsigned i = 0; i < 64; ++i) append(batch, b->local(), 1000, i);
    std::size_t next = 0;
    while (next < 64) next = a->send(batch, next);
    received += receive_datagrams(*b, 64).size();
  }
  EXPECT_EQ(received, 200u * 64);
}

}  // namespace
}  // namespace netmesh::runtime
