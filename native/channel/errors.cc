#include "channel/errors.h"

#include <array>
#include <charconv>

namespace netmesh::channel {
namespace {

Error channel_error(std::string text) {
  return {ErrorKind::kChannel, "channel: " + std::move(text)};
}

Error connection_error(std::string text) {
  return channel_error("connection error: " + std::move(text));
}

Error invalid_word(const char* what, std::string_view word, const char* expected) {
  return channel_error("invalid " + std::string(what) + " \"" + std::string(word) + "\"" +
                       expected);
}

/// `5s`, or `250ms` where whole seconds do not tell.
std::string in_words(Duration duration) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
  return ms % 1000 == 0 ? std::to_string(ms / 1000) + "s" : std::to_string(ms) + "ms";
}

}  // namespace

Error invalid_name(std::string_view rule) {
  return channel_error("invalid name: " + std::string(rule));
}

Error invalid_visibility(std::string_view word) {
  return invalid_word("visibility", word,
                      " (expected subnet-local | parent-visible | exported | global)");
}

Error invalid_reliability(std::string_view word) { return invalid_word("reliability", word, ""); }
Error invalid_on_failure(std::string_view word) { return invalid_word("on_failure", word, ""); }
Error invalid_config(std::string_view what) { return channel_error(std::string(what)); }

Error refused(AckReason reason) {
  switch (reason) {
    case AckReason::kNone:
      return channel_error("rejected (None)");
    case AckReason::kUnauthorized:
      return {ErrorKind::kChannelDenied, "channel: unauthorized"};
    case AckReason::kUnknownChannel:
      return channel_error("unknown channel");
    case AckReason::kRateLimited:
      return channel_error("rate limited");
    case AckReason::kTooManyChannels:
      return channel_error("too many channels");
  }
  return channel_error("rejected");
}

Error no_session_to_publisher(NodeId publisher) {
  return connection_error("no session to publisher " + hex_number(publisher.value));
}

Error ack_timeout(Duration timeout, std::string_view channel) {
  return connection_error("membership ack timeout (" + in_words(timeout) + ") for channel " +
                          std::string(channel));
}

Error too_many_requests(std::size_t limit) {
  return channel_error("more than " + std::to_string(limit) +
                       " subscriptions and requests of this node");
}

Error publish_denied() { return connection_error("channel: publish denied by channel ACL"); }

Error publish_rate_exceeded(std::uint32_t per_second) {
  return channel_error("publish rate exceeds maxRatePps of " + std::to_string(per_second));
}

Error all_peers_failed(std::size_t count, NodeId first, std::string_view first_text) {
  return connection_error("all " + std::to_string(count) + " peers failed (first: " +
                          hex_number(first.value) + ": " + std::string(first_text) + ")");
}

std::string no_session_text(NodeId subscriber) {
  return "publish: no session for subscriber " + hex_number(subscriber.value);
}
std::string partitioned_text(NodeId subscriber) {
  return "publish: peer " + hex_number(subscriber.value) + " is partitioned";
}
std::string backpressured_text(StreamId stream) {
  return "publish: stream " + hex_number(stream.value) + " backpressured";
}
std::string stream_closed_text(StreamId stream) {
  return "publish: stream " + hex_number(stream.value) + " closed";
}
std::string send_failed_text(std::string_view why) {
  return "publish send failed: " + std::string(why);
}

std::string hex_number(std::uint64_t value) {
  std::array<char, 18> text{'0', 'x'};
  const auto end = std::to_chars(text.data() + 2, text.data() + text.size(), value, 16).ptr;
  return {text.data(), end};
}

}  // namespace netmesh::channel
