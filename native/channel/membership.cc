#include "channel/membership.h"

#include <simdjson.h>

#include "base/assert.h"
#include "base/channel_name.h"

namespace netmesh::channel {
namespace {

enum class Type : std::uint8_t {
  kSubscribe = 0,
  kUnsubscribe = 1,
  kAck = 2,
  kModernSubscribe = 16,
  kModernAck = 17,
  kEvicted = 18,
};

constexpr std::uint8_t kFlagReliable = 1;
/// All fields but the texts and the credential.
constexpr std::size_t kLongestFixedPart = 32;

std::string_view as_text(ByteSpan bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

bool is_utf8(std::string_view text) { return simdjson::validate_utf8(text.data(), text.size()); }

// --- writing ---

class Writer {
 public:
  Writer(Type type, std::size_t variable_bytes) : out_(kLongestFixedPart + variable_bytes) {
    writer_ = ByteWriter(out_);
    writer_.u8(static_cast<std::uint8_t>(type));
  }
  ByteWriter* operator->() { return &writer_; }
  void short_text(std::string_view text) {
    NM_ASSERT(text.size() <= 255);
    writer_.u8(static_cast<std::uint8_t>(text.size()));
    writer_.bytes(as_byte_span(text));
  }
  void name_and_credential(const Subscribe& message) {
    NM_ASSERT(message.credential.size() <= kMaxCredentialBytes);
    writer_.u64(message.nonce);
    short_text(message.name.text());
    writer_.u16(static_cast<std::uint16_t>(message.credential.size()));
    writer_.bytes(message.credential);
  }
  void ack(const Ack& message) {
    writer_.u64(message.nonce);
    writer_.u8(message.accepted ? 1 : 0);
    writer_.u8(static_cast<std::uint8_t>(message.reason));
  }
  Bytes take() {
    NM_ASSERT(writer_.ok());
    out_.resize(writer_.size());
    return std::move(out_);
  }

 private:
  Bytes out_;
  ByteWriter writer_{MutableByteSpan()};
};

std::size_t variable_bytes(const Subscribe& message) {
  return message.name.text().size() + message.credential.size() + message.queue_group.size();
}

struct Encoder {
  Bytes operator()(const Subscribe& message) const {
    Writer out(Type::kSubscribe, variable_bytes(message));
    out.name_and_credential(message);
    // Old readers take a length of 0 for trailing bytes.
    if (!message.queue_group.empty()) out.short_text(message.queue_group);
    return out.take();
  }
  Bytes operator()(const Unsubscribe& message) const {
    Writer out(Type::kUnsubscribe, message.name.text().size());
    out->u64(message.nonce);
    out.short_text(message.name.text());
    return out.take();
  }
  Bytes operator()(const Ack& message) const {
    Writer out(Type::kAck, 0);
    out.ack(message);
    return out.take();
  }
  Bytes operator()(const ModernSubscribe& message) const {
    Writer out(Type::kModernSubscribe, variable_bytes(message.base));
    out.name_and_credential(message.base);
    out.short_text(message.base.queue_group);
    out->u32(message.replay);
    out->u64(message.known_epoch);
    return out.take();
  }
  Bytes operator()(const ModernAck& message) const {
    Writer out(Type::kModernAck, 0);
    out.ack(message.base);
    out->u8(message.reliable ? kFlagReliable : 0);
    out->u32(message.replayed);
    out->u64(message.epoch);
    return out.take();
  }
  Bytes operator()(const Evicted& message) const {
    Writer out(Type::kEvicted, message.name.text().size());
    out->u64(message.nonce);
    out->u8(static_cast<std::uint8_t>(message.reason));
    out.short_text(message.name.text());
    return out.take();
  }
};

// --- reading: each returns nothing for what is malformed ---

std::optional<ChannelName> read_name(ByteReader& in) {
  const std::uint8_t size = in.u8();
  auto name = ChannelName::parse(as_text(in.bytes(size)));
  if (!in.ok() || !name) return std::nullopt;
  return *std::move(name);
}

/// `size` and that many bytes of UTF-8.
std::optional<std::string> read_group(ByteReader& in) {
  const std::uint8_t size = in.u8();
  const std::string_view group = as_text(in.bytes(size));
  if (!in.ok() || !is_utf8(group)) return std::nullopt;
  return std::string(group);
}

bool read_ack(ByteReader& in, Ack& ack) {
  ack.nonce = in.u64();
  const std::uint8_t accepted = in.u8();
  const std::uint8_t reason = in.u8();
  if (!in.ok() || accepted > 1 || reason > static_cast<std::uint8_t>(AckReason::kTooManyChannels))
    return false;
  ack.accepted = accepted == 1;
  ack.reason = static_cast<AckReason>(reason);
  return true;
}

std::optional<Subscribe> read_name_and_credential(ByteReader& in, bool may_end_after_name) {
  const std::uint64_t nonce = in.u64();
  auto name = read_name(in);
  if (!name) return std::nullopt;
  Subscribe out{nonce, *std::move(name), {}, {}};
  if (may_end_after_name && in.remaining() == 0) return out;
  const ByteSpan credential = in.bytes(in.u16());
  out.credential.assign(credential.begin(), credential.end());
  if (!in.ok()) return std::nullopt;
  return out;
}

std::optional<Message> read_subscribe(ByteReader in) {
  auto out = read_name_and_credential(in, true);
  if (!out) return std::nullopt;
  if (in.remaining() > 0) {
    auto group = read_group(in);
    if (!group || !in.done()) return std::nullopt;
    out->queue_group = *std::move(group);
  }
  return *std::move(out);
}

std::optional<Message> read_unsubscribe(ByteReader in) {
  const std::uint64_t nonce = in.u64();
  auto name = read_name(in);
  if (!name || !in.done()) return std::nullopt;
  return Unsubscribe{nonce, *std::move(name)};
}

std::optional<Message> read_plain_ack(ByteReader in) {
  Ack out;
  if (!read_ack(in, out) || !in.done()) return std::nullopt;
  return out;
}

std::optional<Message> read_modern_subscribe(ByteReader in) {
  auto base = read_name_and_credential(in, false);
  if (!base) return std::nullopt;
  auto group = read_group(in);
  if (!group) return std::nullopt;
  base->queue_group = *std::move(group);
  ModernSubscribe out{*std::move(base), in.u32(), in.u64()};
  if (!in.done()) return std::nullopt;
  return out;
}

std::optional<Message> read_modern_ack(ByteReader in) {
  ModernAck out;
  if (!read_ack(in, out.base)) return std::nullopt;
  const std::uint8_t flags = in.u8();
  out.reliable = (flags & kFlagReliable) != 0;
  out.replayed = in.u32();
  out.epoch = in.u64();
  if (!in.done() || out.epoch == 0) return std::nullopt;
  return out;
}

std::optional<Message> read_evicted(ByteReader in) {
  const std::uint64_t nonce = in.u64();
  const std::uint8_t reason = in.u8();
  auto name = read_name(in);
  if (!name || !in.done()) return std::nullopt;
  // That it ended matters more than why: a reason of a later version is none.
  const bool known = reason <= static_cast<std::uint8_t>(EvictionReason::kShutdown);
  return Evicted{nonce, known ? static_cast<EvictionReason>(reason) : EvictionReason::kUnspecified,
                 *std::move(name)};
}

}  // namespace

Bytes encode(const Message& message) { return std::visit(Encoder{}, message); }

std::optional<Message> decode(ByteSpan bytes) {
  if (bytes.empty()) return std::nullopt;
  const ByteReader body(bytes.subspan(1));
  switch (static_cast<Type>(bytes[0])) {
    case Type::kSubscribe:
      return read_subscribe(body);
    case Type::kUnsubscribe:
      return read_unsubscribe(body);
    case Type::kAck:
      return read_plain_ack(body);
    case Type::kModernSubscribe:
      return read_modern_subscribe(body);
    case Type::kModernAck:
      return read_modern_ack(body);
    case Type::kEvicted:
      return read_evicted(body);
  }
  return std::nullopt;
}

bool is_queue_group(std::string_view group) {
  return !group.empty() && group.size() <= kMaxQueueGroupBytes && is_utf8(group);
}

}  // namespace netmesh::channel
