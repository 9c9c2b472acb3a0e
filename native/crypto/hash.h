#pragma once
// BLAKE2s (keyed, HMAC, HKDF as Noise defines it), the protocol's labels, and XXH3.

#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "crypto/secret.h"

namespace netmesh::crypto {

/// BLAKE2s-256 of the concatenation of `parts`, no key.
Key blake2s(std::initializer_list<ByteSpan> parts);
/// Keyed BLAKE2s-256; the key is 1..32 bytes and counts at its own length (spec 10, notation).
Key blake2s_keyed(ByteSpan key, ByteSpan data);
/// HMAC-BLAKE2s, block size 64 (Noise revision 34, §4.3).
Key hmac_blake2s(ByteSpan key, std::initializer_list<ByteSpan> parts);

struct HkdfOutput {
  SecretKey first, second, third;
};
/// Noise HKDF with three outputs; callers that need two ignore the third.
HkdfOutput noise_hkdf(ByteSpan chaining_key, ByteSpan input);

/// `BLAKE2s(key = BLAKE2s(key = hash, "net-kdf-v1"), label)`: the session KDF of spec 10 §5.4.
SecretKey derive_session_key(ByteSpan hash, std::string_view label);

/// XXH3, 64 bit, seed 0.
std::uint64_t xxh3_64(ByteSpan data);
/// The same of `a ‖ b` in the machine's byte order under a secret seed: for tables in memory whose
/// keys others choose.
std::uint64_t xxh3_64(std::uint64_t a, std::uint64_t b, std::uint64_t seed);

}  // namespace netmesh::crypto
