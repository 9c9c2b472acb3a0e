#pragma once
// Buffers for whole IP packets, used again and again.

#include <cstddef>
#include <memory>
#include <vector>

#include "base/bytes.h"

namespace netmesh::linkem {

/// One IP packet in a buffer of its pool's size. Moves only.
class Packet {
 public:
  Packet() = default;
  Packet(std::unique_ptr<std::byte[]> bytes, std::size_t size)
      : bytes_(std::move(bytes)), size_(size) {}

  std::size_t size() const { return size_; }
  void resize(std::size_t size) { size_ = size; }
  /// The whole buffer, whatever `size` says.
  std::byte* data() { return bytes_.get(); }
  MutableByteSpan span() { return {bytes_.get(), size_}; }
  ByteSpan span() const { return {bytes_.get(), size_}; }
  explicit operator bool() const { return bytes_ != nullptr; }

 private:
  friend class PacketPool;
  std::unique_ptr<std::byte[]> bytes_;
  std::size_t size_ = 0;
};

/// Makes packets of one capacity; keeps what is given back, up to a bound.
class PacketPool {
 public:
  explicit PacketPool(std::size_t capacity) : capacity_(capacity) {}

  std::size_t capacity() const { return capacity_; }

  /// An uninitialised packet of full capacity.
  Packet take() {
    if (free_.empty()) {
      return {std::make_unique_for_overwrite<std::byte[]>(capacity_), capacity_};
    }
    Packet packet(std::move(free_.back()), capacity_);
    free_.pop_back();
    return packet;
  }
  Packet copy(const Packet& original) {
    Packet packet = take();
    packet.resize(original.size());
    std::copy_n(original.bytes_.get(), original.size(), packet.bytes_.get());
    return packet;
  }
  void give_back(Packet packet) {
    if (packet && free_.size() < kMaxFree) free_.push_back(std::move(packet.bytes_));
  }

 private:
  /// 6 MiB of packets of 1500 bytes; beyond it the allocator may have them.
  static constexpr std::size_t kMaxFree = 4096;

  std::size_t capacity_;
  std::vector<std::unique_ptr<std::byte[]>> free_;
};

}  // namespace netmesh::linkem
