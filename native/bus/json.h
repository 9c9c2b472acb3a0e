#pragma once
// JSON as the bus reads it. One file names simdjson's quirks, the others do not.

#include <simdjson.h>

#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace netmesh::bus {

/// A parser with its memory, used again from text to text. What `parse` returned is valid until the
/// next call.
class JsonReader {
 public:
  /// A whole document, or nothing with `error()` set. Integers beyond 64 bits read as
  /// floating-point numbers, as spec 40 §4.3 has it.
  std::optional<simdjson::dom::element> parse(ByteSpan text);
  /// Why the last `parse` failed.
  const std::string& error() const { return error_; }

 private:
  simdjson::dom::parser parser_;
  std::string rewritten_;
  std::string error_;
};

/// Structural equality: key order does not matter, the last of equal keys counts, 1 is not 1.0.
bool json_equal(simdjson::dom::element a, simdjson::dom::element b);

/// The member of that name; of several the last.
std::optional<simdjson::dom::element> json_member(simdjson::dom::object object,
                                                  std::string_view name);

bool is_utf8(ByteSpan bytes);
bool is_ascii(ByteSpan bytes);

}  // namespace netmesh::bus
