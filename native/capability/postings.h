#pragma once
// Words, and which nodes have them.

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace netmesh::capability {

/// A node's place in the index; reused after the node is gone.
using Slot = std::uint32_t;
/// Stands for a word; reused after the last node that had the word is gone.
using WordId = std::uint32_t;

/// An inverted index: each word once, with the slots of the nodes that have it in the order of
/// their node ids. `Before(a, b)` says whether slot a's node id is the lower one. A word that many
/// nodes have is also kept as a bitmap over all slots, to answer for one slot at once.
class Postings {
 public:
  template <typename Before>
  WordId add(std::string_view word, Slot slot, Before&& before) {
    const WordId id = intern(word);
    auto& slots = words_[id].slots;
    slots.insert(std::lower_bound(slots.begin(), slots.end(), slot, before), slot);
    slot_bound_ = std::max<std::size_t>(slot_bound_, slot + std::size_t{1});
    mark_added(words_[id], slot);
    return id;
  }
  /// The slot's node id must still be what it was when it was added.
  template <typename Before>
  void remove(WordId id, Slot slot, Before&& before) {
    auto& slots = words_[id].slots;
    slots.erase(std::lower_bound(slots.begin(), slots.end(), slot, before));
    mark_removed(words_[id], slot);
    if (slots.empty()) release(id);
  }
  /// Whether `has` may be asked about the word.
  bool is_dense(WordId id) const { return !words_[id].bits.empty(); }
  /// Whether a slot has a dense word.
  bool has(WordId id, Slot slot) const {
    const std::vector<std::uint64_t>& bits = words_[id].bits;
    const std::size_t block = slot / 64;
    return block < bits.size() && ((bits[block] >> (slot % 64)) & 1) != 0;
  }

  /// Null when no node has the word.
  const WordId* find(std::string_view word) const {
    const auto found = ids_.find(word);
    return found == ids_.end() ? nullptr : &found->second;
  }
  const std::vector<Slot>& slots(WordId id) const { return words_[id].slots; }
  const std::string& word(WordId id) const { return *words_[id].text; }
  std::size_t size() const { return ids_.size(); }
  /// Above every id in use.
  std::size_t id_bound() const { return words_.size(); }
  /// Heap bytes, about.
  std::size_t memory_bytes() const;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view word) const noexcept {
      return std::hash<std::string_view>{}(word);
    }
  };
  struct Word {
    const std::string* text = nullptr;  ///< the key in ids_
    std::vector<Slot> slots;
    std::vector<std::uint64_t> bits;  ///< empty while the word is rare
  };

  WordId intern(std::string_view word);
  void release(WordId id);
  void mark_added(Word& word, Slot slot);
  void mark_removed(Word& word, Slot slot);

  std::unordered_map<std::string, WordId, Hash, std::equal_to<>> ids_;
  std::vector<Word> words_;
  std::vector<WordId> free_;
  std::size_t slot_bound_ = 0;  ///< above every slot seen
};

}  // namespace netmesh::capability
