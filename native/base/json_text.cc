#include "base/json_text.h"

#include <algorithm>

namespace netmesh {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Whether an integer is within [-2^63, 2^64).
bool fits(std::string_view digits, bool negative) {
  const std::string_view limit = negative ? "9223372036854775808" : "18446744073709551615";
  return digits.size() < limit.size() || (digits.size() == limit.size() && digits <= limit);
}

/// The number that `json` begins with, as far as its characters go.
std::string_view number_at(std::string_view json) {
  const std::size_t end = json.find_first_not_of("0123456789.eE+-");
  return json.substr(0, end);
}

/// The string that `json` begins with, up to its closing quote or the end of the text.
std::string_view string_at(std::string_view json) {
  std::size_t at = 1;
  while (at < json.size() && json[at] != '"') at += json[at] == '\\' ? 2 : 1;
  return json.substr(0, std::min(at + 1, json.size()));
}

}  // namespace

void append_json_string(std::string_view text, std::string& out) {
  constexpr std::string_view kHex = "0123456789abcdef";
  constexpr std::string_view kShort = "\"\\\b\f\n\r\t";
  constexpr std::string_view kLetters = "\"\\bfnrt";
  out += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && c != '"' && c != '\\') {
      out += c;
    } else if (const std::size_t at = kShort.find(c); at != std::string_view::npos) {
      out += '\\';
      out += kLetters[at];
    } else {
      out += "\\u00";
      out += kHex[byte >> 4];
      out += kHex[byte & 0xF];
    }
  }
  out += '"';
}

std::string widen_integers(std::string_view json) {
  std::string out;
  out.reserve(json.size() + 16);
  while (!json.empty()) {
    std::string_view piece = json.substr(0, 1);
    if (json.front() == '"') {
      piece = string_at(json);
      out += piece;
    } else if (is_digit(json.front()) || json.front() == '-') {
      piece = number_at(json);
      out += piece;
      const bool negative = piece.front() == '-';
      const std::string_view digits = piece.substr(negative ? 1 : 0);
      if (std::all_of(digits.begin(), digits.end(), is_digit) && !fits(digits, negative))
        out += ".0";
    } else {
      out += piece;
    }
    json.remove_prefix(piece.size());
  }
  return out;
}

}  // namespace netmesh
