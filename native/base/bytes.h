#pragma once
// Byte spans and the one little-endian cursor pair through which every fixed layout is read and
// written.

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

namespace netmesh {

using ByteSpan = std::span<const std::byte>;
using MutableByteSpan = std::span<std::byte>;
using Bytes = std::vector<std::byte>;

/// The bytes of an ASCII or UTF-8 text, without copying.
inline ByteSpan as_byte_span(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

namespace detail {
template <typename T>
T to_little_endian(T value) {
  static_assert(std::is_unsigned_v<T>);
  if constexpr (std::endian::native == std::endian::little) {
    return value;
  } else {
    T out = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      out = static_cast<T>((out << 8) | ((value >> (8 * i)) & 0xFF));
    }
    return out;
  }
}
}  // namespace detail

/// Loads an unsigned little-endian integer; the caller has checked that sizeof(T) bytes are there.
template <typename T>
T load_le(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return detail::to_little_endian(value);
}

/// Stores an unsigned integer as little-endian; the caller has checked the room.
template <typename T>
void store_le(std::byte* at, T value) {
  value = detail::to_little_endian(value);
  std::memcpy(at, &value, sizeof(T));
}

/// Reads forward through received bytes. A read past the end fails once and for all: `ok()` turns
/// false, and every later read yields zero or an empty span, so a parser checks once at its end.
class ByteReader {
 public:
  explicit ByteReader(ByteSpan bytes) : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  std::uint8_t u8() { return read<std::uint8_t>(); }
  std::uint16_t u16() { return read<std::uint16_t>(); }
  std::uint32_t u32() { return read<std::uint32_t>(); }
  std::uint64_t u64() { return read<std::uint64_t>(); }

  /// A variable-length integer of 1, 2, 4 or 8 bytes (RFC 9000 §16, below 2^62).
  std::uint64_t varint() {
    if (at_ == end_) return fail();
    const auto first = static_cast<std::uint8_t>(*at_);
    const std::size_t length = std::size_t{1} << (first >> 6);
    if (remaining() < length) return fail();
    std::uint64_t value = first & 0x3F;
    for (std::size_t i = 1; i < length; ++i)
      value = (value << 8) | static_cast<std::uint8_t>(at_[i]);
    at_ += length;
    return value;
  }

  ByteSpan bytes(std::size_t count) {
    if (remaining() < count) {
      fail();
      return {};
    }
    ByteSpan out(at_, count);
    at_ += count;
    return out;
  }

  template <std::size_t N>
  std::array<std::byte, N> array() {
    std::array<std::byte, N> out{};
    ByteSpan source = bytes(N);
    if (source.size() == N) std::memcpy(out.data(), source.data(), N);
    return out;
  }

  void skip(std::size_t count) { bytes(count); }
  /// Everything not read yet; the reader is at its end afterwards.
  ByteSpan rest() { return bytes(remaining()); }

  std::size_t remaining() const { return static_cast<std::size_t>(end_ - at_); }
  bool ok() const { return ok_; }
  /// All bytes read and no read failed.
  bool done() const { return ok_ && at_ == end_; }

 private:
  template <typename T>
  T read() {
    if (remaining() < sizeof(T)) return static_cast<T>(fail());
    T value = load_le<T>(at_);
    at_ += sizeof(T);
    return value;
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

/// Writes forward into a caller's buffer. Writing past the end writes nothing more and clears
/// `ok()`.
class ByteWriter {
 public:
  explicit ByteWriter(MutableByteSpan out)
      : begin_(out.data()), at_(out.data()), end_(out.data() + out.size()) {}

  void u8(std::uint8_t value) { write(value); }
  void u16(std::uint16_t value) { write(value); }
  void u32(std::uint32_t value) { write(value); }
  void u64(std::uint64_t value) { write(value); }

  /// The number of bytes that `varint(value)` writes.
  static constexpr std::size_t varint_size(std::uint64_t value) {
    return value < (1ULL << 6) ? 1 : value < (1ULL << 14) ? 2 : value < (1ULL << 30) ? 4 : 8;
  }

  /// RFC 9000 §16; values of 2^62 and above cannot be written and clear `ok()`.
  void varint(std::uint64_t value) {
    const std::size_t length = varint_size(value);
    if (value >= (1ULL << 62) || remaining() < length) {
      ok_ = false;
      return;
    }
    for (std::size_t i = 0; i < length; ++i) {
      at_[i] = static_cast<std::byte>(value >> (8 * (length - 1 - i)));
    }
    at_[0] |= static_cast<std::byte>(std::countr_zero(length) << 6);
    at_ += length;
  }

  void bytes(ByteSpan source) {
    if (remaining() < source.size()) {
      ok_ = false;
      return;
    }
    if (!source.empty()) std::memcpy(at_, source.data(), source.size());
    at_ += source.size();
  }

  void zeros(std::size_t count) {
    if (remaining() < count) {
      ok_ = false;
      return;
    }
    if (count != 0) std::memset(at_, 0, count);
    at_ += count;
  }

  /// Room for `count` bytes that the caller fills itself; empty when there is not enough.
  MutableByteSpan reserve(std::size_t count) {
    if (remaining() < count) {
      ok_ = false;
      return {};
    }
    MutableByteSpan out(at_, count);
    at_ += count;
    return out;
  }

  std::size_t size() const { return static_cast<std::size_t>(at_ - begin_); }
  std::size_t remaining() const { return static_cast<std::size_t>(end_ - at_); }
  MutableByteSpan written() const { return {begin_, size()}; }
  bool ok() const { return ok_; }

 private:
  template <typename T>
  void write(T value) {
    if (remaining() < sizeof(T)) {
      ok_ = false;
      return;
    }
    store_le(at_, value);
    at_ += sizeof(T);
  }

  std::byte* begin_;
  std::byte* at_;
  std::byte* end_;
  bool ok_ = true;
};

}  // namespace netmesh
