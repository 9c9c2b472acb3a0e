#pragma once
// What callers are told when something about a channel fails: the texts of spec 31 §7 and §8, all
// of them, and the kind that decides the class of the error.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/ids.h"
#include "base/time.h"
#include "channel/membership.h"

namespace netmesh::channel {

/// `channel: invalid name: <rule>`.
Error invalid_name(std::string_view rule);
/// `channel: invalid visibility "x" (expected subnet-local | …)`.
Error invalid_visibility(std::string_view word);
Error invalid_reliability(std::string_view word);
Error invalid_on_failure(std::string_view word);
/// `channel: <what>`: a config that cannot be meant.
Error invalid_config(std::string_view what);

/// A refusal by the publisher: of kind `kChannelDenied` for `kUnauthorized`, else `kChannel`.
Error refused(AckReason reason);
/// `channel: connection error: no session to publisher 0x…`.
Error no_session_to_publisher(NodeId publisher);
/// `channel: connection error: membership ack timeout (5s) for channel <name>`.
Error ack_timeout(Duration timeout, std::string_view channel);
/// The subscriber's own bounds are reached.
Error too_many_requests(std::size_t limit);

/// `channel: connection error: channel: publish denied by channel ACL`.
Error publish_denied();
/// More was published than the channel's `maxRatePps` allows.
Error publish_rate_exceeded(std::uint32_t per_second);
/// `channel: connection error: all N peers failed (first: 0x…: <first_text>)`, where the text is as
/// reports list it: `connection error: …`.
Error all_peers_failed(std::size_t count, NodeId first, std::string_view first_text);

// Why one subscriber was not reached; without a prefix, as reports list them.
std::string no_session_text(NodeId subscriber);
std::string partitioned_text(NodeId subscriber);
std::string backpressured_text(StreamId stream);
std::string stream_closed_text(StreamId stream);
std::string send_failed_text(std::string_view why);

/// `0x` and the digits that are needed, lower case.
std::string hex_number(std::uint64_t value);

}  // namespace netmesh::channel
