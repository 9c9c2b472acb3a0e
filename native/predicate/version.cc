#include "predicate/version.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace netmesh::predicate {
namespace {

/// Unicode's White_Space in UTF-8.
constexpr std::array<std::string_view, 25> kSpaces = {
    "\t",           "\n",           "\v",           "\f",           "\r",           " ",
    "\xC2\x85",     "\xC2\xA0",     "\xE1\x9A\x80", "\xE2\x80\x80", "\xE2\x80\x81", "\xE2\x80\x82",
    "\xE2\x80\x83", "\xE2\x80\x84", "\xE2\x80\x85", "\xE2\x80\x86", "\xE2\x80\x87", "\xE2\x80\x88",
    "\xE2\x80\x89", "\xE2\x80\x8A", "\xE2\x80\xA8", "\xE2\x80\xA9", "\xE2\x80\xAF", "\xE2\x81\x9F",
    "\xE3\x80\x80"};

/// Those of the 25 that begin, or end, a text.
template <typename Matches>
std::size_t space_bytes(Matches matches) {
  const auto* const space = std::find_if(kSpaces.begin(), kSpaces.end(), matches);
  return space == kSpaces.end() ? 0 : space->size();
}

std::string_view trim(std::string_view text) {
  const auto starts = [&text](std::string_view space) { return text.starts_with(space); };
  const auto ends = [&text](std::string_view space) { return text.ends_with(space); };
  while (const std::size_t bytes = space_bytes(starts)) text.remove_prefix(bytes);
  while (const std::size_t bytes = space_bytes(ends)) text.remove_suffix(bytes);
  return text;
}

std::optional<std::uint64_t> parse_part(std::string_view text) {
  text = trim(text);
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (text.empty() || !std::all_of(text.begin(), text.end(), is_digit)) return std::nullopt;
  std::uint64_t value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec != std::errc{}) return std::nullopt;
  return value;
}

}  // namespace

std::optional<Version> parse_version(std::string_view text) {
  text = text.substr(0, text.find_first_of("-+"));
  Version version;
  for (std::uint64_t* part : {&version.major, &version.minor, &version.patch}) {
    const std::size_t dot = text.find('.');
    const auto number = parse_part(text.substr(0, dot));
    if (!number) return std::nullopt;
    *part = *number;
    if (dot == std::string_view::npos) return version;
    text.remove_prefix(dot + 1);
  }
  return std::nullopt;
}

bool is_compatible(const Version& version, const Version& wanted) {
  if (version < wanted) return false;
  if (wanted.major > 0) return version.major == wanted.major;
  if (wanted.minor > 0) return version.major == 0 && version.minor == wanted.minor;
  return version == wanted;
}

}  // namespace netmesh::predicate
