#include "capability/postings.h"

namespace netmesh::capability {

WordId Postings::intern(std::string_view word) {
  if (const auto found = ids_.find(word); found != ids_.end()) return found->second;
  WordId id = 0;
  if (free_.empty()) {
    id = static_cast<WordId>(words_.size());
    words_.emplace_back();
  } else {
    id = free_.back();
    free_.pop_back();
  }
  const auto at = ids_.emplace(word, id).first;
  words_[id].text = &at->first;
  return id;
}

void Postings::release(WordId id) {
  ids_.erase(ids_.find(*words_[id].text));
  words_[id] = Word();
  free_.push_back(id);
}

// A bitmap takes a bit per slot, a list 32 per entry: from one node in 32 on the bitmap is the
// smaller one. It goes again at a quarter of that, so that a word on the edge does not swing.
namespace {
constexpr std::size_t kDenseShare = 32;
constexpr std::size_t kSparseShare = 4 * kDenseShare;
/// Below this a list is searched as fast.
constexpr std::size_t kDenseMinSlots = 64;

void set_bit(std::vector<std::uint64_t>& bits, Slot slot) {
  const std::size_t block = slot / 64;
  if (block >= bits.size()) bits.resize(block + 1);
  bits[block] |= std::uint64_t{1} << (slot % 64);
}
}  // namespace

void Postings::mark_added(Word& word, Slot slot) {
  if (!word.bits.empty()) {
    set_bit(word.bits, slot);
  } else if (word.slots.size() >= std::max(kDenseMinSlots, slot_bound_ / kDenseShare)) {
    word.bits.reserve(slot_bound_ / 64 + 1);
    for (const Slot each : word.slots) set_bit(word.bits, each);
  }
}

void Postings::mark_removed(Word& word, Slot slot) {
  if (word.bits.empty()) return;
  if (word.slots.size() < std::max(kDenseMinSlots / 4, slot_bound_ / kSparseShare)) {
    word.bits = {};
    return;
  }
  word.bits[slot / 64] &= ~(std::uint64_t{1} << (slot % 64));
}

std::size_t Postings::memory_bytes() const {
  // A node of the hash table: next pointer, hash, string, id.
  constexpr std::size_t kMapNode = 2 * sizeof(void*) + sizeof(std::string) + sizeof(WordId) + 4;
  constexpr std::size_t kInlineText = 15;
  std::size_t bytes = ids_.bucket_count() * sizeof(void*) + words_.capacity() * sizeof(Word) +
                      free_.capacity() * sizeof(WordId);
  for (const auto& [text, id] : ids_) {
    bytes += kMapNode + (text.capacity() > kInlineText ? text.capacity() + 1 : 0);
    bytes += words_[id].slots.capacity() * sizeof(Slot) +
             words_[id].bits.capacity() * sizeof(std::uint64_t);
  }
  return bytes;
}

}  // namespace netmesh::capability
