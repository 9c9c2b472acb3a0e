#pragma once
// Text as filters compare it: UTF-8, lower-cased by the full rules of Unicode.

#include <string>
#include <string_view>

namespace netmesh::cortex {

bool is_ascii(std::string_view text);

/// Well-formed UTF-8: no surrogates, no overlong forms, nothing above U+10FFFF.
bool is_utf8(std::string_view text);

/// Lower case by Unicode's full mappings, U+0130 and the final sigma included: what Rust's
/// `to_lowercase` and JavaScript's `toLowerCase` give. `text` is UTF-8.
std::string to_lower(std::string_view text);

/// A text of a row, and its lower-case form once somebody has searched in it.
class SearchText {
 public:
  SearchText() = default;
  explicit SearchText(std::string_view text) : text_(text) {}

  const std::string& text() const { return text_; }
  void assign(std::string_view text) {
    text_ = text;
    lower_.clear();
    state_ = State::kUnknown;
  }

  /// Whether the lower-cased text contains `lower_needle`, which is lower-cased already. Not to be
  /// called by two threads at once: the lower-case form is kept.
  bool contains(std::string_view lower_needle) const;

 private:
  enum class State : unsigned char { kUnknown, kIsLower, kHasLower };

  std::string text_;
  mutable std::string lower_;
  mutable State state_ = State::kUnknown;
};

}  // namespace netmesh::cortex
