// Tags, and what is read out of their values. A tag gives its text back, and means what it says.

#include <cmath>

#include "fuzz.h"
#include "predicate/capability_diff.h"
#include "predicate/number.h"
#include "predicate/validation.h"
#include "predicate/version.h"

using namespace netmesh;
using namespace netmesh::predicate;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto tag = parse_tag(text);
  FUZZ_CHECK(tag.has_value() == !text.empty());
  const auto number = parse_float64(text);
  FUZZ_CHECK(!number || std::isnan(*number) || *number <= *number);
  const auto version = parse_version(text);
  FUZZ_CHECK(!version || is_compatible(*version, *version));
  if (!tag) return 0;
  FUZZ_CHECK(to_string(*tag) == text);
  const std::string meaning = meaning_of(text);
  FUZZ_CHECK(meaning.size() == text.size() && meaning_of(meaning) == meaning);

  const std::vector<std::string> tags{text};
  const std::vector<std::string> same{meaning};
  const Metadata none;
  FUZZ_CHECK(*diff_capabilities(tags, none, same, none) == CapabilityDiff{});
  FUZZ_CHECK(diff_capabilities({}, none, tags, none)->added_tags == tags);
  const auto report = validate_capabilities(tags, {{text, text}});
  FUZZ_CHECK(report && report->errors.size() + report->warnings.size() <= 3);
  const auto diff = diff_capabilities({}, none, tags, none);
  FUZZ_CHECK(apply_diff({}, none, *diff)->tags == tags);
  const CapabilityView view(tags, none);
  if (tag->on_axis()) FUZZ_CHECK(view.tags(tag->axis, tag->key).size() == 1);
  return 0;
}
