// Headers with predicates. What decodes is written so that it decodes to the same, answers at once,
// and answers the same, traced or counted, too.

#include <string>
#include <vector>

#include "fuzz.h"
#include "predicate/predicate_json.h"
#include "predicate/trace.h"

using namespace netmesh;
using namespace netmesh::predicate;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto decoded = from_header(text);
  if (!decoded) {
    FUZZ_CHECK(decoded.error().kind == ErrorKind::kInvalidArgument);
    FUZZ_CHECK(decoded.error().message.starts_with("predicate wire "));
    return 0;
  }
  FUZZ_CHECK(size <= kHeaderCapBytes);
  // The input names the tags, too, so that leaves can be true.
  std::vector<std::string> tags;
  Metadata metadata;
  for (const Node& node : decoded->nodes()) {
    if (asks_tags(node.op)) {
      tags.push_back(std::string(to_string(node.axis)) + "." + node.key + "=" + node.text);
    } else {
      metadata.insert_or_assign(node.key, node.text);
    }
  }
  const CapabilityView view(tags, metadata);
  const bool answer = decoded->matches(view);

  const Evaluation evaluation = decoded->evaluate(view);
  FUZZ_CHECK(evaluation.result() == answer);
  std::size_t table = decoded->nodes().size();
  for (const Node& node : decoded->nodes()) table += node.children.size();
  FUZZ_CHECK(evaluation.steps() <= table);
  const Trace traced = trace(*decoded, view);
  FUZZ_CHECK(traced.clauses[traced.root].result == answer);
  const DebugReport report = debug_report(*decoded, std::span(&view, 1));
  FUZZ_CHECK(report.matched == (answer ? 1U : 0U) && !report.clause_stats.empty());
  std::vector<std::string> keys;
  for (const auto& [key, value] : metadata) keys.push_back(key);
  const DebugReport redacted = redact_metadata_keys(report, keys);
  FUZZ_CHECK(redact_metadata_keys(redacted, keys) == redacted);

  // Numbers may take more room than they came in.
  const auto header = to_header(*decoded);
  if (!header) return 0;
  const auto again = from_header(*header);
  FUZZ_CHECK(again && again->root() == decoded->root());
  FUZZ_CHECK(again->matches(view) == answer);
  FUZZ_CHECK(*to_header(*again) == *header);
  return 0;
}
