#pragma once
// Hexadecimal text.

#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"

namespace netmesh {

/// Lower-case, two digits per byte.
std::string to_hex(ByteSpan bytes);

/// Either case, no prefix. The error text says what is wrong: `odd number of digits` or
/// `invalid character 'x' at index n`.
Expected<Bytes> from_hex(std::string_view text);

}  // namespace netmesh
