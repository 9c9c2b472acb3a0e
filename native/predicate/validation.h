#pragma once
// Compares a capability set with the schema of net-mesh 0.19 (spec 32 §5). It only reports.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "predicate/capability_view.h"

namespace netmesh::predicate {

/// Metadata above this many bytes draws a warning.
inline constexpr std::size_t kMetadataSoftCapBytes = 4096;

/// What the value of a tag has to be. `kPresence`: there must be none.
enum class ValueType : std::uint8_t { kPresence, kNumber, kString, kEnumeration, kBool, kCsv };
/// The word for it in reports, such as `number`.
std::string_view to_string(ValueType type);

// --- errors: tags that other nodes would misread ---

struct TypeMismatch {
  Axis axis;
  /// As the schema has it: a prefix for maps, the last part for collections.
  std::string key;
  ValueType expected;
  /// The value, or `<no value>`.
  std::string actual;
  friend bool operator==(const TypeMismatch&, const TypeMismatch&) = default;
};
struct IndexMalformed {
  Axis axis;
  std::string prefix, index, tag;
  friend bool operator==(const IndexMalformed&, const IndexMalformed&) = default;
};
using SchemaError = std::variant<TypeMismatch, IndexMalformed>;

// --- warnings: what may be meant so ---

struct UnknownKey {
  Axis axis;
  std::string key;
  friend bool operator==(const UnknownKey&, const UnknownKey&) = default;
};
struct LegacyTag {
  std::string tag;
  friend bool operator==(const LegacyTag&, const LegacyTag&) = default;
};
struct MetadataReservedKey {
  std::string key;
  friend bool operator==(const MetadataReservedKey&, const MetadataReservedKey&) = default;
};
struct MetadataReservedPrefix {
  std::string key, prefix;
  friend bool operator==(const MetadataReservedPrefix&, const MetadataReservedPrefix&) = default;
};
struct MetadataOversize {
  std::size_t actual_bytes = 0;
  friend bool operator==(const MetadataOversize&, const MetadataOversize&) = default;
};
using ValidationWarning = std::variant<UnknownKey, LegacyTag, MetadataReservedKey,
                                       MetadataReservedPrefix, MetadataOversize>;

/// What was found: tags in their order, then metadata in the order of its keys, then its size.
struct ValidationReport {
  std::vector<SchemaError> errors;
  std::vector<ValidationWarning> warnings;

  bool is_valid() const { return errors.empty(); }
  bool is_clean() const { return errors.empty() && warnings.empty(); }
};

/// Refuses empty tags; everything else is reported.
Expected<ValidationReport> validate_capabilities(std::span<const std::string> tags,
                                                 const Metadata& metadata);

}  // namespace netmesh::predicate
