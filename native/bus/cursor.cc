#include "bus/cursor.h"

#include <array>
#include <optional>

#include "base/json_text.h"
#include "bus/json.h"

namespace netmesh::bus {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::string encode_base64(std::string_view bytes) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j)
      group = group << 8 | (j < count ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    for (std::size_t j = 0; j < 4; ++j)
      out += j <= count ? kAlphabet[(group >> (18 - 6 * j)) & 63] : '=';
  }
  return out;
}

/// Strict: whole groups, padding only at the end, no stray bits.
std::optional<std::string> decode_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::string out;
  for (std::size_t i = 0; i < text.size(); i += 4) {
    std::size_t digits = 4;
    if (i + 4 == text.size()) {
      while (digits > 2 && text[i + digits - 1] == '=') --digits;
    }
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 4; ++j) {
      std::size_t value = 0;
      if (j < digits) {
        value = kAlphabet.find(text[i + j]);
        if (value == std::string_view::npos) return std::nullopt;
      }
      group = group << 6 | static_cast<std::uint32_t>(value);
    }
    const std::size_t bytes = digits - 1;
    if (bytes < 3 && (group & ((1u << (8 * (3 - bytes))) - 1)) != 0) return std::nullopt;
    for (std::size_t j = 0; j < bytes; ++j) out += static_cast<char>(group >> (16 - 8 * j) & 0xFF);
  }
  return out;
}

tl::unexpected<Error> invalid(const std::string& detail) {
  return fail(ErrorKind::kInvalidArgument, "invalid cursor: " + detail);
}

}  // namespace

Expected<Cursor> decode_cursor(std::string_view text) {
  const auto json = decode_base64(text);
  if (!json) return invalid("not base64");
  JsonReader reader;
  const auto document = reader.parse(as_byte_span(*json));
  if (!document) return invalid(reader.error());
  simdjson::dom::object positions;
  if (document->get_object().get(positions) != simdjson::SUCCESS)
    return invalid("not an object of positions by shard");
  Cursor cursor;
  for (const auto& [key, value] : positions) {
    const auto shard = parse_number(key.starts_with('+') ? key.substr(1) : key);
    if (!shard || *shard > 0xFFFF)
      return invalid("shard key \"" + std::string(key) + "\" is not a valid u16");
    const std::string canonical = std::to_string(*shard);
    if (key != canonical) {
      return invalid("non-canonical shard key \"" + std::string(key) + "\" (parses to " +
                     canonical + ", canonical form is " + canonical + ")");
    }
    if (!value.is_string())
      return invalid("the position of shard " + canonical + " is not a string");
    cursor.insert_or_assign(static_cast<ShardId>(*shard),
                            std::string(value.get_string().value_unsafe()));
  }
  return cursor;
}

std::string encode_cursor(const Cursor& cursor) {
  std::string json = "{";
  for (const auto& [shard, position] : cursor) {
    if (json.size() > 1) json += ',';
    json += '"' + std::to_string(shard) + "\":";
    append_json_string(position, json);
  }
  json += '}';
  return encode_base64(json);
}

}  // namespace netmesh::bus
