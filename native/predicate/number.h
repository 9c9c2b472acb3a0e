#pragma once
// Numbers in tags and metadata.

#include <optional>
#include <string>
#include <string_view>

namespace netmesh::predicate {

/// A decimal number, `inf`, `infinity` or `nan` (any case) with an optional sign; nothing else, not
/// even blanks around it (spec 32 §4.5). Too large is infinite, too small is 0.
std::optional<double> parse_float64(std::string_view text);

/// A number as labels show it, which is how JavaScript writes it: `64`, `0.5`, `1e+21`, `Infinity`.
std::string number_label(double number);

}  // namespace netmesh::predicate
