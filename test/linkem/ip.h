#pragma once
// As much of IP as an emulated link needs: answers about the MTU, and damage that checksums miss.

#include <cstddef>
#include <optional>

#include "base/bytes.h"
#include "linkem/dice.h"

namespace netmesh::linkem {

/// Room that `write_too_big` needs at most: the quotation of an ICMPv6 answer fills the least MTU
/// of IPv6.
inline constexpr std::size_t kMaxTooBigBytes = 1280;

/// Writes the ICMP "fragmentation needed" (RFC 792, RFC 1191) or ICMPv6 "packet too big" (RFC 4443)
/// for `packet` into `out`, as if from its destination, and yields the length. Nothing for packets
/// that get no such answer: ICMP errors themselves, fragments, IPv4 without don't-fragment, and
/// what is no IP.
std::size_t write_too_big(ByteSpan packet, std::size_t mtu, MutableByteSpan out);

/// Flips one bit anywhere.
void flip_bit(MutableByteSpan packet, Dice& dice);

/// Flips one bit of the payload of UDP or TCP and corrects the checksum, so that the damage reaches
/// the application. False, with nothing changed, when there is no such payload.
bool corrupt_payload(MutableByteSpan packet, Dice& dice);

/// The internet checksum (RFC 1071) of `bytes`, continued from `sum`, not yet complemented.
std::uint32_t checksum_add(std::uint32_t sum, ByteSpan bytes);
/// Folds and complements.
std::uint16_t checksum_finish(std::uint32_t sum);

}  // namespace netmesh::linkem
