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

std::size_t Postings::memory_bytes() const {
  // A node of the hash table: next pointer, hash, string, id.
  constexpr std::size_t kMapNode = 2 * sizeof(void*) + sizeof(std::string) + sizeof(WordId) + 4;
  constexpr std::size_t kInlineText = 15;
  std::size_t bytes = ids_.bucket_count() * sizeof(void*) + words_.capacity() * sizeof(Word) +
                      free_.capacity() * sizeof(WordId);
  for (const auto& [text, id] : ids_) {
    bytes += kMapNode + (text.capacity() > kInlineText ? text.capacity() + 1 : 0);
    bytes += words_[id].slots.capacity() * sizeof(Slot);
  }
  return bytes;
}

}  // namespace netmesh::capability
