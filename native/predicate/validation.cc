#include "predicate/validation.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace netmesh::predicate {
namespace {

// --- the schema (spec 32 §5.1) ---

struct KeyEntry {
  std::string_view key;
  ValueType type;
};

/// `model.<i>.<sub-key>`, or `runtime.<name>` when there are no sub-keys: then all values are
/// strings.
struct KeyShape {
  std::string_view prefix;
  std::span<const KeyEntry> sub_keys;
};

struct AxisEntry {
  std::span<const KeyEntry> keys;
  std::span<const KeyShape> shapes;
};

constexpr auto kNumber = ValueType::kNumber;
constexpr auto kString = ValueType::kString;

constexpr std::array<KeyEntry, 18> kHardwareKeys = {{
    {"cpu_cores", kNumber},
    {"cpu_threads", kNumber},
    {"memory_gb", kNumber},
    {"gpu", ValueType::kPresence},
    {"gpu.vendor", ValueType::kEnumeration},
    {"gpu.model", kString},
    {"gpu.vram_gb", kNumber},
    {"gpu.compute_units", kNumber},
    {"gpu.tensor_cores", kNumber},
    {"gpu.fp16_tflops_x10", kNumber},
    {"storage_gb", kNumber},
    {"network_gbps", kNumber},
    {"limits.max_concurrent_requests", kNumber},
    {"limits.max_tokens_per_request", kNumber},
    {"limits.rate_limit_rpm", kNumber},
    {"limits.max_batch_size", kNumber},
    {"limits.max_input_bytes", kNumber},
    {"limits.max_output_bytes", kNumber},
}};
constexpr std::array<KeyEntry, 3> kSoftwareKeys = {
    {{"os", kString}, {"os_version", kString}, {"cuda_version", kString}}};
constexpr std::array<KeyEntry, 8> kModelKeys = {{
    {"id", kString},
    {"family", kString},
    {"parameters_b_x10", kNumber},
    {"context_length", kNumber},
    {"quantization", kString},
    {"modalities", ValueType::kCsv},
    {"tokens_per_sec", kNumber},
    {"loaded", ValueType::kBool},
}};
constexpr std::array<KeyEntry, 6> kToolKeys = {{
    {"tool_id", kString},
    {"name", kString},
    {"version", kString},
    {"requires", ValueType::kCsv},
    {"estimated_time_ms", kNumber},
    {"stateless", ValueType::kBool},
}};
constexpr std::array<KeyShape, 5> kSoftwareShapes = {{{"runtime.", {}},
                                                      {"framework.", {}},
                                                      {"driver.", {}},
                                                      {"model.", kModelKeys},
                                                      {"tool.", kToolKeys}}};
constexpr std::array<std::string_view, 5> kReservedKeys = {
    "intent", "colocate-with", "colocate-with-strict", "priority", "owner"};
constexpr std::string_view kReservedPrefix = "tool::";

AxisEntry entry_of(Axis axis) {
  switch (axis) {
    case Axis::kHardware:
      return {kHardwareKeys, {}};
    case Axis::kSoftware:
      return {kSoftwareKeys, kSoftwareShapes};
    case Axis::kDevices:
    case Axis::kDataforts:
      break;
  }
  return {};
}

const KeyEntry* find(std::span<const KeyEntry> keys, std::string_view key) {
  const auto found = std::find_if(keys.begin(), keys.end(),
                                  [key](const KeyEntry& entry) { return entry.key == key; });
  return found == keys.end() ? nullptr : &*found;
}

// --- values ---

/// Decimal digits and nothing else, in the range of T; leading zeros are fine.
template <typename T>
bool is_unsigned(std::string_view text) {
  T value{};
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && at == end;
}

bool fits(ValueType type, std::string_view value) {
  switch (type) {
    case ValueType::kPresence:
      return false;
    case ValueType::kNumber:
      if (value.starts_with('+')) value.remove_prefix(1);
      return is_unsigned<std::uint64_t>(value);
    case ValueType::kBool:
      return value == "true" || value == "false";
    case ValueType::kString:
    case ValueType::kEnumeration:
    case ValueType::kCsv:
      break;
  }
  return !value.empty();
}

class Validator {
 public:
  void tag(const std::string& text, const Tag& tag) {
    if (tag.kind == Tag::Kind::kReserved) return;
    // An axis tag with an empty part counts as a legacy one, as for everyone who builds tags.
    const bool hollow = tag.key.empty() || (tag.kind == Tag::Kind::kValue && tag.value.empty());
    if (!tag.on_axis() || hollow) {
      report_.warnings.emplace_back(LegacyTag{text});
      return;
    }
    const AxisEntry entry = entry_of(tag.axis);
    if (const KeyEntry* fixed = find(entry.keys, tag.key)) return value(tag, *fixed);
    for (const KeyShape& shape : entry.shapes) {
      if (tag.key.starts_with(shape.prefix) && has_shape(text, tag, shape)) return;
    }
    unknown(tag);
  }

  void metadata(const Metadata& metadata) {
    std::size_t bytes = 0;
    for (const auto& [key, value] : metadata) {
      bytes += key.size() + value.size();
      if (std::find(kReservedKeys.begin(), kReservedKeys.end(), key) != kReservedKeys.end()) {
        report_.warnings.emplace_back(MetadataReservedKey{key});
      } else if (key.starts_with(kReservedPrefix)) {
        report_.warnings.emplace_back(MetadataReservedPrefix{key, std::string(kReservedPrefix)});
      }
    }
    if (bytes > kMetadataSoftCapBytes) report_.warnings.emplace_back(MetadataOversize{bytes});
  }

  ValidationReport take() && { return std::move(report_); }

 private:
  void unknown(const Tag& tag) {
    report_.warnings.emplace_back(UnknownKey{tag.axis, std::string(tag.key)});
  }

  void value(const Tag& tag, const KeyEntry& entry) {
    const bool has_value = tag.kind == Tag::Kind::kValue;
    if (has_value ? fits(entry.type, tag.value) : entry.type == ValueType::kPresence) return;
    report_.errors.emplace_back(
        TypeMismatch{tag.axis, std::string(entry.key), entry.type,
                     has_value ? std::string(tag.value) : std::string("<no value>")});
  }

  /// Judges a tag under the prefix of a shape; false when it is not of that shape.
  bool has_shape(const std::string& text, const Tag& tag, const KeyShape& shape) {
    const std::string_view rest = tag.key.substr(shape.prefix.size());
    if (shape.sub_keys.empty()) {
      if (rest.empty()) return false;
      value(tag, {shape.prefix, kString});
      return true;
    }
    const std::size_t dot = rest.find('.');
    if (dot == std::string_view::npos) return false;
    const std::string_view index = rest.substr(0, dot);
    if (!is_unsigned<std::uint32_t>(index)) {
      report_.errors.emplace_back(
          IndexMalformed{tag.axis, std::string(shape.prefix), std::string(index), text});
    } else if (const KeyEntry* entry = find(shape.sub_keys, rest.substr(dot + 1))) {
      value(tag, *entry);
    } else {
      unknown(tag);
    }
    return true;
  }

  ValidationReport report_;
};

}  // namespace

std::string_view to_string(ValueType type) {
  switch (type) {
    case ValueType::kPresence:
      return "presence";
    case ValueType::kNumber:
      return "number";
    case ValueType::kString:
      return "string";
    case ValueType::kEnumeration:
      return "enumeration";
    case ValueType::kBool:
      return "bool";
    case ValueType::kCsv:
      return "csv";
  }
  return "string";
}

Expected<ValidationReport> validate_capabilities(std::span<const std::string> tags,
                                                 const Metadata& metadata) {
  Validator validator;
  for (const std::string& text : tags) {
    const auto tag = parse_tag(text);
    if (!tag) return tl::unexpected<Error>(tag.error());
    validator.tag(text, *tag);
  }
  validator.metadata(metadata);
  return std::move(validator).take();
}

}  // namespace netmesh::predicate
