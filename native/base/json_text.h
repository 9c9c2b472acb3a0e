#pragma once
// JSON as text: how strings are written, and integers that no machine word holds.

#include <string>
#include <string_view>

namespace netmesh {

/// Appends `text`, which is UTF-8, with its quotes: `\"`, `\\`, `\b`, `\f`, `\n`, `\r`, `\t`, other
/// control characters as `\u00xx`, all else as it is. The bytes that `JSON.stringify` writes.
void append_json_string(std::string_view text, std::string& out);

/// A copy in which `.0` follows every integer that fits neither int64 nor uint64: simdjson refuses
/// those, and takes them for floating-point numbers then. Strings are left alone, and text that is
/// no JSON stays none.
std::string widen_integers(std::string_view json);

}  // namespace netmesh
