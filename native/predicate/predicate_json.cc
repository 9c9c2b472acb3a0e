#include "predicate/predicate_json.h"

#include <simdjson.h>

#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/json_text.h"

namespace netmesh::predicate {
namespace {

using simdjson::dom::element;

// --- what the fields of each operation are called ---

enum class Field : std::uint8_t { kText, kMin, kMax };

struct FieldName {
  std::string_view name;
  Field field;
};

/// The fields after the key, in their order.
std::span<const FieldName> fields_of(Op op) {
  static constexpr std::array<FieldName, 1> kValue = {{{"value", Field::kText}}};
  static constexpr std::array<FieldName, 1> kVersion = {{{"version", Field::kText}}};
  static constexpr std::array<FieldName, 1> kPrefix = {{{"prefix", Field::kText}}};
  static constexpr std::array<FieldName, 1> kPattern = {{{"pattern", Field::kText}}};
  static constexpr std::array<FieldName, 1> kAtLeast = {{{"threshold", Field::kMin}}};
  static constexpr std::array<FieldName, 1> kAtMost = {{{"threshold", Field::kMax}}};
  static constexpr std::array<FieldName, 2> kRange = {{{"min", Field::kMin}, {"max", Field::kMax}}};
  switch (op) {
    case Op::kEquals:
    case Op::kMetadataEquals:
      return kValue;
    case Op::kNumericAtLeast:
    case Op::kMetadataNumericAtLeast:
      return kAtLeast;
    case Op::kNumericAtMost:
      return kAtMost;
    case Op::kNumericInRange:
      return kRange;
    case Op::kSemverAtLeast:
    case Op::kSemverAtMost:
    case Op::kSemverCompatible:
      return kVersion;
    case Op::kStringPrefix:
      return kPrefix;
    case Op::kStringMatches:
    case Op::kMetadataMatches:
      return kPattern;
    case Op::kExists:
    case Op::kMetadataExists:
    case Op::kAnd:
    case Op::kOr:
    case Op::kNot:
      break;
  }
  return {};
}

// --- reading ---

tl::unexpected<Error> undecodable(const std::string& why) {
  return fail(ErrorKind::kInvalidArgument, "predicate wire decode failed: " + why);
}

/// The member of that name; of several the last.
std::optional<element> member(const simdjson::dom::object& object, std::string_view name) {
  std::optional<element> out;
  for (const auto& [key, value] : object) {
    if (key == name) out = value;
  }
  return out;
}

std::optional<std::string> text_member(const simdjson::dom::object& object, std::string_view name) {
  const auto value = member(object, name);
  std::string_view text;
  if (!value || value->get_string().get(text) != simdjson::SUCCESS) return std::nullopt;
  return std::string(text);
}

std::optional<double> number_of(const element& value) {
  double number = 0;
  if (value.get_double().get(number) != simdjson::SUCCESS) return std::nullopt;
  return number;
}

/// An integer from 0 on, however it is written. One above every table is as wrong as any other.
std::optional<std::uint32_t> index_of(const element& value) {
  const auto number = number_of(value);
  if (!number || !(*number >= 0) || *number != std::floor(*number)) return std::nullopt;
  constexpr double kLargest = 4294967295.0;
  return *number > kLargest ? std::nullopt
                            : std::optional<std::uint32_t>(static_cast<std::uint32_t>(*number));
}

/// Reads the key of a leaf; false when it is missing or of the wrong type.
bool read_key(const simdjson::dom::object& object, Node& node) {
  simdjson::dom::object key;
  simdjson::dom::object const* names = &object;
  if (asks_tags(node.op)) {
    const auto value = member(object, "key");
    if (!value || value->get_object().get(key) != simdjson::SUCCESS) return false;
    const auto axis = text_member(key, "axis");
    const auto parsed = axis ? parse_axis(*axis) : std::nullopt;
    if (!parsed) return false;
    node.axis = *parsed;
    names = &key;
  }
  auto text = text_member(*names, "key");
  if (!text) return false;
  node.key = std::move(*text);
  return true;
}

bool read_field(const simdjson::dom::object& object, const FieldName& field, Node& node) {
  if (field.field == Field::kText) {
    auto text = text_member(object, field.name);
    if (text) node.text = std::move(*text);
    return text.has_value();
  }
  const auto value = member(object, field.name);
  const auto number = value ? number_of(*value) : std::nullopt;
  if (number) (field.field == Field::kMin ? node.min : node.max) = *number;
  return number.has_value();
}

bool read_children(const simdjson::dom::object& object, Node& node) {
  if (node.op == Op::kNot) {
    const auto value = member(object, "child");
    const auto index = value ? index_of(*value) : std::nullopt;
    if (index) node.children.push_back(*index);
    return index.has_value();
  }
  const auto value = member(object, "children");
  simdjson::dom::array list;
  if (!value || value->get_array().get(list) != simdjson::SUCCESS) return false;
  for (const element child : list) {
    const auto index = index_of(child);
    if (!index) return false;
    node.children.push_back(*index);
  }
  return true;
}

Expected<Node> read_node(const element& value, std::size_t index) {
  const std::string where = "node " + std::to_string(index);
  simdjson::dom::object object;
  if (value.get_object().get(object) != simdjson::SUCCESS) {
    return undecodable(where + " is no object");
  }
  const auto kind = text_member(object, "kind");
  const auto op = kind ? parse_op(*kind) : std::nullopt;
  if (!op) return undecodable(where + " has an unknown kind");
  Node node;
  node.op = *op;
  bool complete = false;
  if (*op >= Op::kAnd) {
    complete = read_children(object, node);
  } else {
    complete = read_key(object, node);
    for (const FieldName& field : fields_of(*op))
      complete = complete && read_field(object, field, node);
  }
  if (!complete) {
    return undecodable(where + " (" + *kind + ") lacks a field, or has one of the wrong type");
  }
  return node;
}

// --- writing ---

/// The shortest text that reads back as the same number, never an integer's.
void append_number(double number, std::string& out) {
  std::array<char, 32> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number).ptr;
  const std::string_view text(buffer.data(), static_cast<std::size_t>(end - buffer.data()));
  out += text;
  if (text.find_first_of(".e") == std::string_view::npos) out += ".0";
}

void append_node(const Node& node, std::string& out) {
  out += "{\"kind\":\"";
  out += to_string(node.op);
  out += '"';
  if (node.op == Op::kNot) {
    out += ",\"child\":" + std::to_string(node.children.front());
  } else if (node.op >= Op::kAnd) {
    out += ",\"children\":[";
    for (std::size_t i = 0; i < node.children.size(); ++i) {
      if (i > 0) out += ',';
      out += std::to_string(node.children[i]);
    }
    out += ']';
  } else {
    out += ",\"key\":";
    if (asks_tags(node.op)) {
      out += "{\"axis\":\"";
      out += to_string(node.axis);
      out += "\",\"key\":";
    }
    append_json_string(node.key, out);
    if (asks_tags(node.op)) out += '}';
    for (const FieldName& field : fields_of(node.op)) {
      out += ",\"";
      out += field.name;
      out += "\":";
      if (field.field == Field::kText)
        append_json_string(node.text, out);
      else
        append_number(field.field == Field::kMin ? node.min : node.max, out);
    }
  }
  out += '}';
}

}  // namespace

Expected<std::string> to_header(const Predicate& predicate) {
  std::string out = "{\"nodes\":[";
  bool first = true;
  for (const Node& node : predicate.nodes()) {
    if (!std::isfinite(node.min) || !std::isfinite(node.max)) {
      return fail(ErrorKind::kInvalidArgument, "predicate wire has a number that is not finite");
    }
    if (!first) out += ',';
    first = false;
    append_node(node, out);
  }
  out += "],\"root_idx\":" + std::to_string(predicate.root()) + "}";
  if (out.size() > kHeaderCapBytes) {
    return fail(ErrorKind::kInvalidArgument,
                "predicate wire encoding " + std::to_string(out.size()) +
                    " bytes exceeds header cap " + std::to_string(kHeaderCapBytes));
  }
  return out;
}

Expected<Predicate> from_header(std::string_view json) {
  if (json.size() > kHeaderCapBytes) {
    return fail(ErrorKind::kInvalidArgument,
                "predicate wire payload " + std::to_string(json.size()) +
                    " bytes exceeds header cap " + std::to_string(kHeaderCapBytes));
  }
  return from_json(json);
}

Expected<Predicate> from_json(std::string_view json) {
  if (json.starts_with("\xEF\xBB\xBF")) return undecodable("it begins with a byte order mark");
  // All numbers here are floating-point ones; simdjson refuses integers beyond 64 bits.
  const std::string text = widen_integers(json);
  simdjson::dom::parser parser;
  // As deep as the text can be: what is not known may be nested, too.
  simdjson::error_code code = parser.allocate(text.size(), text.size() + 1);
  element document;
  if (code == simdjson::SUCCESS) code = parser.parse(text.data(), text.size()).get(document);
  if (code != simdjson::SUCCESS) return undecodable(simdjson::error_message(code));

  simdjson::dom::object object;
  simdjson::dom::array list;
  if (document.get_object().get(object) != simdjson::SUCCESS) return undecodable("it is no object");
  const auto table = member(object, "nodes");
  if (!table || table->get_array().get(list) != simdjson::SUCCESS) {
    return undecodable("nodes is no array");
  }
  const auto root_value = member(object, "root_idx");
  const auto root = root_value ? index_of(*root_value) : std::nullopt;
  if (!root) return undecodable("root_idx is no index");
  std::vector<Node> nodes;
  for (const element value : list) {
    auto node = read_node(value, nodes.size());
    if (!node) return tl::unexpected<Error>(std::move(node.error()));
    nodes.push_back(std::move(*node));
    if (nodes.size() > kMaxNodes) break;
  }
  auto predicate = Predicate::create(std::move(nodes), *root);
  if (predicate) return predicate;
  return fail(ErrorKind::kInvalidArgument,
              "predicate wire malformed: " + predicate.error().message);
}

}  // namespace netmesh::predicate
