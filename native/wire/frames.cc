#include "wire/frames.h"

#include "base/assert.h"
#include "wire/net_packet.h"

namespace netmesh::wire {
namespace {

/// Varints end here, and so do stream offsets.
constexpr std::uint64_t kVarintLimit = 1ULL << 62;
constexpr std::size_t kMaxReasonBytes = 0xFF;
constexpr std::size_t kMaxDataBytes = 0xFFFF;
constexpr std::size_t kTypeBytes = 1;
constexpr std::size_t kStreamIdBytes = 8;
constexpr std::size_t kDataLengthBytes = 2;

constexpr std::size_t varint_size(std::uint64_t value) { return ByteWriter::varint_size(value); }

template <typename... Values>
constexpr bool are_varints(Values... values) {
  return ((values < kVarintLimit) && ...);
}

void write_type(ByteWriter& out, FrameType type) { out.u8(static_cast<std::uint8_t>(type)); }

// Every parse function reads the frame behind its type byte and yields false when a rule is broken;
// reads past the end are left to the reader's own flag.

bool parse_ack(ByteReader& in, AckFrame& frame) {
  const std::uint64_t largest = in.varint();
  frame.delay_us = in.varint();
  const std::uint64_t more_ranges = in.varint();
  const std::uint64_t first_length = in.varint();
  if (more_ranges >= AckFrame::kMaxRanges || first_length > largest) return false;
  frame.ranges[0] = {largest - first_length, largest};
  frame.range_count = static_cast<std::size_t>(more_ranges) + 1;

  std::uint64_t smallest = frame.ranges[0].first;
  for (std::size_t i = 1; i < frame.range_count; ++i) {
    const std::uint64_t gap = in.varint();
    const std::uint64_t length = in.varint();
    // Both are below 2^62, so the sums cannot wrap.
    if (smallest < gap + 2 + length) return false;
    const std::uint64_t last = smallest - gap - 2;
    smallest = last - length;
    frame.ranges[i] = {smallest, last};
  }
  return true;
}

bool parse_close(ByteReader& in, CloseFrame& frame) {
  frame.code = in.varint();
  frame.reason = in.bytes(in.u8());
  return true;
}

bool parse_stream(ByteReader& in, StreamFrame& frame) {
  frame.stream_id = StreamId{in.u64()};
  frame.epoch = in.varint();
  frame.offset = in.varint();
  frame.data = in.bytes(in.u16());
  return frame.offset + frame.data.size() < kVarintLimit;
}

bool parse_datagram(ByteReader& in, DatagramFrame& frame) {
  frame.stream_id = StreamId{in.u64()};
  frame.epoch = in.varint();
  frame.sequence = in.varint();
  frame.offset = in.varint();
  frame.data = in.bytes(in.u16());
  return true;
}

bool fragment_fits(std::uint64_t total, std::uint64_t fragment_offset, std::size_t length) {
  return total <= kMaxNetPayloadBytes && fragment_offset <= total &&
         length <= total - fragment_offset && length > 0;
}

bool parse_fragment(ByteReader& in, DatagramFragmentFrame& frame) {
  frame.stream_id = StreamId{in.u64()};
  frame.epoch = in.varint();
  frame.sequence = in.varint();
  frame.offset = in.varint();
  frame.total = in.varint();
  frame.fragment_offset = in.varint();
  frame.data = in.bytes(in.u16());
  return fragment_fits(frame.total, frame.fragment_offset, frame.data.size());
}

bool parse_stream_limit(ByteReader& in, StreamLimitFrame& frame) {
  frame.stream_id = StreamId{in.u64()};
  frame.epoch = in.varint();
  frame.max_offset = in.varint();
  return true;
}

bool parse_session_limit(ByteReader& in, SessionLimitFrame& frame) {
  frame.max_total = in.varint();
  return true;
}

bool parse_peer_info(ByteReader& in, PeerInfoFrame& frame) {
  frame.reset_token = in.array<16>();
  frame.static_key = in.array<32>();
  return true;
}

bool parse_rekey(ByteReader& in, RekeyFrame& frame) {
  frame.generation = in.varint();
  frame.ephemeral = in.array<32>();
  frame.signature = in.array<64>();
  return true;
}

/// Builds the frame in place in the caller's result: the variant is as big as its ACK.
template <typename T, typename Parse>
bool parse_into(std::optional<Frame>& out, ByteReader& in, Parse parse) {
  out.emplace(std::in_place_type<T>);
  return parse(in, *std::get_if<T>(&*out)) && in.ok();
}

}  // namespace

std::optional<Frame> FrameReader::next() {
  std::optional<Frame> frame;
  while (reader_.remaining() > 0) {
    bool valid = false;
    const auto type = static_cast<FrameType>(reader_.u8());
    switch (type) {
      case FrameType::kPadding:
        continue;
      case FrameType::kPing:
        frame.emplace(PingFrame{});
        return frame;
      case FrameType::kAckNow:
        frame.emplace(AckNowFrame{});
        return frame;
      case FrameType::kAck:
        valid = parse_into<AckFrame>(frame, reader_, parse_ack);
        break;
      case FrameType::kClose:
        valid = parse_into<CloseFrame>(frame, reader_, parse_close);
        break;
      case FrameType::kStream:
      case FrameType::kStreamFin:
        valid = parse_into<StreamFrame>(frame, reader_, [type](ByteReader& in, StreamFrame& out) {
          out.fin = type == FrameType::kStreamFin;
          return parse_stream(in, out);
        });
        break;
      case FrameType::kDatagram:
        valid = parse_into<DatagramFrame>(frame, reader_, parse_datagram);
        break;
      case FrameType::kDatagramFragment:
        valid = parse_into<DatagramFragmentFrame>(frame, reader_, parse_fragment);
        break;
      case FrameType::kStreamLimit:
        valid = parse_into<StreamLimitFrame>(frame, reader_, parse_stream_limit);
        break;
      case FrameType::kSessionLimit:
        valid = parse_into<SessionLimitFrame>(frame, reader_, parse_session_limit);
        break;
      case FrameType::kPathChallenge:
        valid = parse_into<PathChallengeFrame>(frame, reader_,
                                               [](ByteReader& in, PathChallengeFrame& out) {
                                                 out.data = in.u64();
                                                 return true;
                                               });
        break;
      case FrameType::kPathResponse:
        valid = parse_into<PathResponseFrame>(frame, reader_,
                                              [](ByteReader& in, PathResponseFrame& out) {
                                                out.data = in.u64();
                                                return true;
                                              });
        break;
      case FrameType::kPeerInfo:
        valid = parse_into<PeerInfoFrame>(frame, reader_, parse_peer_info);
        break;
      case FrameType::kRekey:
      case FrameType::kRekeyReply:
        valid = parse_into<RekeyFrame>(frame, reader_, [type](ByteReader& in, RekeyFrame& out) {
          out.reply = type == FrameType::kRekeyReply;
          return parse_rekey(in, out);
        });
        break;
    }
    if (!valid) {
      failed_ = true;
      reader_.rest();
      frame.reset();
    }
    return frame;
  }
  return frame;
}

bool write_ping(ByteWriter& out) {
  if (out.remaining() < kTypeBytes) return false;
  write_type(out, FrameType::kPing);
  return true;
}

bool write_ack_now(ByteWriter& out) {
  if (out.remaining() < kTypeBytes) return false;
  write_type(out, FrameType::kAckNow);
  return true;
}

bool write_ack(ByteWriter& out, const AckFrame& frame) {
  NM_ASSERT(frame.range_count <= AckFrame::kMaxRanges);
  if (frame.range_count == 0) return false;
  const PacketRange& newest = frame.ranges[0];
  NM_ASSERT(newest.first <= newest.last);
  if (!are_varints(newest.last, frame.delay_us)) return false;

  const auto gap = [&](std::size_t i) {
    return frame.ranges[i - 1].first - frame.ranges[i].last - 2;
  };
  const auto length = [&](std::size_t i) { return frame.ranges[i].last - frame.ranges[i].first; };

  static_assert(varint_size(AckFrame::kMaxRanges - 1) == 1);
  std::size_t needed = kTypeBytes + varint_size(newest.last) + varint_size(frame.delay_us) + 1 +
                       varint_size(length(0));
  if (out.remaining() < needed) return false;
  std::size_t count = 1;
  for (; count < frame.range_count; ++count) {
    NM_ASSERT(frame.ranges[count].first <= frame.ranges[count].last);
    NM_ASSERT(frame.ranges[count - 1].first - 1 > frame.ranges[count].last);
    needed += varint_size(gap(count)) + varint_size(length(count));
    if (out.remaining() < needed) break;
  }

  write_type(out, FrameType::kAck);
  out.varint(newest.last);
  out.varint(frame.delay_us);
  out.varint(count - 1);
  out.varint(length(0));
  for (std::size_t i = 1; i < count; ++i) {
    out.varint(gap(i));
    out.varint(length(i));
  }
  return true;
}

bool write_close(ByteWriter& out, const CloseFrame& frame) {
  const std::size_t needed = kTypeBytes + varint_size(frame.code) + 1 + frame.reason.size();
  if (frame.reason.size() > kMaxReasonBytes || !are_varints(frame.code) || out.remaining() < needed)
    return false;
  write_type(out, FrameType::kClose);
  out.varint(frame.code);
  out.u8(static_cast<std::uint8_t>(frame.reason.size()));
  out.bytes(frame.reason);
  return true;
}

bool write_stream_limit(ByteWriter& out, const StreamLimitFrame& frame) {
  const std::size_t needed =
      kTypeBytes + kStreamIdBytes + varint_size(frame.epoch) + varint_size(frame.max_offset);
  if (!are_varints(frame.epoch, frame.max_offset) || out.remaining() < needed) return false;
  write_type(out, FrameType::kStreamLimit);
  out.u64(frame.stream_id.value);
  out.varint(frame.epoch);
  out.varint(frame.max_offset);
  return true;
}

bool write_session_limit(ByteWriter& out, const SessionLimitFrame& frame) {
  if (!are_varints(frame.max_total) || out.remaining() < kTypeBytes + varint_size(frame.max_total))
    return false;
  write_type(out, FrameType::kSessionLimit);
  out.varint(frame.max_total);
  return true;
}

bool write_path_challenge(ByteWriter& out, const PathChallengeFrame& frame) {
  if (out.remaining() < kTypeBytes + sizeof frame.data) return false;
  write_type(out, FrameType::kPathChallenge);
  out.u64(frame.data);
  return true;
}

bool write_path_response(ByteWriter& out, const PathResponseFrame& frame) {
  if (out.remaining() < kTypeBytes + sizeof frame.data) return false;
  write_type(out, FrameType::kPathResponse);
  out.u64(frame.data);
  return true;
}

bool write_peer_info(ByteWriter& out, const PeerInfoFrame& frame) {
  if (out.remaining() < kTypeBytes + frame.reset_token.size() + frame.static_key.size())
    return false;
  write_type(out, FrameType::kPeerInfo);
  out.bytes(frame.reset_token);
  out.bytes(frame.static_key);
  return true;
}

bool write_rekey(ByteWriter& out, const RekeyFrame& frame) {
  const std::size_t needed =
      kTypeBytes + varint_size(frame.generation) + frame.ephemeral.size() + frame.signature.size();
  if (!are_varints(frame.generation) || out.remaining() < needed) return false;
  write_type(out, frame.reply ? FrameType::kRekeyReply : FrameType::kRekey);
  out.varint(frame.generation);
  out.bytes(frame.ephemeral);
  out.bytes(frame.signature);
  return true;
}

std::size_t stream_frame_overhead(std::uint64_t epoch, std::uint64_t offset) {
  return kTypeBytes + kStreamIdBytes + varint_size(epoch) + varint_size(offset) + kDataLengthBytes;
}

std::size_t datagram_frame_overhead(std::uint64_t epoch, std::uint64_t sequence,
                                    std::uint64_t offset) {
  return kTypeBytes + kStreamIdBytes + varint_size(epoch) + varint_size(sequence) +
         varint_size(offset) + kDataLengthBytes;
}

std::size_t fragment_frame_overhead(std::uint64_t epoch, std::uint64_t sequence,
                                    std::uint64_t offset, std::uint64_t total,
                                    std::uint64_t fragment_offset) {
  return datagram_frame_overhead(epoch, sequence, offset) + varint_size(total) +
         varint_size(fragment_offset);
}

std::optional<MutableByteSpan> begin_stream(ByteWriter& out, const StreamFrame& head,
                                            std::size_t length) {
  if (length > kMaxDataBytes || !are_varints(head.epoch, head.offset) ||
      head.offset + length >= kVarintLimit ||
      out.remaining() < stream_frame_overhead(head.epoch, head.offset) + length) {
    return std::nullopt;
  }
  write_type(out, head.fin ? FrameType::kStreamFin : FrameType::kStream);
  out.u64(head.stream_id.value);
  out.varint(head.epoch);
  out.varint(head.offset);
  out.u16(static_cast<std::uint16_t>(length));
  return out.reserve(length);
}

std::optional<MutableByteSpan> begin_datagram(ByteWriter& out, const DatagramFrame& head,
                                              std::size_t length) {
  if (length > kMaxDataBytes || !are_varints(head.epoch, head.sequence, head.offset) ||
      out.remaining() < datagram_frame_overhead(head.epoch, head.sequence, head.offset) + length) {
    return std::nullopt;
  }
  write_type(out, FrameType::kDatagram);
  out.u64(head.stream_id.value);
  out.varint(head.epoch);
  out.varint(head.sequence);
  out.varint(head.offset);
  out.u16(static_cast<std::uint16_t>(length));
  return out.reserve(length);
}

std::optional<MutableByteSpan> begin_fragment(ByteWriter& out, const DatagramFragmentFrame& head,
                                              std::size_t length) {
  if (!fragment_fits(head.total, head.fragment_offset, length) ||
      !are_varints(head.epoch, head.sequence, head.offset) ||
      out.remaining() < fragment_frame_overhead(head.epoch, head.sequence, head.offset, head.total,
                                                head.fragment_offset) +
                            length) {
    return std::nullopt;
  }
  write_type(out, FrameType::kDatagramFragment);
  out.u64(head.stream_id.value);
  out.varint(head.epoch);
  out.varint(head.sequence);
  out.varint(head.offset);
  out.varint(head.total);
  out.varint(head.fragment_offset);
  out.u16(static_cast<std::uint16_t>(length));
  return out.reserve(length);
}

}  // namespace netmesh::wire
