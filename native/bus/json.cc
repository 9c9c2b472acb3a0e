#include "bus/json.h"

#include <map>

#include "base/json_text.h"

namespace netmesh::bus {
namespace {

using simdjson::dom::element;
using simdjson::dom::element_type;

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
