#pragma once
// Frames as values, for tests and fuzz targets: write any of them, compare any two.

#include <algorithm>

#include "wire/frames.h"

namespace netmesh::wire::testing {

/// Writes `frame` with the writer made for it; false when it does not fit.
inline bool write_frame(ByteWriter& out, const Frame& frame) {
  struct Visitor {
    ByteWriter& out;

    static bool fill(std::optional<MutableByteSpan> room, ByteSpan data) {
      if (!room) return false;
      if (!data.empty()) std::memcpy(room->data(), data.data(), data.size());
      return true;
    }
    bool operator()(const PingFrame&) const { return write_ping(out); }
    bool operator()(const AckNowFrame&) const { return write_ack_now(out); }
    bool operator()(const AckFrame& f) const { return write_ack(out, f); }
    bool operator()(const CloseFrame& f) const { return write_close(out, f); }
    bool operator()(const StreamFrame& f) const {
      return fill(begin_stream(out, f, f.data.size()), f.data);
    }
    bool operator()(const DatagramFrame& f) const {
      return fill(begin_datagram(out, f, f.data.size()), f.data);
    }
    bool operator()(const DatagramFragmentFrame& f) const {
      return fill(begin_fragment(out, f, f.data.size()), f.data);
    }
    bool operator()(const StreamLimitFrame& f) const { return write_stream_limit(out, f); }
    bool operator()(const SessionLimitFrame& f) const { return write_session_limit(out, f); }
    bool operator()(const PathChallengeFrame& f) const { return write_path_challenge(out, f); }
    bool operator()(const PathResponseFrame& f) const { return write_path_response(out, f); }
    bool operator()(const PeerInfoFrame& f) const { return write_peer_info(out, f); }
    bool operator()(const RekeyFrame& f) const { return write_rekey(out, f); }
  };
  return std::visit(Visitor{out}, frame);
}

inline bool same_data(ByteSpan a, ByteSpan b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

inline bool same(const PingFrame&, const PingFrame&) { return true; }
inline bool same(const AckNowFrame&, const AckNowFrame&) { return true; }
inline bool same(const AckFrame& a, const AckFrame& b) {
  const std::span<const PacketRange> left(a.ranges.data(), a.range_count);
  const std::span<const PacketRange> right(b.ranges.data(), b.range_count);
  return a.delay_us == b.delay_us &&
         std::equal(left.begin(), left.end(), right.begin(), right.end());
}
inline bool same(const CloseFrame& a, const CloseFrame& b) {
  return a.code == b.code && same_data(a.reason, b.reason);
}
inline bool same(const StreamFrame& a, const StreamFrame& b) {
  return a.stream_id == b.stream_id && a.epoch == b.epoch && a.offset == b.offset &&
         a.fin == b.fin && same_data(a.data, b.data);
}
inline bool same(const DatagramFrame& a, const DatagramFrame& b) {
  return a.stream_id == b.stream_id && a.epoch == b.epoch && a.sequence == b.sequence &&
         a.offset == b.offset && same_data(a.data, b.data);
}
inline bool same(const DatagramFragmentFrame& a, const DatagramFragmentFrame& b) {
  return a.stream_id == b.stream_id && a.epoch == b.epoch && a.sequence == b.sequence &&
         a.offset == b.offset && a.total == b.total && a.fragment_offset == b.fragment_offset &&
         same_data(a.data, b.data);
}
inline bool same(const StreamLimitFrame& a, const StreamLimitFrame& b) {
  return a.stream_id == b.stream_id && a.epoch == b.epoch && a.max_offset == b.max_offset;
}
inline bool same(const SessionLimitFrame& a, const SessionLimitFrame& b) {
  return a.max_total == b.max_total;
}

inline bool same(const PathChallengeFrame& a, const PathChallengeFrame& b) {
  return a.data == b.data;
}
inline bool same(const PathResponseFrame& a, const PathResponseFrame& b) {
  return a.data == b.data;
}
inline bool same(const PeerInfoFrame& a, const PeerInfoFrame& b) { return a == b; }
inline bool same(const RekeyFrame& a, const RekeyFrame& b) { return a == b; }

/// Equal in everything that travels.
inline bool same_frame(const Frame& a, const Frame& b) {
  return a.index() == b.index() &&
         std::visit(
             [&b](const auto& left) {
               return same(left, std::get<std::decay_t<decltype(left)>>(b));
             },
             a);
}

}  // namespace netmesh::wire::testing
