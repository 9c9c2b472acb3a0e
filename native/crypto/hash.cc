#include "crypto/hash.h"

#include <blake2.h>
#include <xxhash.h>  // inlined whole: the build defines XXH_INLINE_ALL

#include <algorithm>
#include <array>

#include "base/assert.h"

namespace netmesh::crypto {
namespace {

constexpr std::size_t kHmacBlockBytes = BLAKE2S_BLOCKBYTES;

/// One BLAKE2s-256 computation; the state, which may hold key bytes, is wiped at the end.
class Blake2s {
 public:
  Blake2s() { blake2s_init(&state_, kKeyBytes); }
  explicit Blake2s(ByteSpan key) {
    NM_ASSERT(!key.empty() && key.size() <= kKeyBytes);
    blake2s_init_key(&state_, kKeyBytes, key.data(), key.size());
  }
  Blake2s(const Blake2s&) = delete;
  Blake2s& operator=(const Blake2s&) = delete;
  ~Blake2s() { wipe(std::as_writable_bytes(std::span(&state_, 1))); }

  void update(ByteSpan data) {
    if (data.empty()) return;
    blake2s_update(&state_, reinterpret_cast<const std::uint8_t*>(data.data()), data.size());
  }
  Key finish() {
    Key out;
    blake2s_final(&state_, reinterpret_cast<std::uint8_t*>(out.data()), out.size());
    return out;
  }

 private:
  // libb2 declares the state packed; its words are still accessed fastest when aligned.
  alignas(64) blake2s_state state_;
};

SecretKey take_secret(Key& key) {
  SecretKey secret(key);
  wipe(key);
  return secret;
}

}  // namespace

Key blake2s(std::initializer_list<ByteSpan> parts) {
  Blake2s hash;
  for (const ByteSpan part : parts) hash.update(part);
  return hash.finish();
}

Key blake2s_keyed(ByteSpan key, ByteSpan data) {
  Blake2s hash(key);
  hash.update(data);
  return hash.finish();
}

Key hmac_blake2s(ByteSpan key, std::initializer_list<ByteSpan> parts) {
  std::array<std::byte, kHmacBlockBytes> block{};
  if (key.size() > block.size()) {
    Key digest = blake2s({key});
    std::copy(digest.begin(), digest.end(), block.begin());
    wipe(digest);
  } else {
    std::copy(key.begin(), key.end(), block.begin());
  }

  constexpr std::byte kInnerPad{0x36};
  constexpr std::byte kOuterPad{0x5C};
  for (std::byte& b : block) b ^= kInnerPad;
  Blake2s inner;
  inner.update(block);
  for (const ByteSpan part : parts) inner.update(part);
  Key inner_digest = inner.finish();

  for (std::byte& b : block) b ^= kInnerPad ^ kOuterPad;
  Blake2s outer;
  outer.update(block);
  outer.update(inner_digest);
  wipe(block);
  wipe(inner_digest);
  return outer.finish();
}

HkdfOutput noise_hkdf(ByteSpan chaining_key, ByteSpan input) {
  constexpr std::array<std::byte, 3> kCounter{std::byte{1}, std::byte{2}, std::byte{3}};
  const ByteSpan counter(kCounter);
  Key extracted = hmac_blake2s(chaining_key, {input});
  Key first = hmac_blake2s(extracted, {counter.subspan(0, 1)});
  Key second = hmac_blake2s(extracted, {first, counter.subspan(1, 1)});
  Key third = hmac_blake2s(extracted, {second, counter.subspan(2, 1)});
  wipe(extracted);
  return {take_secret(first), take_secret(second), take_secret(third)};
}

SecretKey derive_session_key(ByteSpan hash, std::string_view label) {
  Key prk = blake2s_keyed(hash, as_byte_span("net-kdf-v1"));
  Key key = blake2s_keyed(prk, as_byte_span(label));
  wipe(prk);
  return take_secret(key);
}

std::uint64_t xxh3_64(ByteSpan data) { return XXH3_64bits(data.data(), data.size()); }

std::uint64_t xxh3_64(std::uint64_t a, std::uint64_t b, std::uint64_t seed) {
  const std::array<std::uint64_t, 2> text{a, b};
  return XXH3_64bits_withSeed(text.data(), sizeof(text), seed);
}

}  // namespace netmesh::crypto
