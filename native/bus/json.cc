#include "bus/json.h"

#include <map>

namespace netmesh::bus {
namespace {

using simdjson::dom::element;
using simdjson::dom::element_type;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Appends ".0" to every integer literal that may not fit 64 bits, so that it reads as a float.
/// Strings are left alone; text that is no JSON stays none.
std::string widen_integers(std::string_view text) {
  constexpr std::size_t kDigitsThatFit = 18;
  std::string out;
  out.reserve(text.size() + 16);
  bool in_string = false;
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (in_string) {
      out += c;
      ++i;
      if (c == '\\' && i < text.size()) out += text[i++];
      if (c == '"') in_string = false;
      continue;
    }
    if (!is_digit(c)) {
      in_string = c == '"';
      out += c;
      ++i;
      continue;
    }
    const std::size_t begin = i;
    while (i < text.size() && is_digit(text[i])) ++i;
    const bool integer = i == text.size() || (text[i] != '.' && text[i] != 'e' && text[i] != 'E');
    const bool after_point = begin > 0 && (text[begin - 1] == '.' || text[begin - 1] == 'e' ||
                                           text[begin - 1] == 'E' || text[begin - 1] == '+' ||
                                           (text[begin - 1] == '-' && begin > 1 &&
                                            (text[begin - 2] == 'e' || text[begin - 2] == 'E')));
    out.append(text.substr(begin, i - begin));
    if (!integer || after_point || i - begin <= kDigitsThatFit) continue;
    // What fits stays an integer.
    const bool negative = begin > 0 && text[begin - 1] == '-';
    const std::string literal = (negative ? "-" : "") + std::string(text.substr(begin, i - begin));
    simdjson::dom::parser parser;
    if (parser.parse(literal).error() != simdjson::SUCCESS) out += ".0";
  }
  return out;
}

using Members = std::map<std::string_view, element>;

Members members_of(simdjson::dom::object object) {
  Members out;
  for (const auto& [key, value] : object) out.insert_or_assign(key, value);
  return out;
}

bool objects_equal(simdjson::dom::object a, simdjson::dom::object b) {
  const Members left = members_of(a), right = members_of(b);
  if (left.size() != right.size()) return false;
  return std::equal(left.begin(), left.end(), right.begin(), [](const auto& x, const auto& y) {
    return x.first == y.first && json_equal(x.second, y.second);
  });
}

bool arrays_equal(simdjson::dom::array a, simdjson::dom::array b) {
  auto i = a.begin();
  auto j = b.begin();
  for (; i != a.end() && j != b.end(); ++i, ++j) {
    if (!json_equal(*i, *j)) return false;
  }
  return !(i != a.end()) && !(j != b.end());
}

}  // namespace

std::optional<element> JsonReader::parse(ByteSpan text) {
  const char* const data = reinterpret_cast<const char*>(text.data());
  element root;
  auto code = parser_.parse(data, text.size()).get(root);
  if (code == simdjson::NUMBER_ERROR) {
    rewritten_ = widen_integers({data, text.size()});
    code = parser_.parse(rewritten_.data(), rewritten_.size()).get(root);
  }
  if (code != simdjson::SUCCESS) {
    error_ = simdjson::error_message(code);
    return std::nullopt;
  }
  return root;
}

bool json_equal(element a, element b) {
  const element_type type = a.type();
  if (type != b.type()) return false;
  switch (type) {
    case element_type::ARRAY:
      return arrays_equal(a.get_array().value_unsafe(), b.get_array().value_unsafe());
    case element_type::OBJECT:
      return objects_equal(a.get_object().value_unsafe(), b.get_object().value_unsafe());
    case element_type::INT64:
      return a.get_int64().value_unsafe() == b.get_int64().value_unsafe();
    case element_type::UINT64:
      return a.get_uint64().value_unsafe() == b.get_uint64().value_unsafe();
    case element_type::DOUBLE:
      return a.get_double().value_unsafe() == b.get_double().value_unsafe();
    case element_type::STRING:
      return a.get_string().value_unsafe() == b.get_string().value_unsafe();
    case element_type::BOOL:
      return a.get_bool().value_unsafe() == b.get_bool().value_unsafe();
    case element_type::NULL_VALUE:
      return true;
  }
  return false;
}

std::optional<element> json_member(simdjson::dom::object object, std::string_view name) {
  std::optional<element> found;
  for (const auto& [key, value] : object) {
    if (key == name) found = value;
  }
  return found;
}

void append_json_string(std::string_view text, std::string& out) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += "\\u00";
      out += kHex[static_cast<unsigned char>(c) >> 4];
      out += kHex[c & 15];
    } else {
      out += c;
    }
  }
  out += '"';
}

bool is_utf8(ByteSpan bytes) {
  return simdjson::validate_utf8(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

bool is_ascii(ByteSpan bytes) {
  std::size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) {
    if ((load_le<std::uint64_t>(bytes.data() + i) & 0x8080808080808080ULL) != 0) return false;
  }
  for (; i < bytes.size(); ++i) {
    if (static_cast<unsigned char>(bytes[i]) >= 0x80) return false;
  }
  return true;
}

}  // namespace netmesh::bus
