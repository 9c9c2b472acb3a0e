#pragma once
// Frames inside modern packets (docs/protocol.md "Frames"). Numbers are RFC 9000 varints unless
// stated; stream ids are 8 bytes little-endian because applications choose them freely.

#include <array>
#include <optional>
#include <variant>

#include "base/bytes.h"
#include "base/ids.h"

namespace netmesh::wire {

enum class FrameType : std::uint8_t {
  kPadding = 0x00,
  kPing = 0x01,
  kAck = 0x02,
  kAckNow = 0x03,
  kClose = 0x04,
  kStream = 0x10,
  kStreamFin = 0x11,
  kDatagram = 0x12,
  kDatagramFragment = 0x13,
  kStreamLimit = 0x14,
  kSessionLimit = 0x15,
  kPathChallenge = 0x16,
  kPathResponse = 0x17,
  kPeerInfo = 0x18,
  kRekey = 0x19,
  kRekeyReply = 0x1A,
};

/// Packet numbers [first, last], both included.
struct PacketRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  friend bool operator==(const PacketRange&, const PacketRange&) = default;
};

/// Asks for an acknowledgement; keeps the session alive.
struct PingFrame {};

/// Asks the receiver to acknowledge at the end of this batch instead of waiting for company.
struct AckNowFrame {};

/// Packet numbers received, newest range first, disjoint and not adjacent; at most 32 ranges.
struct AckFrame {
  static constexpr std::size_t kMaxRanges = 32;
  std::uint64_t delay_us = 0;  ///< between receipt of the newest and this frame
  std::size_t range_count = 0;
  std::array<PacketRange, kMaxRanges> ranges;
};

/// The peer leaves: goodbye (code 0) or a protocol violation, with a reason people can read.
struct CloseFrame {
  std::uint64_t code = 0;
  ByteSpan reason;  ///< UTF-8, at most 255 bytes
};

/// Bytes of a reliable stream. `epoch` names one opening of the id by the sender.
struct StreamFrame {
  StreamId stream_id;
  std::uint64_t epoch = 0;
  std::uint64_t offset = 0;
  ByteSpan data;
  bool fin = false;  ///< the stream ends after `data`
};

/// Events of a fire-and-forget stream: a run of event frames. `offset` counts the bytes sent on
/// the stream before it, so that flow control survives loss.
struct DatagramFrame {
  StreamId stream_id;
  std::uint64_t epoch = 0;
  std::uint64_t sequence = 0;
  std::uint64_t offset = 0;
  ByteSpan data;
};

/// Part of a DatagramFrame's data that does not fit one packet.
struct DatagramFragmentFrame {
  StreamId stream_id;
  std::uint64_t epoch = 0;
  std::uint64_t sequence = 0;
  std::uint64_t offset = 0;
  std::uint64_t total = 0;            ///< length of the whole data, at most 8112
  std::uint64_t fragment_offset = 0;  ///< where `data` belongs in it
  ByteSpan data;
};

/// The sender may send bytes of this stream below `max_offset`.
struct StreamLimitFrame {
  StreamId stream_id;
  std::uint64_t epoch = 0;
  std::uint64_t max_offset = 0;
};

/// The sender may send `max_total` bytes over all reliable streams together.
struct SessionLimitFrame {
  std::uint64_t max_total = 0;
};

/// Asks whoever receives this at the address under test to send `data` back.
struct PathChallengeFrame {
  std::uint64_t data = 0;
};

/// The answer, to the address from which the challenge came.
struct PathResponseFrame {
  std::uint64_t data = 0;
};

/// What a peer needs to notice and to mend the loss of our state: the token of this session's
/// reset datagram and our Noise static key.
struct PeerInfoFrame {
  std::array<std::byte, 16> reset_token{};
  std::array<std::byte, 32> static_key{};
  friend bool operator==(const PeerInfoFrame&, const PeerInfoFrame&) = default;
};

/// Half of a fresh key agreement within a session, signed by the sender's entity key.
struct RekeyFrame {
  bool reply = false;
  std::uint64_t generation = 0;  ///< agreements of this session so far, this one included
  std::array<std::byte, 32> ephemeral{};
  std::array<std::byte, 64> signature{};
  friend bool operator==(const RekeyFrame&, const RekeyFrame&) = default;
};

using Frame = std::variant<PingFrame, AckFrame, AckNowFrame, CloseFrame, StreamFrame, DatagramFrame,
                           DatagramFragmentFrame, StreamLimitFrame, SessionLimitFrame,
                           PathChallengeFrame, PathResponseFrame, PeerInfoFrame, RekeyFrame>;

/// Walks the frames of one decrypted packet. Padding is skipped. A malformed or unknown frame ends
/// the walk with `failed()`: the sender is authenticated, so the session is to be closed.
class FrameReader {
 public:
  explicit FrameReader(ByteSpan plaintext) : reader_(plaintext) {}
  /// The next frame; nothing at the end or on failure.
  std::optional<Frame> next();
  bool failed() const { return failed_; }

 private:
  ByteReader reader_;
  bool failed_ = false;
};

/// Writers return false, with nothing written, when the frame does not fit.
bool write_ping(ByteWriter& out);
bool write_ack_now(ByteWriter& out);
/// Writes as many ranges as fit, newest first; false when not even one does.
bool write_ack(ByteWriter& out, const AckFrame& frame);
bool write_close(ByteWriter& out, const CloseFrame& frame);
bool write_stream_limit(ByteWriter& out, const StreamLimitFrame& frame);
bool write_session_limit(ByteWriter& out, const SessionLimitFrame& frame);
bool write_path_challenge(ByteWriter& out, const PathChallengeFrame& frame);
bool write_path_response(ByteWriter& out, const PathResponseFrame& frame);
bool write_peer_info(ByteWriter& out, const PeerInfoFrame& frame);
bool write_rekey(ByteWriter& out, const RekeyFrame& frame);

/// Bytes of a stream or datagram frame before its data, the 2-byte data length included.
std::size_t stream_frame_overhead(std::uint64_t epoch, std::uint64_t offset);
std::size_t datagram_frame_overhead(std::uint64_t epoch, std::uint64_t sequence,
                                    std::uint64_t offset);
std::size_t fragment_frame_overhead(std::uint64_t epoch, std::uint64_t sequence,
                                    std::uint64_t offset, std::uint64_t total,
                                    std::uint64_t fragment_offset);
/// Writes the head of the frame with `length` data bytes and returns where the caller copies them:
/// a span of `length` bytes, or an empty optional when head and data do not fit.
std::optional<MutableByteSpan> begin_stream(ByteWriter& out, const StreamFrame& head,
                                            std::size_t length);
std::optional<MutableByteSpan> begin_datagram(ByteWriter& out, const DatagramFrame& head,
                                              std::size_t length);
std::optional<MutableByteSpan> begin_fragment(ByteWriter& out, const DatagramFragmentFrame& head,
                                              std::size_t length);

}  // namespace netmesh::wire
