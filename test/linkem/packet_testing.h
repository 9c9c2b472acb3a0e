#pragma once
// Packets for tests.

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <vector>

#include "linkem/ip.h"
#include "linkem/packet.h"

namespace netmesh::linkem {

/// What every packet of a test is numbered by: its first four bytes.
inline std::uint32_t number_of(const Packet& packet) {
  std::uint32_t number = 0;
  for (std::size_t i = 0; i < 4; ++i)
    number |= std::to_integer<std::uint32_t>(packet.span()[i]) << (8 * i);
  return number;
}

inline Packet numbered(PacketPool& pool, std::uint32_t number, std::size_t size) {
  Packet packet = pool.take();
  packet.resize(size);
  std::fill_n(packet.data(), size, std::byte{0});
  for (std::size_t i = 0; i < 4; ++i)
    packet.data()[i] = static_cast<std::byte>(number >> (8 * i) & 0xff);
  return packet;
}

inline std::vector<std::byte> bytes_of(std::initializer_list<int> values) {
  std::vector<std::byte> bytes;
  for (const int value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}

inline void put16(std::vector<std::byte>& bytes, std::size_t at, std::size_t value) {
  bytes[at] = static_cast<std::byte>(value >> 8 & 0xff);
  bytes[at + 1] = static_cast<std::byte>(value & 0xff);
}

inline std::size_t get16(ByteSpan bytes, std::size_t at) {
  return std::to_integer<std::size_t>(bytes[at]) << 8 | std::to_integer<std::size_t>(bytes[at + 1]);
}

/// Sum over a transport segment and its pseudo-header: 0 when its checksum is right.
inline std::uint16_t transport_checksum(ByteSpan packet, std::uint8_t protocol, bool v6) {
  const std::size_t header = v6 ? 40 : 20;
  const ByteSpan segment = packet.subspan(header);
  std::uint32_t sum = checksum_add(0, v6 ? packet.subspan(8, 32) : packet.subspan(12, 8));
  sum += protocol + static_cast<std::uint32_t>(segment.size());
  return checksum_finish(checksum_add(sum, segment));
}

/// A datagram or segment with correct checksums and `payload` bytes of payload.
inline std::vector<std::byte> transport_packet(std::uint8_t protocol, bool v6,
                                               std::size_t payload) {
  const std::size_t header = v6 ? 40 : 20;
  const std::size_t transport = protocol == 17 ? 8 : 20;
  std::vector<std::byte> packet(header + transport + payload);
  for (std::size_t i = header; i < packet.size(); ++i)
    packet[i] = static_cast<std::byte>(i * 37 & 0xff);
  if (v6) {
    packet[0] = std::byte{0x60};
    put16(packet, 4, transport + payload);
    packet[6] = static_cast<std::byte>(protocol);
    for (std::size_t i = 0; i < 32; ++i) packet[8 + i] = static_cast<std::byte>(i + 1);
  } else {
    packet[0] = std::byte{0x45};
    put16(packet, 2, packet.size());
    packet[6] = std::byte{0x40};  // don't fragment
    packet[9] = static_cast<std::byte>(protocol);
    for (std::size_t i = 0; i < 8; ++i) packet[12 + i] = static_cast<std::byte>(10 + i);
    put16(packet, 10, checksum_finish(checksum_add(0, ByteSpan(packet).first(20))));
  }
  if (protocol == 17) put16(packet, header + 4, transport + payload);
  if (protocol == 6) packet[header + 12] = std::byte{0x50};
  const std::size_t checksum = header + (protocol == 17 ? 6 : 16);
  put16(packet, checksum, 0);
  std::uint16_t sum = transport_checksum(packet, protocol, v6);
  if (protocol == 17 && sum == 0) sum = 0xffff;
  put16(packet, checksum, sum);
  return packet;
}

}  // namespace netmesh::linkem
