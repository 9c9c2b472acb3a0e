#pragma once
// A daemon's seed on its way to the node that it moves to (spec 30 §4).

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <tl/expected.hpp>

#include "base/error.h"
#include "base/random.h"
#include "identity/entity.h"

namespace netmesh::identity {

inline constexpr std::size_t kEnvelopeBytes = 209;
inline constexpr std::uint8_t kEnvelopeVersion = 1;
inline constexpr std::size_t kCausalLinkBytes = 32;

using Envelope = std::array<std::byte, kEnvelopeBytes>;
/// Where the daemon's chain stands, four little-endian u64: origin hash, horizon, sequence, hash of
/// the parent. An envelope is good for one place in one chain only.
using CausalLink = std::span<const std::byte, kCausalLinkBytes>;

/// Why an envelope cannot be sealed or opened.
enum class EnvelopeFailure : std::uint8_t {
  kInvalidLength,
  kUnknownVersion,
  kUnexpectedSigner,  ///< not who the caller expects
  kInvalidSignature,
  kWrongTarget,    ///< sealed to another node's key, or to a key of low order
  kNotSealedHere,  ///< the seed cannot be decrypted: tampered with, or of another link
  kForeignSeed,    ///< the seed is not the signer's
};

/// The word for a failure, such as `invalid_signature`.
std::string_view envelope_failure_name(EnvelopeFailure failure);
/// `identity: envelope: <word>`, of kind `kIdentity`.
Error to_error(EnvelopeFailure failure);

template <typename T>
using EnvelopeResult = tl::expected<T, EnvelopeFailure>;

/// Seals the seed of `daemon` to the Noise static key of the node that is to run it. Only a key
/// that X25519 can use is a target.
EnvelopeResult<Envelope> seal_identity(const crypto::SigningKey& daemon, const crypto::Key& target,
                                       CausalLink link, RandomSource& random);

/// The daemon's key. What costs least is checked first; the seed is decrypted last, and its memory
/// wiped. `expected_signer`: null takes any signer, and the caller compares the entity with that of
/// the snapshot.
EnvelopeResult<crypto::SigningKey> open_identity(ByteSpan envelope,
                                                 const crypto::X25519KeyPair& target,
                                                 CausalLink link,
                                                 const EntityId* expected_signer = nullptr);

}  // namespace netmesh::identity
