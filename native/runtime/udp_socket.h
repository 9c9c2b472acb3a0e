#pragma once
// One UDP socket that moves batches: GSO/GRO and sendmmsg/recvmmsg where the system has them, one
// datagram per call elsewhere.

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/endpoint.h"
#include "base/error.h"
#include "mesh/transmit_batch.h"

namespace netmesh::runtime {

struct UdpOptions {
  Endpoint bind_to;
  /// Asked of the kernel for each direction; it may give less.
  std::uint32_t kernel_buffer_bytes = 4u << 20;
  /// Segmentation (GSO, GRO) in the kernel where it has it.
  bool offload = true;
  /// Several datagrams per system call where the system has such calls.
  bool batch_calls = true;
  /// How many datagrams, or coalesced runs of them, one `receive` may return, and their largest
  /// size.
  std::size_t receive_slots = 8;
  std::size_t receive_slot_bytes = 64 * 1024;
};

/// What the socket did and refused; monotonic.
struct UdpCounters {
  std::uint64_t send_calls = 0;
  std::uint64_t receive_calls = 0;
  std::uint64_t send_blocked = 0;         ///< the kernel's buffer was full; the rest waited
  std::uint64_t dropped_too_big = 0;      ///< datagrams the path or the kernel cannot carry
  std::uint64_t dropped_unreachable = 0;  ///< no route, refused, or an address of the wrong family
  std::uint64_t dropped_other = 0;
  std::uint64_t receive_errors = 0;
  std::uint64_t receive_truncated = 0;
};

/// A bound, non-blocking socket. `receive` belongs to one thread; `send` to whoever holds the lock
/// that guards the batch. Errors of single datagrams are counted and never fatal: the network may
/// drop any datagram anyway.
class UdpSocket {
 public:
  /// Fails with the system's text: `bind failed: Address already in use`.
  static Expected<std::unique_ptr<UdpSocket>> open(const UdpOptions& options);
  ~UdpSocket();
  UdpSocket(const UdpSocket&) = delete;
  UdpSocket& operator=(const UdpSocket&) = delete;

  int descriptor() const { return descriptor_; }
  /// The address bound to, with the port that the system chose.
  const Endpoint& local() const { return local_; }

  /// Sends the datagrams from index `first` on, in order. Returns the index of the first that is
  /// still to be sent: less than their number only when the kernel's buffer is full.
  std::size_t send(mesh::TransmitBatch& batch, std::size_t first);

  /// One datagram, or a run of datagrams from one sender: each `segment_bytes` long, the last maybe
  /// shorter.
  struct Received {
    Endpoint from;
    MutableByteSpan bytes;
    std::size_t segment_bytes;
  };
  struct ReceiveResult {
    std::span<const Received> datagrams;  ///< valid until the next call
    bool exhausted;                       ///< nothing more was waiting
  };
  ReceiveResult receive();
  /// The same into one caller's own buffer, for a second thread: one datagram or run of them.
  std::optional<Received> receive_one(MutableByteSpan buffer);

  /// Afterwards nothing is received, and what is sent is dropped and counted.
  void close();

  bool sends_segmented() const { return max_segment_bytes_ != 0; }
  bool receives_coalesced() const { return receives_coalesced_; }
  UdpCounters counters() const;

 private:
  struct Calls;
  UdpSocket(int descriptor, int family, const UdpOptions& options);

  void detect_offload();
  std::size_t prepare(mesh::TransmitBatch& batch, std::size_t first);
  std::size_t run_length(const mesh::TransmitBatch& batch, std::size_t first) const;
  /// Sends one datagram by itself; 0 or the error.
  int send_alone(mesh::TransmitBatch& batch, std::size_t index);
  void refuse_segments(int error, std::size_t segment_bytes);
  void count_dropped(int error, std::size_t datagrams);

  int descriptor_;
  const int family_;
  Endpoint local_;
  const std::size_t receive_slot_bytes_;
  const bool batch_calls_;
  bool receives_coalesced_ = false;
  /// Longest segment that GSO may be asked for; 0 when it is not used at all. Only ever shrinks.
  std::size_t max_segment_bytes_ = 0;

  std::unique_ptr<Calls> calls_;
  std::vector<Received> received_;

  /// Written by the sending or by the receiving thread alone, read by any.
  struct AtomicCounters;
  std::unique_ptr<AtomicCounters> counters_;
};

}  // namespace netmesh::runtime
