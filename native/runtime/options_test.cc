#include "runtime/options.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "crypto/aead.h"
#include "crypto/secret.h"

namespace netmesh::runtime {
namespace {

NodeOptions valid_options() {
  crypto::initialize();
  NodeOptions options;
  options.bind_address = "127.0.0.1:0";
  options.psk.assign(32, std::byte{1});
  return options;
}

std::string error_of(NodeOptions options) {
  const auto setup = check_options(options);
  if (setup) return "";
  EXPECT_EQ(setup.error().kind, ErrorKind::kInvalidArgument);
  return setup.error().message;
}

TEST(Options, defaults_are_those_of_the_machine) {
  NodeOptions options = valid_options();
  const auto setup = check_options(options);
  ASSERT_TRUE(setup);
  const mesh::NodeConfig machine;
  EXPECT_EQ(setup->machine.heartbeat_interval, machine.heartbeat_interval);
  EXPECT_EQ(setup->machine.session_timeout, machine.session_timeout);
  EXPECT_EQ(setup->machine.handshake_timeout, machine.handshake_timeout);
  EXPECT_EQ(setup->machine.stream_receive_window, machine.stream_receive_window);
  EXPECT_EQ(setup->machine.identity_seed.size(), 32u);
}

TEST(Options, two_nodes_without_a_seed_have_different_identities) {
  NodeOptions a = valid_options();
  NodeOptions b = valid_options();
  EXPECT_NE(check_options(a)->machine.identity_seed, check_options(b)->machine.identity_seed);
}

TEST(Options, secrets_are_wiped_from_the_options) {
  NodeOptions options = valid_options();
  options.identity_seed.assign(32, std::byte{2});
  const auto setup = check_options(options);
  ASSERT_TRUE(setup);
  EXPECT_EQ(setup->machine.identity_seed, Bytes(32, std::byte{2}));
  EXPECT_EQ(options.psk, Bytes(32));
  EXPECT_EQ(options.identity_seed, Bytes(32));
}

TEST(Options, a_bad_address_is_refused) {
  for (const char* address :
       {"", "localhost:1", "127.0.0.1", "127.0.0.1:65536", "127.0.0.1:1 ", "::1:5", "[::1]"}) {
    NodeOptions options = valid_options();
    options.bind_address = address;
    EXPECT_EQ(error_of(options), "invalid bind address: invalid socket address syntax") << address;
  }
}

TEST(Options, secrets_of_a_wrong_length_are_refused) {
  NodeOptions options = valid_options();
  options.psk.resize(31);
  EXPECT_EQ(error_of(options), "PSK must be 32 bytes (64 hex chars)");
  options = valid_options();
  options.identity_seed.resize(33);
  EXPECT_EQ(error_of(options), "identity_seed must be 32 bytes, got 33");
}

TEST(Options, times_must_be_finite_and_are_kept_from_spinning) {
  for (const double bad : {-1.0, std::nan(""), std::numeric_limits<double>::infinity()}) {
    NodeOptions options = valid_options();
    options.heartbeat_interval_ms = bad;
    EXPECT_NE(error_of(options).find(
                  "heartbeatIntervalMs must be a non-negative number of milliseconds; got"),
              std::string::npos);
  }
  NodeOptions options = valid_options();
  options.heartbeat_interval_ms = 0;
  options.session_timeout_ms = 1e300;
  const auto setup = check_options(options);
  ASSERT_TRUE(setup);
  EXPECT_EQ(setup->machine.heartbeat_interval, std::chrono::milliseconds(10));
  EXPECT_GT(setup->machine.session_timeout, std::chrono::hours(24));
}

TEST(Options, sizes_out_of_range_are_refused) {
  NodeOptions options = valid_options();
  options.stream_receive_window = 0;
  EXPECT_EQ(error_of(options), "streamReceiveWindow must be in [16384, 1099511627776]; got 0");
  options = valid_options();
  options.max_message_bytes = 0;
  EXPECT_EQ(error_of(options), "maxMessageBytes must be in [1, 1073741824]; got 0");
  options = valid_options();
  options.max_peers = 0;
  EXPECT_EQ(error_of(options), "maxPeers must be in [1, 16777216]; got 0");
}

TEST(Options, congestion_controllers_are_named_as_documented) {
  NodeOptions options = valid_options();
  EXPECT_EQ(check_options(options)->machine.congestion, session::CongestionAlgorithm::kBbr);
  options = valid_options();
  options.congestion = "cubic";
  EXPECT_EQ(check_options(options)->machine.congestion, session::CongestionAlgorithm::kCubic);
  options = valid_options();
  options.congestion = "reno";
  EXPECT_EQ(error_of(options), "unknown congestion \"reno\"; expected \"bbr\" or \"cubic\"");
}

TEST(Options, aeads_are_named_as_documented) {
  NodeOptions options = valid_options();
  options.aead = "chacha20-poly1305";
  EXPECT_EQ(check_options(options)->machine.aeads, 1);
  options = valid_options();
  options.aead = "rot13";
  EXPECT_EQ(error_of(options),
            "unknown aead \"rot13\"; expected \"auto\", \"aes-256-gcm\" or \"chacha20-poly1305\"");
  options = valid_options();
  options.aead = "aes-256-gcm";
  EXPECT_EQ(error_of(options).empty(), crypto::aes256gcm_available());
}

}  // namespace
}  // namespace netmesh::runtime
