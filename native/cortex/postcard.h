#pragma once
// The postcard encoding as CortEX bodies and snapshots use it (spec 42 §6.2): little-endian
// base-128 varints, counted strings and vectors, structs as their fields in order.

#include <algorithm>
#include <string_view>

#include "base/bytes.h"
#include "cortex/utf8.h"

namespace netmesh::cortex {

/// The longest varint of a 64-bit value.
inline constexpr std::size_t kMaxVarintBytes = 10;

/// The number of bytes that `put_varint` writes.
constexpr std::size_t varint_bytes(std::uint64_t value) {
  return (static_cast<std::size_t>(std::bit_width(value | 1)) + 6) / 7;
}

/// Writes a varint where the caller has room for it; returns the end of it.
inline std::byte* put_varint(std::byte* at, std::uint64_t value) {
  while (value >= 0x80) {
    *at++ = static_cast<std::byte>(value | 0x80);
    value >>= 7;
  }
  *at++ = static_cast<std::byte>(value);
  return at;
}

/// The number of bytes that `put_counted` writes.
constexpr std::size_t counted_bytes(std::size_t size) { return varint_bytes(size) + size; }

/// Writes a string or byte vector where the caller has room for it; returns the end of it.
inline std::byte* put_counted(std::byte* at, std::string_view text) {
  at = put_varint(at, text.size());
  if (!text.empty()) std::memcpy(at, text.data(), text.size());
  return at + text.size();
}

/// Reads forward through postcard. A read that fails does so once and for all: `ok()` turns false
/// and every later read yields zero or nothing. What follows a complete value is nobody's business:
/// a reader need not reach the end.
class PostcardReader {
 public:
  explicit PostcardReader(ByteSpan bytes) : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  std::uint8_t u8() {
    if (at_ == end_) return static_cast<std::uint8_t>(fail());
    return static_cast<std::uint8_t>(*at_++);
  }

  bool boolean() { return tag(2) == 1; }

  /// The discriminant of an Option: whether a value follows.
  bool option() { return boolean(); }

  /// A byte below `count`.
  std::uint8_t tag(std::uint8_t count) {
    const std::uint8_t value = u8();
    return value < count ? value : static_cast<std::uint8_t>(fail());
  }

  /// The discriminant of an enum with `count` variants.
  std::uint32_t variant(std::uint32_t count) {
    const std::uint64_t value = varint(5, 0x0F);
    return value < count ? static_cast<std::uint32_t>(value) : static_cast<std::uint32_t>(fail());
  }

  /// Not necessarily in its shortest form.
  std::uint64_t u64() { return varint(kMaxVarintBytes, 0x01); }

  /// A number of elements, each of which takes at least `element_bytes`: what cannot be there fails
  /// before anybody makes room for it.
  std::size_t count(std::size_t element_bytes) {
    const std::uint64_t value = u64();
    if (value > remaining() / element_bytes) return static_cast<std::size_t>(fail());
    return static_cast<std::size_t>(value);
  }

  ByteSpan bytes() {
    const std::size_t size = count(1);
    const ByteSpan out(at_, size);
    at_ += size;
    return out;
  }

  /// UTF-8; anything else fails.
  std::string_view string() {
    const ByteSpan raw = bytes();
    const std::string_view text(reinterpret_cast<const char*>(raw.data()), raw.size());
    if (is_utf8(text)) return text;
    fail();
    return {};
  }

  std::size_t remaining() const { return static_cast<std::size_t>(end_ - at_); }
  bool ok() const { return ok_; }

 private:
  std::uint64_t varint(std::size_t max_bytes, std::uint8_t last_byte_max) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < max_bytes; ++i) {
      if (at_ == end_) return fail();
      const auto byte = static_cast<std::uint8_t>(*at_++);
      if (i + 1 == max_bytes && byte > last_byte_max) return fail();
      value |= static_cast<std::uint64_t>(byte & 0x7F) << (7 * i);
      if (byte < 0x80) return value;
    }
    return fail();
  }

  std::uint64_t fail() {
    ok_ = false;
    at_ = end_;
    return 0;
  }

  const std::byte* at_;
  const std::byte* end_;
  bool ok_ = true;
};

}  // namespace netmesh::cortex
