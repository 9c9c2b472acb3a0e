#include "bus/producer_state.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <thread>

#include "crypto/hash.h"
#include "crypto/system_random.h"

namespace netmesh::bus {
namespace {

// --- the nonce file: version, nonce (spec 40 §11) ---
constexpr std::size_t kNonceFileBytes = 9;
constexpr std::uint8_t kNonceVersion = 1;

// --- the journal: a header, then records `u32 length ‖ u64 XXH3 of the body ‖ body` ---
constexpr std::string_view kMagic = "netmesh-journal1";
constexpr std::size_t kHeaderBytes = 16;
constexpr std::size_t kFrameBytes = 12;
constexpr std::uint8_t kBatch = 1;
constexpr std::uint8_t kSettled = 2;
constexpr std::uint8_t kNextSequence = 3;
constexpr std::size_t kBatchHeadBytes = 1 + 2 + 8 + 8 + 4;
constexpr std::size_t kMarkBytes = 1 + 2 + 8 + 8;
/// A journal of this size is written anew when most of it is settled.
constexpr std::uint64_t kCompactAbove = 4u << 20;

std::string hex(std::uint64_t value) {
  char text[17];
  std::snprintf(text, sizeof(text), "%llx", static_cast<unsigned long long>(value));
  return text;
}

/// Fills in the frame in front of a record's body, which is all that follows it.
void seal(Bytes& record) {
  const ByteSpan body = ByteSpan(record).subspan(kFrameBytes);
  ByteWriter writer(MutableByteSpan(record).first(kFrameBytes));
  writer.u32(static_cast<std::uint32_t>(body.size()));
  writer.u64(crypto::xxh3_64(body));
}

Bytes mark_record(std::uint8_t kind, ShardId shard, std::uint64_t sequence, std::uint64_t nonce) {
  Bytes record(kFrameBytes + kMarkBytes);
  ByteWriter writer(MutableByteSpan(record).subspan(kFrameBytes));
  writer.u8(kind);
  writer.u16(shard);
  writer.u64(sequence);
  writer.u64(nonce);
  seal(record);
  return record;
}

}  // namespace

std::uint64_t random_nonce() {
  crypto::SystemRandom random;
  std::array<std::byte, 8> bytes{};
  do random.fill(bytes);
  while (load_le<std::uint64_t>(bytes.data()) == 0);
  return load_le<std::uint64_t>(bytes.data());
}

Expected<std::uint64_t> load_or_create_nonce(const std::string& path) {
  const auto existing = runtime::read_small_file(path, kNonceFileBytes);
  if (!existing) return tl::unexpected<Error>(existing.error());
  const std::string name = "producer-nonce file at " + path;
  if (*existing) {
    const Bytes& bytes = **existing;
    if (bytes.size() != kNonceFileBytes) {
      return fail(
          ErrorKind::kFatal,
          name + " has length " +
              (bytes.size() > kNonceFileBytes ? "more than 9" : std::to_string(bytes.size())) +
              " (expected 9 for v1)");
    }
    const auto version = static_cast<std::uint8_t>(bytes[0]);
    if (version != kNonceVersion) {
      char shown[8];
      std::snprintf(shown, sizeof(shown), "0x%02x", version);
      return fail(ErrorKind::kFatal,
                  name + " has unknown version byte " + shown + " (expected 0x01 for v1)");
    }
    const auto nonce = load_le<std::uint64_t>(bytes.data() + 1);
    return nonce == 0 ? 1 : nonce;
  }
  const std::uint64_t nonce = random_nonce();
  std::array<std::byte, kNonceFileBytes> content;
  content[0] = std::byte{kNonceVersion};
  store_le(content.data() + 1, nonce);
  const auto thread = std::hash<std::thread::id>()(std::this_thread::get_id());
  const auto nanos = std::chrono::system_clock::now().time_since_epoch().count();
  const std::string suffix =
      '.' + hex(thread) + '.' + std::to_string(nanos) + '.' + hex(nonce) + ".tmp";
  if (auto written = runtime::write_file_atomically(path, content, suffix); !written)
    return tl::unexpected<Error>(written.error());
  return nonce;
}

Expected<std::unique_ptr<ProducerJournal>> ProducerJournal::open(const std::string& nonce_path,
                                                                 std::uint64_t nonce) {
  auto file = runtime::DurableFile::open(nonce_path + ".journal");
  if (!file) return tl::unexpected<Error>(file.error());
  std::unique_ptr<ProducerJournal> journal(new ProducerJournal(std::move(*file), nonce));
  if (auto loaded = journal->load(); !loaded) return tl::unexpected<Error>(loaded.error());
  return journal;
}

std::uint64_t ProducerJournal::next_sequence(ShardId shard) const {
  const auto found = next_.find(shard);
  return found == next_.end() ? 0 : found->second;
}

Expected<void> ProducerJournal::load() {
  const auto content = file_.read(0, static_cast<std::size_t>(file_.size()));
  if (!content) return tl::unexpected<Error>(content.error());
  ByteSpan rest(*content);
  if (rest.size() < kHeaderBytes) {
    // Nothing was ever recorded: the header is synced before the first record.
    if (auto cut = file_.truncate(0); !cut) return cut;
    const std::array parts{as_byte_span(kMagic)};
    return file_.append(parts);
  }
  if (std::memcmp(rest.data(), kMagic.data(), kHeaderBytes) != 0)
    return fail(ErrorKind::kFatal, "the journal beside it is not one of this version");
  rest = rest.subspan(kHeaderBytes);
  std::uint64_t at = kHeaderBytes;
  while (rest.size() >= kFrameBytes) {
    const std::size_t length = load_le<std::uint32_t>(rest.data());
    if (rest.size() - kFrameBytes < length) break;
    const ByteSpan body = rest.subspan(kFrameBytes, length);
    if (load_le<std::uint64_t>(rest.data() + 4) != crypto::xxh3_64(body)) break;
    if (!load_record(body, {at, kFrameBytes + length})) break;
    rest = rest.subspan(kFrameBytes + length);
    at += kFrameBytes + length;
  }
  if (!rest.empty()) {
    if (auto cut = file_.truncate(at); !cut) return cut;
  }
  std::erase_if(recovered_, [&](const EncodedBatch& batch) {
    return !unsettled_.contains({batch.shard, batch.sequence_start});
  });
  return {};
}

bool ProducerJournal::load_record(ByteSpan body, Span where) {
  ByteReader reader(body);
  const std::uint8_t kind = reader.u8();
  const ShardId shard = reader.u16();
  const std::uint64_t sequence = reader.u64();
  const std::uint64_t nonce = reader.u64();
  if (!reader.ok()) return false;
  if (kind == kSettled) {
    const auto found = unsettled_.find({shard, sequence});
    if (found != unsettled_.end()) {
      unsettled_bytes_ -= found->second.length;
      unsettled_.erase(found);
    }
    return true;
  }
  if (kind == kNextSequence) {
    if (nonce == nonce_) next_[shard] = std::max(next_[shard], sequence);
    return true;
  }
  if (kind != kBatch) return false;
  EncodedBatch batch;
  batch.shard = shard;
  batch.nonce = nonce;
  batch.sequence_start = sequence;
  const std::size_t count = reader.u32();
  if (reader.remaining() / sizeof(std::uint32_t) < count) return false;
  std::uint32_t end = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t next = reader.u32();
    if (next < end) return false;
    end = next;
    batch.ends.push_back(end);
  }
  const ByteSpan bytes = reader.rest();
  if (bytes.size() != end) return false;
  batch.bytes = Slab(std::max<std::size_t>(bytes.size(), 1));
  if (!bytes.empty()) std::memcpy(batch.bytes.extend(bytes.size()), bytes.data(), bytes.size());
  if (nonce == nonce_) next_[shard] = std::max(next_[shard], sequence + count);
  unsettled_[{shard, sequence}] = where;
  unsettled_bytes_ += where.length;
  recovered_.push_back(std::move(batch));
  return true;
}

Expected<void> ProducerJournal::record(const EncodedBatch& batch) {
  if (file_.size() > kCompactAbove && unsettled_bytes_ < file_.size() / 2) {
    if (auto compacted = compact(); !compacted) return compacted;
  }
  Bytes record(kFrameBytes + kBatchHeadBytes + batch.ends.size() * sizeof(std::uint32_t) +
               batch.bytes.size());
  ByteWriter writer(MutableByteSpan(record).subspan(kFrameBytes));
  writer.u8(kBatch);
  writer.u16(batch.shard);
  writer.u64(batch.sequence_start);
  writer.u64(batch.nonce);
  writer.u32(static_cast<std::uint32_t>(batch.ends.size()));
  for (const std::uint32_t end : batch.ends) writer.u32(end);
  writer.bytes(batch.bytes.bytes());
  seal(record);
  const std::uint64_t offset = file_.size();
  const std::array parts{ByteSpan(record)};
  if (auto appended = file_.append(parts); !appended) return appended;
  next_[batch.shard] = std::max(next_[batch.shard], batch.sequence_start + batch.size());
  unsettled_[{batch.shard, batch.sequence_start}] = {offset, record.size()};
  unsettled_bytes_ += record.size();
  return {};
}

Expected<void> ProducerJournal::settle(ShardId shard, std::uint64_t sequence_start) {
  const auto found = unsettled_.find({shard, sequence_start});
  if (found == unsettled_.end()) return {};
  const Bytes record = mark_record(kSettled, shard, sequence_start, nonce_);
  const std::array parts{ByteSpan(record)};
  // Not synced: when it is lost, the batch is sent once more under its old ids.
  if (auto appended = file_.append(parts, false); !appended) return appended;
  unsettled_bytes_ -= found->second.length;
  unsettled_.erase(found);
  return {};
}

Expected<void> ProducerJournal::compact() {
  Bytes content(as_byte_span(kMagic).begin(), as_byte_span(kMagic).end());
  for (const auto& [shard, sequence] : next_) {
    const Bytes mark = mark_record(kNextSequence, shard, sequence, nonce_);
    content.insert(content.end(), mark.begin(), mark.end());
  }
  std::map<Key, Span> moved;
  for (const auto& [key, span] : unsettled_) {
    const auto record = file_.read(span.offset, span.length);
    if (!record) return tl::unexpected<Error>(record.error());
    moved[key] = {content.size(), span.length};
    content.insert(content.end(), record->begin(), record->end());
  }
  if (auto replaced = file_.replace(content); !replaced) return replaced;
  unsettled_ = std::move(moved);
  return {};
}

}  // namespace netmesh::bus
