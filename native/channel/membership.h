#pragma once
// The messages by which peers join and leave channels: subprotocol 0x0A00, one message per event
// (spec 31 §4; docs/protocol.md "Channel membership"). Types 0 to 2 are those of base; the others
// go to netmesh peers only.

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "base/bytes.h"
#include "channel/name.h"

namespace netmesh::channel {

/// Number of the subprotocol, and of the stream that carries it.
inline constexpr std::uint16_t kMembershipSubprotocol = 0x0A00;
inline constexpr std::size_t kMaxQueueGroupBytes = 255;
/// What the length field of a token can say.
inline constexpr std::size_t kMaxCredentialBytes = 0xFFFF;

/// Why a publisher refuses; the numbers are those of the wire.
enum class AckReason : std::uint8_t {
  kNone = 0,  ///< accepted, or refused without a reason
  kUnauthorized = 1,
  kUnknownChannel = 2,
  kRateLimited = 3,
  kTooManyChannels = 4,
};

/// Why a publisher ended a subscription; the numbers are those of the wire.
enum class EvictionReason : std::uint8_t {
  kUnspecified = 0,
  kExpired = 1,       ///< the subscriber's token, or a link of its chain
  kRevoked = 2,       ///< the same, by its issuer
  kUnauthorized = 3,  ///< the right ended otherwise, as when the roots of trust changed
  kVisibility = 4,    ///< the subscriber's subnet is not one that may see the channel
  kCapabilities = 5,  ///< the subscriber announced less than the channel asks for
  kUnregistered = 6,  ///< the channel is no more
  kShutdown = 7,      ///< the publisher stops; it may come back
};

/// Type 0.
struct Subscribe {
  std::uint64_t nonce = 0;
  ChannelName name;
  /// A token of 169 bytes, a chain, or nothing; not judged here.
  Bytes credential;
  /// Empty: broadcast.
  std::string queue_group;
};

/// Type 1.
struct Unsubscribe {
  std::uint64_t nonce = 0;
  ChannelName name;
};

/// Type 2.
struct Ack {
  std::uint64_t nonce = 0;
  bool accepted = false;
  AckReason reason = AckReason::kNone;
};

/// Type 16: a Subscribe that can say more.
struct ModernSubscribe {
  Subscribe base;
  /// At most so many of the payloads that the publisher retains; 0: none.
  std::uint32_t replay = 0;
  /// The life of the publisher that this subscription is known to; 0: none yet. In the same life
  /// nothing is replayed.
  std::uint64_t known_epoch = 0;
};

/// Type 17: answers type 16.
struct ModernAck {
  Ack base;
  /// The channel's payloads are sent reliably unless a publish says otherwise.
  bool reliable = false;
  /// So many retained payloads follow on the channel's stream, ahead of what is published next.
  std::uint32_t replayed = 0;
  /// A random number of the publisher's present life, not 0.
  std::uint64_t epoch = 0;
};

/// Type 18: the publisher ended a subscription.
struct Evicted {
  /// Of the Subscribe that it ends.
  std::uint64_t nonce = 0;
  EvictionReason reason = EvictionReason::kUnspecified;
  ChannelName name;
};

using Message = std::variant<Subscribe, Unsubscribe, Ack, ModernSubscribe, ModernAck, Evicted>;

Bytes encode(const Message& message);
/// Nothing for what is not exactly a message: an unknown type, an Ack of an unknown reason, an
/// invalid name, text that is not UTF-8, bytes missing or left over.
std::optional<Message> decode(ByteSpan bytes);

/// `group` can be the name of a queue group: 1 to 255 bytes of UTF-8.
bool is_queue_group(std::string_view group);

}  // namespace netmesh::channel
