#include "cortex/utf8.h"

#include <utf8proc.h>

#include <cstdint>
#include <cstring>
#include <vector>

namespace netmesh::cortex {
namespace {

constexpr char32_t kDottedCapitalI = 0x130;
constexpr char32_t kCombiningDotAbove = 0x307;
constexpr char32_t kCapitalSigma = 0x3A3;
constexpr char32_t kFinalSigma = 0x3C2;
constexpr char32_t kSigma = 0x3C3;

bool is_continuation(unsigned char byte) { return (byte & 0xC0) == 0x80; }

/// The length of the well-formed sequence at `at`, 0 when there is none.
std::size_t sequence_bytes(const unsigned char* at, std::size_t left) {
  const unsigned char first = at[0];
  if (first < 0x80) return 1;
  if (first < 0xC2 || first > 0xF4) return 0;
  const std::size_t size = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  if (left < size) return 0;
  for (std::size_t i = 1; i < size; ++i) {
    if (!is_continuation(at[i])) return 0;
  }
  // Overlong forms, surrogates, and what lies above U+10FFFF show in the second byte.
  if (first == 0xE0 && at[1] < 0xA0) return 0;
  if (first == 0xED && at[1] > 0x9F) return 0;
  if (first == 0xF0 && at[1] < 0x90) return 0;
  if (first == 0xF4 && at[1] > 0x8F) return 0;
  return size;
}

std::vector<char32_t> decode(std::string_view text) {
  std::vector<char32_t> out;
  out.reserve(text.size());
  const auto* at = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  auto left = static_cast<utf8proc_ssize_t>(text.size());
  while (left > 0) {
    utf8proc_int32_t code_point = 0;
    const utf8proc_ssize_t used = utf8proc_iterate(at, left, &code_point);
    if (used <= 0) break;
    out.push_back(static_cast<char32_t>(code_point));
    at += used;
    left -= used;
  }
  return out;
}

void append(std::string& out, char32_t code_point) {
  utf8proc_uint8_t bytes[4];
  const utf8proc_ssize_t size =
      utf8proc_encode_char(static_cast<utf8proc_int32_t>(code_point), bytes);
  out.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
}

/// Unicode's property Cased, as far as general categories tell it.
bool is_cased(char32_t code_point) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(code_point))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
      return true;
    default:
      // Other_Lowercase and Other_Uppercase: ordinal indicators, modifier letters, Roman numerals,
      // circled letters.
      return code_point == 0xAA || code_point == 0xBA ||
             (code_point >= 0x2B0 && code_point <= 0x2B8) ||
             (code_point >= 0x2160 && code_point <= 0x217F) ||
             (code_point >= 0x24B6 && code_point <= 0x24E9);
  }
}

/// Unicode's property Case_Ignorable: marks, format characters, modifiers, and what stands in
/// words.
bool is_case_ignorable(char32_t code_point) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(code_point))) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
      return true;
    default:
      return code_point == '\'' || code_point == '.' || code_point == ':' || code_point == 0xB7 ||
             code_point == 0x387 || code_point == 0x55F || code_point == 0x5F4 ||
             code_point == 0x2018 || code_point == 0x2019 || code_point == 0x2024 ||
             code_point == 0x2027 || code_point == 0xFE13 || code_point == 0xFE52 ||
             code_point == 0xFE55 || code_point == 0xFF07 || code_point == 0xFF0E ||
             code_point == 0xFF1A;
  }
}

/// Unicode's condition Final_Sigma: a cased letter before, none after.
bool is_final_sigma(const std::vector<char32_t>& text, std::size_t at) {
  std::size_t before = at;
  while (before > 0 && is_case_ignorable(text[before - 1])) --before;
  if (before == 0 || !is_cased(text[before - 1])) return false;
  std::size_t after = at + 1;
  while (after < text.size() && is_case_ignorable(text[after])) ++after;
  return after == text.size() || !is_cased(text[after]);
}

std::string to_lower_ascii(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  }
  return out;
}

}  // namespace

bool is_ascii(std::string_view text) {
  std::uint64_t seen = 0;
  std::size_t i = 0;
  for (; i + 8 <= text.size(); i += 8) {
    std::uint64_t word;
    std::memcpy(&word, text.data() + i, 8);
    seen |= word;
  }
  for (; i < text.size(); ++i) seen |= static_cast<unsigned char>(text[i]);
  return (seen & 0x8080808080808080ULL) == 0;
}

bool is_utf8(std::string_view text) {
  if (is_ascii(text)) return true;
  const auto* at = reinterpret_cast<const unsigned char*>(text.data());
  std::size_t left = text.size();
  while (left > 0) {
    const std::size_t size = sequence_bytes(at, left);
    if (size == 0) return false;
    at += size;
    left -= size;
  }
  return true;
}

std::string to_lower(std::string_view text) {
  if (is_ascii(text)) return to_lower_ascii(text);
  const std::vector<char32_t> code_points = decode(text);
  std::string out;
  out.reserve(text.size() + 4);
  for (std::size_t i = 0; i < code_points.size(); ++i) {
    const char32_t code_point = code_points[i];
    if (code_point == kCapitalSigma) {
      append(out, is_final_sigma(code_points, i) ? kFinalSigma : kSigma);
    } else if (code_point == kDottedCapitalI) {
      out.push_back('i');
      append(out, kCombiningDotAbove);
    } else {
      append(out,
             static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(code_point))));
    }
  }
  return out;
}

bool SearchText::contains(std::string_view lower_needle) const {
  if (lower_needle.empty()) return true;
  if (state_ == State::kUnknown) {
    lower_ = to_lower(text_);
    state_ = lower_ == text_ ? State::kIsLower : State::kHasLower;
    if (state_ == State::kIsLower) lower_ = std::string();
  }
  const std::string& lower = state_ == State::kIsLower ? text_ : lower_;
  return lower.size() >= lower_needle.size() &&
         memmem(lower.data(), lower.size(), lower_needle.data(), lower_needle.size()) != nullptr;
}

}  // namespace netmesh::cortex
