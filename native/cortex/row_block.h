#pragma once
// Rows on their way to the application: one block of memory for any number of them.

#include <string_view>

#include "base/slab.h"

namespace netmesh::cortex {

/// Rows in one slab: the numbers of rows and of words (32 bits each), the fixed 64-bit fields of
/// each row (`kFixedFields`), the words (32 bits each), the text. Which words and texts a row has
/// is its model's to say. Two blocks are equal in bytes when their rows are equal in everything.
struct RowBlock {
  static constexpr std::size_t kHeaderBytes = 2 * sizeof(std::uint32_t);
  static constexpr std::size_t kFixedFields = 3;  ///< of a row: id, created, updated

  std::size_t count = 0;
  Slab bytes;
};

/// Fills a block whose measures are known.
class RowBlockWriter {
 public:
  /// Set in a row's first word when all of its texts are ASCII.
  static constexpr std::uint32_t kAsciiFlag = 0x100;

  RowBlockWriter(std::size_t count, std::size_t words, std::size_t text_bytes) {
    const std::size_t fixed_bytes = count * RowBlock::kFixedFields * sizeof(std::uint64_t);
    const std::size_t word_bytes = words * sizeof(std::uint32_t);
    const std::size_t size = RowBlock::kHeaderBytes + fixed_bytes + word_bytes + text_bytes;
    block_.count = count;
    block_.bytes = Slab(size);
    std::byte* const header = block_.bytes.extend(size);
    store_le(header, static_cast<std::uint32_t>(count));
    store_le(header + sizeof(std::uint32_t), static_cast<std::uint32_t>(words));
    fixed_ = header + RowBlock::kHeaderBytes;
    word_ = fixed_ + fixed_bytes;
    text_ = word_ + word_bytes;
  }

  void fixed(std::uint64_t id, std::uint64_t created_ns, std::uint64_t updated_ns) {
    for (const std::uint64_t value : {id, created_ns, updated_ns}) {
      store_le(fixed_, value);
      fixed_ += sizeof(value);
    }
  }
  void word(std::uint32_t value) {
    store_le(word_, value);
    word_ += sizeof(value);
  }
  /// A text and the word with its length in bytes.
  void text(std::string_view value) {
    word(static_cast<std::uint32_t>(value.size()));
    if (!value.empty()) std::memcpy(text_, value.data(), value.size());
    text_ += value.size();
  }

  RowBlock finish() { return std::move(block_); }

 private:
  RowBlock block_;
  std::byte* fixed_;
  std::byte* word_;
  std::byte* text_;
};

}  // namespace netmesh::cortex
