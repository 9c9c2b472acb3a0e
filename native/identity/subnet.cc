#include "identity/subnet.h"

#include <bit>

namespace netmesh::identity {
namespace {

tl::unexpected<Error> refuse(const std::string& what) {
  return fail(ErrorKind::kInvalidArgument, "subnet: " + what);
}

std::optional<std::uint32_t> value_in(const SubnetRule& rule,
                                      std::span<const std::string_view> tags) {
  for (const std::string_view tag : tags) {
    if (!tag.starts_with(rule.tag_prefix)) continue;
    const auto value = rule.values.find(tag.substr(rule.tag_prefix.size()));
    if (value != rule.values.end()) return value->second;
  }
  return std::nullopt;
}

}  // namespace

Expected<SubnetId> SubnetId::from_levels(std::span<const std::uint32_t> levels) {
  if (levels.empty()) return refuse("levels must have at least one entry");
  if (levels.size() > kSubnetLevels)
    return refuse("levels must have at most 4 entries, got " + std::to_string(levels.size()));
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < kSubnetLevels; ++i) {
    const std::uint32_t level = i < levels.size() ? levels[i] : 0;
    if (level > 255)
      return refuse("level " + std::to_string(i) + " value " + std::to_string(level) +
                    " exceeds u8 range");
    value = (value << 8) | level;
  }
  return SubnetId(value);
}

unsigned SubnetId::depth() const {
  if (value_ == 0) return 0;
  return kSubnetLevels - static_cast<unsigned>(std::countr_zero(value_)) / 8;
}

SubnetId SubnetId::parent() const {
  if (value_ == 0) return *this;
  const unsigned deepest = depth() - 1;
  return SubnetId(value_ & ~(0xFFu << (24 - 8 * deepest)));
}

bool SubnetId::is_ancestor_of(SubnetId other) const {
  const unsigned shared = depth();
  if (shared == 0) return true;
  return ((value_ ^ other.value_) >> (32 - 8 * shared)) == 0;
}

bool SubnetId::is_sibling_of(SubnetId other) const {
  return value_ != other.value_ && depth() != 0 && depth() == other.depth() &&
         parent() == other.parent();
}

std::string SubnetId::to_string() const {
  if (is_global()) return "global";
  std::string text;
  for (unsigned i = 0; i < depth(); ++i) {
    if (i > 0) text += '.';
    text += std::to_string(level(i));
  }
  return text;
}

Expected<SubnetPolicy> SubnetPolicy::make(std::vector<SubnetRule> rules) {
  for (const SubnetRule& rule : rules) {
    if (rule.level >= kSubnetLevels) {
      if (rule.level > 255)
        return refuse("rule level value " + std::to_string(rule.level) + " exceeds u8 range");
      return refuse("rule level must be 0..=3, got " + std::to_string(rule.level));
    }
    for (const auto& [key, value] : rule.values) {
      if (value > 255) {
        return refuse("rule value for " + key + " value " + std::to_string(value) +
                      " exceeds u8 range");
      }
      if (value == 0) {
        return refuse("rule value for \"" + key +
                      "\": subnet rule level_value must be in 1..=255 (0 is reserved for "
                      "unmatched levels)");
      }
    }
  }
  return SubnetPolicy(std::move(rules));
}

SubnetId SubnetPolicy::assign(std::span<const std::string_view> sorted_tags) const {
  std::uint32_t value = 0;
  for (const SubnetRule& rule : rules_) {
    const auto level_value = value_in(rule, sorted_tags);
    if (!level_value) continue;
    const unsigned shift = 24 - 8 * rule.level;
    value = (value & ~(0xFFu << shift)) | (*level_value << shift);
  }
  return SubnetId(value);
}

}  // namespace netmesh::identity
