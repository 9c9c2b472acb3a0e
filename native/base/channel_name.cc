#include "base/channel_name.h"

namespace netmesh {
namespace {

tl::unexpected<Error> bad_format(const std::string& what) {
  return fail(ErrorKind::kInvalidArgument, "invalid channel name format: " + what);
}

/// The whole UTF-8 character at `at`, as far as there is one: messages show characters, not bytes.
std::string character_at(std::string_view text, std::size_t at) {
  std::size_t end = at + 1;
  while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) ++end;
  return std::string(text.substr(at, end - at));
}

bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }

bool is_allowed(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' ||
         c == '/';
}

}  // namespace

Expected<void> check_channel_name(std::string_view name) {
  if (name.empty()) return fail(ErrorKind::kInvalidArgument, "channel name is empty");
  if (name.size() > kMaxChannelNameBytes) {
    return fail(ErrorKind::kInvalidArgument, "channel name too long (" +
                                                 std::to_string(name.size()) + " > " +
                                                 std::to_string(kMaxChannelNameBytes) + ")");
  }
  if (name.front() == '/' || name.back() == '/')
    return bad_format("must not start or end with '/'");
  if (name.find("//") != std::string_view::npos) return bad_format("must not contain '//'");
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (is_upper(name[i])) {
      return bad_format("uppercase character '" + std::string(1, name[i]) +
                        "' not allowed — channel names are lowercase only");
    }
    if (!is_allowed(name[i])) {
      return fail(ErrorKind::kInvalidArgument,
                  "invalid character '" + character_at(name, i) + "' in channel name");
    }
  }
  for (std::size_t at = 0; at <= name.size();) {
    const std::size_t end = std::min(name.find('/', at), name.size());
    const std::string_view segment = name.substr(at, end - at);
    if (segment == "." || segment == "..")
      return bad_format("segment \"" + std::string(segment) + "\" is reserved");
    at = end + 1;
  }
  return {};
}

}  // namespace netmesh
