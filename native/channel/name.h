#pragma once
// Names of channels, and the numbers that follow from them (spec 31 §2).

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/ids.h"

namespace netmesh::channel {

/// XXH3-64 of a channel's name. Not collision-resistant: what it finds is confirmed by name.
using ChannelHash = StrongNumber<struct ChannelHashTag, std::uint64_t>;

/// The stream on which the payloads of a channel travel: the hash with bit 48 set.
constexpr StreamId publish_stream(ChannelHash hash) {
  return StreamId(hash.value | 0x0001'0000'0000'0000ULL);
}
/// What packet headers carry; a hint, as many names share one.
constexpr std::uint16_t wire_hash(ChannelHash hash) {
  return static_cast<std::uint16_t>(hash.value);
}

/// A valid channel name with its hash, computed once. A value.
class ChannelName {
 public:
  /// The error is `channel: invalid name: …` with the first rule broken, in the documented order.
  static Expected<ChannelName> parse(std::string_view text);

  const std::string& text() const { return text_; }
  ChannelHash hash() const { return hash_; }
  StreamId stream() const { return publish_stream(hash_); }
  /// The number of segments between slashes.
  unsigned depth() const;
  /// The same channel, or one below `ancestor` in the hierarchy of segments.
  bool is_within(const ChannelName& ancestor) const;

  friend bool operator==(const ChannelName& a, const ChannelName& b) { return a.text_ == b.text_; }
  friend auto operator<=>(const ChannelName& a, const ChannelName& b) {
    return a.text_ <=> b.text_;
  }

 private:
  ChannelName(std::string_view text, ChannelHash hash) : text_(text), hash_(hash) {}

  std::string text_;
  ChannelHash hash_;
};

}  // namespace netmesh::channel
