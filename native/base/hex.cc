#include "base/hex.h"

namespace netmesh {
namespace {

constexpr std::string_view kDigits = "0123456789abcdef";
constexpr unsigned kNotADigit = 16;

unsigned digit_value(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a') + 10;
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A') + 10;
  return kNotADigit;
}

// Error texts are shown to users and logged: a stray byte must not make them invalid UTF-8.
std::string printable(char c) {
  const auto byte = static_cast<unsigned char>(c);
  if (byte >= 0x20 && byte < 0x7F) return {c};
  return {'\\', 'x', kDigits[byte >> 4], kDigits[byte & 0xF]};
}

}  // namespace

std::string to_hex(ByteSpan bytes) {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const std::byte b : bytes) {
    const auto value = std::to_integer<unsigned>(b);
    text.push_back(kDigits[value >> 4]);
    text.push_back(kDigits[value & 0xF]);
  }
  return text;
}

Expected<Bytes> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return fail(ErrorKind::kInvalidArgument, "odd number of digits");
  Bytes bytes;
  bytes.reserve(text.size() / 2);
  unsigned high = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const unsigned value = digit_value(text[i]);
    if (value == kNotADigit) {
      return fail(ErrorKind::kInvalidArgument,
                  "invalid character '" + printable(text[i]) + "' at index " + std::to_string(i));
    }
    if (i % 2 == 0) {
      high = value;
    } else {
      bytes.push_back(static_cast<std::byte>(high << 4 | value));
    }
  }
  return bytes;
}

}  // namespace netmesh
