#include "runtime/readiness.h"

#include <gtest/gtest.h>
#include <poll.h>

#include "runtime/udp_socket.h"

namespace netmesh::runtime {
namespace {

std::unique_ptr<UdpSocket> open_socket() {
  UdpOptions options;
  options.bind_to = Endpoint::ipv4(127, 0, 0, 1, 0);
  return std::move(*UdpSocket::open(options));
}

void send_one(UdpSocket& from, const Endpoint& to) {
  mesh::TransmitBatch batch;
  batch.begin(1)[0] = std::byte{1};
  batch.commit(to, 1);
  ASSERT_EQ(from.send(batch, 0), 1u);
}

/// Whether the descriptor is readable within the time.
bool readable(int descriptor, int milliseconds) {
  pollfd watched{descriptor, POLLIN, 0};
  return ::poll(&watched, 1, milliseconds) == 1;
}

class ReadinessTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!readiness->nested()) GTEST_SKIP() << "this system cannot lend a socket";
    send_one(*sender, socket->local());
  }
  const std::unique_ptr<UdpSocket> socket = open_socket();
  const std::unique_ptr<UdpSocket> sender = open_socket();
  const std::unique_ptr<Readiness> readiness = std::move(*Readiness::open(socket->descriptor()));
};

TEST_F(ReadinessTest, wakes_only_the_io_thread_at_first) {
  EXPECT_TRUE(readable(readiness->thread_descriptor(), 1000));
  EXPECT_FALSE(readable(readiness->application_descriptor(), 0));
}

TEST_F(ReadinessTest, wakes_only_the_application_while_the_socket_is_lent) {
  readiness->lend();
  EXPECT_TRUE(readiness->lent());
  EXPECT_TRUE(readable(readiness->application_descriptor(), 1000));
  EXPECT_FALSE(readable(readiness->thread_descriptor(), 0));
}

TEST_F(ReadinessTest, what_waits_when_the_socket_is_taken_back_wakes_the_io_thread) {
  readiness->lend();
  readiness->take_back();
  EXPECT_TRUE(readable(readiness->thread_descriptor(), 1000));
  EXPECT_FALSE(readable(readiness->application_descriptor(), 0));
}

TEST_F(ReadinessTest, the_io_thread_learns_of_writability_in_either_state) {
  readiness->lend();
  readiness->watch_writable(true);
  EXPECT_TRUE(readable(readiness->thread_descriptor(), 1000));
  readiness->watch_writable(false);
  EXPECT_FALSE(readable(readiness->thread_descriptor(), 0));
}

}  // namespace
}  // namespace netmesh::runtime
