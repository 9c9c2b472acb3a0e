#include "predicate/tag.h"

#include <algorithm>

namespace netmesh::predicate {

std::optional<Axis> parse_axis(std::string_view name) {
  const auto* const found = std::find(kAxisNames.begin(), kAxisNames.end(), name);
  if (found == kAxisNames.end()) return std::nullopt;
  return static_cast<Axis>(found - kAxisNames.begin());
}

std::string_view to_string(Axis axis) { return kAxisNames[static_cast<std::size_t>(axis)]; }

Expected<Tag> parse_tag(std::string_view text) {
  if (text.empty()) return fail(ErrorKind::kInvalidArgument, "capability tag must be non-empty");
  return take_apart(text);
}

Tag take_apart(std::string_view text) {
  Tag tag;
  for (const std::string_view prefix : kReservedPrefixes) {
    if (!text.starts_with(prefix)) continue;
    tag.kind = Tag::Kind::kReserved;
    tag.key = text.substr(0, prefix.size());
    tag.value = text.substr(prefix.size());
    return tag;
  }
  const std::size_t dot = text.find('.');
  const auto axis = dot == std::string_view::npos ? std::nullopt : parse_axis(text.substr(0, dot));
  if (!axis) {
    tag.key = text;
    return tag;
  }
  const std::string_view body = text.substr(dot + 1);
  const std::size_t at = body.find_first_of("=:");
  tag.axis = *axis;
  if (at == std::string_view::npos) {
    tag.kind = Tag::Kind::kPresence;
    tag.key = body;
    return tag;
  }
  tag.kind = Tag::Kind::kValue;
  tag.key = body.substr(0, at);
  tag.separator = body[at];
  tag.value = body.substr(at + 1);
  return tag;
}

std::string to_string(const Tag& tag) {
  std::string text;
  if (tag.on_axis()) text.append(to_string(tag.axis)).append(1, '.');
  text.append(tag.key);
  if (tag.kind == Tag::Kind::kValue) text.append(1, tag.separator);
  return text.append(tag.value);
}

std::string other_spelling(std::string_view text) {
  Tag tag = take_apart(text);
  if (tag.kind != Tag::Kind::kValue) return {};
  tag.separator = tag.separator == '=' ? ':' : '=';
  return to_string(tag);
}

std::string meaning_of(std::string_view text) {
  Tag tag = take_apart(text);
  if (tag.kind != Tag::Kind::kValue) return std::string(text);
  tag.separator = '=';
  return to_string(tag);
}

}  // namespace netmesh::predicate
