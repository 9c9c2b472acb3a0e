#pragma once
// Datagrams on their way out: written back to back, so that runs of equal size to one peer leave
// in one system call.

#include <vector>

#include "base/bytes.h"
#include "base/endpoint.h"

namespace netmesh::mesh {

/// A reused buffer of outgoing datagrams. The machine appends; the driver sends and clears.
class TransmitBatch {
 public:
  static constexpr std::size_t kCapacityBytes = 256 * 1024;
  static constexpr std::size_t kMaxDatagrams = 512;
  static constexpr std::size_t kMaxDatagramBytes = 65'507;

  struct Datagram {
    Endpoint to;
    std::uint32_t offset = 0;
    std::uint32_t length = 0;
    bool may_fragment = false;  ///< by IP, on the way; else don't-fragment is set
  };

  TransmitBatch() : buffer_(kCapacityBytes) { datagrams_.reserve(kMaxDatagrams); }

  /// Room for one datagram of up to `max_bytes`; empty when the batch is full.
  MutableByteSpan begin(std::size_t max_bytes) {
    if (datagrams_.size() == kMaxDatagrams || buffer_.size() - used_ < max_bytes) return {};
    return MutableByteSpan(buffer_).subspan(used_, max_bytes);
  }
  /// The first `length` bytes of the room just handed out are a datagram to `to`.
  void commit(const Endpoint& to, std::size_t length, bool may_fragment = false) {
    datagrams_.push_back(
        {to, static_cast<std::uint32_t>(used_), static_cast<std::uint32_t>(length), may_fragment});
    used_ += length;
  }

  const std::vector<Datagram>& datagrams() const { return datagrams_; }
  MutableByteSpan bytes_of(const Datagram& datagram) {
    return MutableByteSpan(buffer_).subspan(datagram.offset, datagram.length);
  }
  bool empty() const { return datagrams_.empty(); }
  void clear() {
    datagrams_.clear();
    used_ = 0;
  }

 private:
  Bytes buffer_;
  std::vector<Datagram> datagrams_;
  std::size_t used_ = 0;
};

}  // namespace netmesh::mesh
