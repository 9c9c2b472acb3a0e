#pragma once
// Predicates as JSON, the value of the RPC header `net-where`.

#include <string>
#include <string_view>

#include "base/error.h"
#include "predicate/predicate.h"

namespace netmesh::predicate {

/// The name of the header.
inline constexpr std::string_view kWhereHeader = "net-where";
/// What RPC lets the value of one header be.
inline constexpr std::size_t kHeaderCapBytes = 4096;

/// Compact JSON with the fields in the order of spec 32 §4.1; refuses numbers that are not finite
/// and more than `kHeaderCapBytes`.
Expected<std::string> to_header(const Predicate& predicate);

/// The size is checked before anything else. Fields that are not known are ignored, the last of
/// equal names counts. Error texts: spec 32 §4.3.
Expected<Predicate> from_header(std::string_view json);

/// The same without a bound on the size, for predicates that do not travel in headers.
Expected<Predicate> from_json(std::string_view json);

}  // namespace netmesh::predicate
