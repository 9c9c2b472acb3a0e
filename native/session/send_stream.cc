#include "session/send_stream.h"

#include <algorithm>

#include "base/assert.h"

namespace netmesh::session {

void SendStream::push(OutboundBatch batch) {
  const std::uint64_t size = batch.frames.size();
  queued_cost_ += batch.cost;
  credit_.push_back(
      {end_ + size, batch.cost, batch.windowed ? batch.cost : 0, batch.event_count, batch.ticket});
  if (size != 0) {
    chunks_.push_back({end_, std::move(batch.frames)});
    end_ += size;
  }
}

bool SendStream::complete() const {
  return finishing_ && una_ == end_ && (fin_acknowledged_ || !reliable());
}

bool SendStream::raise_limit(std::uint64_t max_offset) {
  if (max_offset <= max_offset_) return false;
  max_offset_ = max_offset;
  blocked_announced = false;
  return true;
}

std::size_t SendStream::next_frame_bytes() const {
  const Chunk& chunk = chunks_[chunk_index(next_)];
  return wire::kEventFrameHeaderBytes +
         load_le<std::uint32_t>(chunk.bytes.data() + (next_ - chunk.begin));
}

bool SendStream::blocked() const {
  if (next_ >= end_) return false;
  return reliable() ? next_ >= max_offset_ : next_ + next_frame_bytes() > max_offset_;
}

bool SendStream::has_sendable() const {
  if (has_lost()) return true;
  if (next_ < end_) return !blocked();
  return reliable() && finishing_ && !fin_sent_;
}

std::optional<StreamRange> SendStream::take(std::size_t max_bytes, std::uint64_t max_new_bytes) {
  if (!lost_.empty()) {
    if (max_bytes == 0) return std::nullopt;
    const Interval first = lost_.front();
    StreamRange range{first.begin, std::min<std::uint64_t>(first.end - first.begin, max_bytes),
                      false};
    lost_.subtract(range.offset, range.offset + range.length);
    if (fin_lost_ && range.offset + range.length == end_) {
      range.fin = true;
      fin_lost_ = false;
    }
    return range;
  }
  if (fin_lost_) {
    fin_lost_ = false;
    return StreamRange{end_, 0, true};
  }
  StreamRange range{next_, 0, false};
  if (next_ < end_ && next_ < max_offset_) {
    range.length = std::min(
        {end_ - next_, max_offset_ - next_, static_cast<std::uint64_t>(max_bytes), max_new_bytes});
  }
  if (finishing_ && !fin_sent_ && next_ + range.length == end_) {
    range.fin = true;
    fin_sent_ = true;
  }
  if (range.length == 0 && !range.fin) return std::nullopt;
  next_ += range.length;
  return range;
}

std::optional<SendStream::DatagramTake> SendStream::take_frames(std::size_t max_bytes) {
  if (next_ >= end_ || blocked()) return std::nullopt;
  const std::uint64_t within_limit = max_offset_ - next_;
  // Frames never straddle chunks: every batch is whole frames.
  const Chunk& chunk = chunks_[chunk_index(next_)];
  const std::byte* at = chunk.bytes.data() + (next_ - chunk.begin);
  const std::byte* const end = chunk.bytes.data() + chunk.bytes.size();
  std::uint64_t taken = 0;
  while (at < end) {
    const std::size_t frame = wire::kEventFrameHeaderBytes + load_le<std::uint32_t>(at);
    if (taken + frame > max_bytes && taken == 0) return DatagramTake{{}, frame};
    if (taken + frame > std::min<std::uint64_t>(max_bytes, within_limit)) break;
    taken += frame;
    at += frame;
  }
  DatagramTake take{{next_, taken, false}, 0};
  next_ += taken;
  return take;
}

StreamRange SendStream::take_oversized(std::size_t length) {
  StreamRange range{next_, length, false};
  next_ += length;
  return range;
}

std::size_t SendStream::chunk_index(std::uint64_t offset) const {
  auto it =
      std::upper_bound(chunks_.begin(), chunks_.end(), offset,
                       [](std::uint64_t value, const Chunk& chunk) { return value < chunk.begin; });
  NM_ASSERT(it != chunks_.begin());
  return static_cast<std::size_t>(it - chunks_.begin()) - 1;
}

void SendStream::read(std::uint64_t offset, MutableByteSpan out) const {
  if (out.empty()) return;
  std::size_t index = chunk_index(offset);
  while (!out.empty()) {
    NM_ASSERT(index < chunks_.size());
    const Chunk& chunk = chunks_[index];
    const std::size_t skip = offset - chunk.begin;
    const std::size_t count = std::min(out.size(), chunk.bytes.size() - skip);
    std::memcpy(out.data(), chunk.bytes.data() + skip, count);
    out = out.subspan(count);
    offset += count;
    ++index;
  }
}

bool SendStream::resolve(const StreamRange& range) {
  const std::uint64_t begin = std::max(range.offset, una_);
  const std::uint64_t end = range.offset + range.length;
  if (end > begin) {  // a FIN alone resolves no bytes
    if (!lost_.empty()) lost_.subtract(begin, end);
    if (begin == una_ && resolved_.empty()) {
      una_ = end;
    } else {
      resolved_.add(begin, end);
      if (resolved_.front().begin <= una_) {
        una_ = resolved_.front().end;
        resolved_.trim_below(una_);
      }
    }
  }
  while (!chunks_.empty() && chunks_.front().begin + chunks_.front().bytes.size() <= una_)
    chunks_.pop_front();
  std::uint64_t cost = 0;
  std::uint64_t credit = 0;
  bool returned = false;
  while (!credit_.empty() && credit_.front().end <= una_) {
    cost += credit_.front().cost;
    credit += credit_.front().credit;
    returned = true;
    if (credit_.front().ticket != 0) settled_.push_back(credit_.front().ticket);
    credit_.pop_front();
  }
  if (!returned) return false;
  ++grants_received;
  NM_ASSERT(queued_cost_ >= cost);
  queued_cost_ -= cost;
  gate_->release_queue(cost);
  return gate_->restore_credit(credit);
}

bool SendStream::on_acknowledged(const StreamRange& range) {
  if (range.fin) {
    fin_acknowledged_ = true;
    fin_lost_ = false;
  }
  return resolve(range);
}

bool SendStream::on_lost(const StreamRange& range) {
  if (!reliable()) return resolve(range);
  probe(range);
  return false;
}

void SendStream::probe(const StreamRange& range) {
  const std::uint64_t begin = std::max(range.offset, una_);
  resolved_.for_each_missing(begin, std::max(begin, range.offset + range.length),
                             [&](std::uint64_t b, std::uint64_t e) { lost_.add(b, e); });
  if (range.fin && !fin_acknowledged_) fin_lost_ = true;
}

}  // namespace netmesh::session
