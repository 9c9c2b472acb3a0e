#include "runtime/options.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>

#include "crypto/aead.h"
#include "crypto/secret.h"
#include "crypto/system_random.h"

namespace netmesh::runtime {
namespace {

/// Longer than any process lives, short enough for sums of times not to overflow.
constexpr double kLongestMilliseconds = 365.0 * 24 * 3600 * 1000;
/// Spec 10 §14.2: a period of zero would spin a core.
constexpr Duration kLeastHeartbeatInterval = std::chrono::milliseconds(10);
constexpr Duration kLeastGcInterval = std::chrono::milliseconds(10);
constexpr Duration kLeastTimeout = std::chrono::milliseconds(10);
/// Room for at least one base packet in flight.
constexpr std::uint64_t kLeastWindowBytes = 16 * 1024;
/// Windows are counted in signed 64-bit numbers; this leaves room for any sum of them.
constexpr std::uint64_t kLargestWindowBytes = std::uint64_t{1} << 40;
constexpr std::uint32_t kLargestMessageBytes = 1u << 30;
/// Every path is taken to carry the least; the most is what one UDP datagram holds.
constexpr std::uint32_t kLeastDatagramBytes = 1200;
constexpr std::uint32_t kLargestDatagramBytes = 65'507;
/// RFC 9001 §6.6 for AES-256-GCM; the session keeps a reserve.
constexpr std::uint64_t kMostPacketsPerKey = 1u << 22;
constexpr std::uint32_t kLeastSocketBufferBytes = 4096;

tl::unexpected<Error> invalid(std::string text) {
  return fail(ErrorKind::kInvalidArgument, std::move(text));
}

/// As JavaScript prints it.
std::string number_text(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  char text[32];
  std::snprintf(text, sizeof(text), "%.15g", value);
  return text;
}

Expected<void> check_range(const char* name, std::uint64_t value, std::uint64_t least,
                           std::uint64_t most) {
  if (value >= least && value <= most) return {};
  return invalid(std::string(name) + " must be in [" + std::to_string(least) + ", " +
                 std::to_string(most) + "]; got " + std::to_string(value));
}

Expected<std::uint8_t> check_aead(const std::string& name) {
  constexpr auto kAes = static_cast<std::uint8_t>(crypto::AeadAlgorithm::kAes256Gcm);
  constexpr auto kChaCha = static_cast<std::uint8_t>(crypto::AeadAlgorithm::kChaCha20Poly1305);
  if (name == "auto") return static_cast<std::uint8_t>(kAes | kChaCha);
  if (name == "chacha20-poly1305") return kChaCha;
  if (name == "aes-256-gcm") {
    if (crypto::aes256gcm_available()) return kAes;
    return invalid("aead \"aes-256-gcm\" is not available on this processor");
  }
  return invalid("unknown aead \"" + name +
                 "\"; expected \"auto\", \"aes-256-gcm\" or \"chacha20-poly1305\"");
}

Expected<session::CongestionAlgorithm> check_congestion(const std::string& name) {
  if (const auto algorithm = session::congestion_algorithm_of(name)) return *algorithm;
  return invalid("unknown congestion \"" + name + "\"; expected \"bbr\" or \"cubic\"");
}

}  // namespace

Expected<Duration> to_duration(const char* name, double milliseconds, Duration least) {
  if (!std::isfinite(milliseconds) || milliseconds < 0) {
    return invalid(std::string(name) + " must be a non-negative number of milliseconds; got " +
                   number_text(milliseconds));
  }
  const double cut = std::min(milliseconds, kLongestMilliseconds);
  return std::max(
      std::chrono::duration_cast<Duration>(std::chrono::duration<double, std::milli>(cut)), least);
}

Expected<NodeSetup> check_options(NodeOptions& options) {
  NodeSetup setup;

  const auto bind_to = Endpoint::parse(options.bind_address);
  if (!bind_to) return invalid("invalid bind address: invalid socket address syntax");
  setup.udp.bind_to = *bind_to;
  setup.udp.offload = options.offload;
  setup.udp.kernel_buffer_bytes = std::max(options.socket_buffer_bytes, kLeastSocketBufferBytes);

  mesh::NodeConfig& machine = setup.machine;
  if (options.psk.size() != machine.psk.size())
    return invalid("PSK must be 32 bytes (64 hex chars)");
  std::copy(options.psk.begin(), options.psk.end(), machine.psk.begin());
  crypto::wipe(options.psk);

  if (options.identity_seed.empty()) {
    machine.identity_seed.resize(crypto::kKeyBytes);
    crypto::SystemRandom().fill(machine.identity_seed);
  } else if (options.identity_seed.size() != crypto::kKeyBytes) {
    return invalid("identity_seed must be 32 bytes, got " +
                   std::to_string(options.identity_seed.size()));
  } else {
    machine.identity_seed = options.identity_seed;
    crypto::wipe(options.identity_seed);
  }

  if (!options.noise_secret.empty() && options.noise_secret.size() != crypto::kKeyBytes) {
    return invalid("noise_secret must be 32 bytes, got " +
                   std::to_string(options.noise_secret.size()));
  }
  machine.noise_secret = options.noise_secret;
  crypto::wipe(options.noise_secret);

  const struct {
    const char* name;
    double milliseconds;
    Duration least;
    Duration& result;
  } times[] = {
      {"heartbeatIntervalMs", options.heartbeat_interval_ms, kLeastHeartbeatInterval,
       machine.heartbeat_interval},
      {"sessionTimeoutMs", options.session_timeout_ms, kLeastTimeout, machine.session_timeout},
      {"handshakeTimeoutMs", options.handshake_timeout_ms, kLeastTimeout,
       machine.handshake_timeout},
      {"rekeyIntervalMs", options.rekey_interval_ms, kLeastTimeout, machine.rekey_interval},
      {"capabilityGcIntervalMs", options.capability_gc_interval_ms, kLeastGcInterval,
       machine.capability_gc_interval},
      {"announceIntervalMs", options.announce_interval_ms, Duration::zero(),
       machine.min_announce_interval},
      {"tokenSweepIntervalMs", options.token_sweep_interval_ms, kLeastGcInterval,
       machine.token_sweep_interval},
      {"membershipAckTimeoutMs", options.membership_ack_timeout_ms, kLeastTimeout,
       machine.membership_ack_timeout},
      {"publishTimeoutMs", options.publish_timeout_ms, kLeastTimeout, machine.publish_patience},
  };
  for (const auto& time : times) {
    const auto duration = to_duration(time.name, time.milliseconds, time.least);
    if (!duration) return tl::unexpected<Error>(duration.error());
    time.result = *duration;
  }

  const auto aeads = check_aead(options.aead);
  if (!aeads) return tl::unexpected<Error>(aeads.error());
  machine.aeads = *aeads;
  const auto congestion = check_congestion(options.congestion);
  if (!congestion) return tl::unexpected<Error>(congestion.error());
  machine.congestion = *congestion;

  const struct {
    const char* name;
    std::uint64_t value, least, most;
  } sizes[] = {
      {"streamReceiveWindow", options.stream_receive_window, kLeastWindowBytes,
       kLargestWindowBytes},
      {"sessionReceiveWindow", options.session_receive_window, kLeastWindowBytes,
       kLargestWindowBytes},
      {"maxStreamReceiveWindow", options.max_stream_receive_window, 0, kLargestWindowBytes},
      {"maxSessionReceiveWindow", options.max_session_receive_window, 0, kLargestWindowBytes},
      {"maxDatagramBytes", options.max_datagram_bytes, kLeastDatagramBytes, kLargestDatagramBytes},
      {"keyUpdatePackets", options.key_update_packets, 0, kMostPacketsPerKey},
      {"maxMessageBytes", options.max_message_bytes, 1, kLargestMessageBytes},
      {"maxQueuedBytes", options.max_queued_bytes, kLeastWindowBytes, kLargestWindowBytes},
      {"maxPeers", options.max_peers, 1, 1u << 24},
      {"handshakeRetries", options.handshake_retries, 0, 1000},
  };
  for (const auto& size : sizes) {
    if (const auto checked = check_range(size.name, size.value, size.least, size.most); !checked) {
      return tl::unexpected<Error>(checked.error());
    }
  }
  machine.handshake_retries = options.handshake_retries;
  machine.allow_legacy_peers = options.allow_legacy_peers;
  machine.stream_receive_window = options.stream_receive_window;
  machine.session_receive_window = options.session_receive_window;
  machine.max_stream_receive_window = options.max_stream_receive_window;
  machine.max_session_receive_window = options.max_session_receive_window;
  machine.max_datagram_bytes = static_cast<std::uint16_t>(options.max_datagram_bytes);
  machine.key_update_packets = options.key_update_packets;
  machine.max_message_bytes = options.max_message_bytes;
  machine.max_queued_bytes = options.max_queued_bytes;
  machine.max_peers = options.max_peers;
  machine.require_signed_capabilities = options.require_signed_capabilities;
  machine.subnet = options.subnet;
  machine.subnet_policy = std::move(options.subnet_policy);
  return setup;
}

}  // namespace netmesh::runtime
