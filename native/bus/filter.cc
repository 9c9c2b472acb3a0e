#include "bus/filter.h"

#include <optional>
#include <vector>

#include "bus/json.h"
#include "bus/position.h"

namespace netmesh::bus {
namespace {

using simdjson::dom::element;

constexpr std::string_view kShapeMismatch =
    "data did not match any variant of untagged enum Filter";
/// What stands behind the reference's parser as well; a filter of people's making has three.
constexpr unsigned kMaxDepth = 128;

struct PathSegment {
  std::string name;
  std::optional<std::uint64_t> index;  ///< set when the name can index an array
};

struct Node {
  enum class Kind : std::uint8_t { kAnd, kOr, kNot, kEqual };
  Kind kind = Kind::kEqual;
  std::vector<Node> children;
  std::vector<PathSegment> path;
  element value;  ///< in the memory of the filter's own reader
};

std::vector<PathSegment> split_path(std::string_view path) {
  std::vector<PathSegment> out;
  if (path.empty()) return out;
  for (;;) {
    const std::size_t dot = path.find('.');
    const std::string_view name = path.substr(0, dot);
    out.push_back({std::string(name), parse_number(name)});
    if (dot == std::string_view::npos) return out;
    path.remove_prefix(dot + 1);
  }
}

std::optional<Node> compile(element source, unsigned depth);

std::optional<Node> compile_equal(simdjson::dom::object source) {
  const auto path = json_member(source, "path");
  const auto value = json_member(source, "value");
  if (!path || !value || !path->is_string()) return std::nullopt;
  Node node;
  node.path = split_path(path->get_string().value_unsafe());
  node.value = *value;
  return node;
}

std::optional<Node> compile_list(Node::Kind kind, simdjson::dom::array source, unsigned depth) {
  Node node;
  node.kind = kind;
  for (const element child : source) {
    auto compiled = compile(child, depth + 1);
    if (!compiled) return std::nullopt;
    node.children.push_back(std::move(*compiled));
  }
  return node;
}

/// The first of the five shapes that fits.
std::optional<Node> compile(element source, unsigned depth) {
  if (depth > kMaxDepth || !source.is_object()) return std::nullopt;
  const simdjson::dom::object object = source.get_object().value_unsafe();
  for (const auto& [name, kind] :
       {std::pair{"$and", Node::Kind::kAnd}, std::pair{"$or", Node::Kind::kOr}}) {
    const auto list = json_member(object, name);
    if (!list || !list->is_array()) continue;
    if (auto node = compile_list(kind, list->get_array().value_unsafe(), depth)) return node;
  }
  if (const auto negated = json_member(object, "$not")) {
    if (auto child = compile(*negated, depth + 1)) {
      Node node;
      node.kind = Node::Kind::kNot;
      node.children.push_back(std::move(*child));
      return node;
    }
  }
  if (const auto wrapped = json_member(object, "$eq"); wrapped && wrapped->is_object()) {
    if (auto node = compile_equal(wrapped->get_object().value_unsafe())) return node;
  }
  return compile_equal(object);
}

std::optional<element> follow(element at, const std::vector<PathSegment>& path) {
  for (const PathSegment& segment : path) {
    std::optional<element> next;
    if (at.is_object()) {
      next = json_member(at.get_object().value_unsafe(), segment.name);
    } else if (at.is_array() && segment.index) {
      element item;
      if (at.get_array().value_unsafe().at(static_cast<std::size_t>(*segment.index)).get(item) ==
          simdjson::SUCCESS) {
        next = item;
      }
    }
    if (!next) return std::nullopt;
    at = *next;
  }
  return at;
}

bool matches_node(const Node& node, element document) {
  const auto each = [&](const Node& child) { return matches_node(child, document); };
  switch (node.kind) {
    case Node::Kind::kAnd:
      // An empty list matches nothing (spec 40, trap 4).
      return !node.children.empty() &&
             std::all_of(node.children.begin(), node.children.end(), each);
    case Node::Kind::kOr:
      return std::any_of(node.children.begin(), node.children.end(), each);
    case Node::Kind::kNot:
      return !each(node.children.front());
    case Node::Kind::kEqual: {
      const auto found = follow(document, node.path);
      return found && json_equal(*found, node.value);
    }
  }
  return false;
}

}  // namespace

struct Filter::Compiled {
  JsonReader reader;  ///< owns what the nodes' values refer to
  Node root;
};

Expected<Filter> Filter::parse(std::string_view text) {
  auto compiled = std::make_shared<Compiled>();
  const auto document = compiled->reader.parse(as_byte_span(text));
  if (!document) return fail(ErrorKind::kInvalidArgument, compiled->reader.error());
  auto root = compile(*document, 0);
  if (!root) return fail(ErrorKind::kInvalidArgument, std::string(kShapeMismatch));
  compiled->root = std::move(*root);
  return Filter(std::move(compiled));
}

struct FilterMatcher::State {
  Filter filter;
  JsonReader reader;
};

FilterMatcher::FilterMatcher(Filter filter)
    : state_(std::make_unique<State>(State{std::move(filter), {}})) {}
FilterMatcher::~FilterMatcher() = default;

bool FilterMatcher::matches(ByteSpan payload) {
  const auto document = state_->reader.parse(payload);
  return document && matches_node(state_->filter.compiled_->root, *document);
}

}  // namespace netmesh::bus
