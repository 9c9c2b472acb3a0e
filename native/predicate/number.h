#pragma once
// Numbers in tags and metadata.

#include <optional>
#include <string_view>

namespace netmesh::predicate {

/// A decimal number, `inf`, `infinity` or `nan` (any case) with an optional sign; nothing else, not
/// even blanks around it (spec 32 §4.5). Too large is infinite, too small is 0.
std::optional<double> parse_float64(std::string_view text);

}  // namespace netmesh::predicate
