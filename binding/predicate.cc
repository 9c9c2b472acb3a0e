#include "binding/predicate.h"

#include "binding/capability_values.h"
#include "binding/convert.h"
#include "binding/cortex_values.h"
#include "binding/fields.h"
#include "predicate/capability_diff.h"
#include "predicate/predicate_json.h"
#include "predicate/trace.h"
#include "predicate/validation.h"

namespace netmesh::binding {
namespace {

using predicate::CapabilityTexts;
using predicate::CapabilityView;

CapabilityTexts to_set(const Napi::Value& value) {
  const Napi::Object set = object_of(value, "set");
  return {to_texts(set.Get("tags"), "tags"), to_metadata(set.Get("metadata"), "metadata")};
}

std::vector<CapabilityTexts> to_sets(const Napi::Value& value) {
  std::vector<CapabilityTexts> out;
  each(value, "sets", [&](const Napi::Value& set, const char*) { out.push_back(to_set(set)); });
  return out;
}

predicate::Predicate to_predicate(const Napi::CallbackInfo& info) {
  return value_or_throw(info.Env(), predicate::from_header(to_text(info[0], "header")));
}

Napi::Value evaluate_header(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto predicate = to_predicate(info);
  return array_from(env, to_sets(info[1]), [&](const CapabilityTexts& set) {
    return Napi::Boolean::New(env, predicate.matches(CapabilityView(set.tags, set.metadata)));
  });
}

/// A clause that is used in several places is one object in several places, as in TypeScript.
Napi::Value trace_header(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto predicate = to_predicate(info);
  const CapabilityTexts set = to_set(info[1]);
  const auto trace = predicate::trace(predicate, CapabilityView(set.tags, set.metadata));
  std::vector<Napi::Object> made;  // children come before their parents
  for (const predicate::Clause& clause : trace.clauses) {
    Napi::Object out = Napi::Object::New(env);
    out.Set("label", clause.label);
    out.Set("result", clause.result);
    out.Set("children",
            array_from(env, clause.children, [&made](std::uint32_t child) { return made[child]; }));
    made.push_back(out);
  }
  return made[trace.root];
}

Napi::Object from_report(Napi::Env env, const predicate::DebugReport& report) {
  Napi::Object out = Napi::Object::New(env);
  out.Set("total_candidates", static_cast<double>(report.total_candidates));
  out.Set("matched", static_cast<double>(report.matched));
  out.Set("clause_stats", array_from(env, report.clause_stats, [env](const auto& stats) {
            Napi::Object row = Napi::Object::New(env);
            row.Set("label", stats.label);
            row.Set("evaluated", stats.evaluated);
            row.Set("matched", stats.matched);
            return row;
          }));
  return out;
}

/// `(header, sets, redactKeys)`: the debug report without what those metadata keys are compared
/// with.
Napi::Value report_header(const Napi::CallbackInfo& info) {
  const auto predicate = to_predicate(info);
  const std::vector<CapabilityTexts> sets = to_sets(info[1]);
  std::vector<CapabilityView> rows;
  for (const CapabilityTexts& set : sets) rows.emplace_back(set.tags, set.metadata);
  const auto report = predicate::debug_report(predicate, rows);
  return from_report(info.Env(),
                     predicate::redact_metadata_keys(report, to_texts(info[2], "redactKeys")));
}

// --- validation ---

/// Findings as objects whose fields come in the documented order.
struct FromFinding {
  Napi::Env env;

  template <typename... Fields>
  Napi::Object make(const char* kind, const Fields&... fields) const {
    Napi::Object out = Napi::Object::New(env);
    out.Set("kind", kind);
    (out.Set(fields.first, fields.second), ...);
    return out;
  }
  static std::pair<const char*, std::string> axis(predicate::Axis axis) {
    return {"axis", std::string(predicate::to_string(axis))};
  }
  static auto field(const char* name, const std::string& value) { return std::pair(name, value); }

  Napi::Object operator()(const predicate::TypeMismatch& e) const {
    return make("type_mismatch", axis(e.axis), field("key", e.key),
                field("expected", std::string(predicate::to_string(e.expected))),
                field("actual", e.actual));
  }
  Napi::Object operator()(const predicate::IndexMalformed& e) const {
    return make("index_malformed", axis(e.axis), field("prefix", e.prefix), field("index", e.index),
                field("tag", e.tag));
  }
  Napi::Object operator()(const predicate::UnknownKey& w) const {
    return make("unknown_key", axis(w.axis), field("key", w.key));
  }
  Napi::Object operator()(const predicate::LegacyTag& w) const {
    return make("legacy_tag", field("tag", w.tag));
  }
  Napi::Object operator()(const predicate::MetadataReservedKey& w) const {
    return make("metadata_reserved_key", field("key", w.key));
  }
  Napi::Object operator()(const predicate::MetadataReservedPrefix& w) const {
    return make("metadata_reserved_prefix", field("key", w.key), field("prefix", w.prefix));
  }
  Napi::Object operator()(const predicate::MetadataOversize& w) const {
    return make("metadata_oversize",
                std::pair("soft_cap_bytes", static_cast<double>(predicate::kMetadataSoftCapBytes)),
                std::pair("actual_bytes", static_cast<double>(w.actual_bytes)));
  }
};

Napi::Value validate_set(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const CapabilityTexts set = to_set(info[0]);
  const auto report = value_or_throw(env, predicate::validate_capabilities(set.tags, set.metadata));
  const auto list = [env](const auto& findings) {
    return array_from(env, findings,
                      [env](const auto& each) { return std::visit(FromFinding{env}, each); });
  };
  Napi::Object out = Napi::Object::New(env);
  out.Set("errors", list(report.errors));
  out.Set("warnings", list(report.warnings));
  return out;
}

Napi::Value encode_header(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Napi::String::New(env, value_or_throw(env, predicate::to_header(to_predicate(info))));
}

const char* name_of(predicate::Tag::Kind kind) {
  switch (kind) {
    case predicate::Tag::Kind::kPresence:
      return "presence";
    case predicate::Tag::Kind::kValue:
      return "value";
    case predicate::Tag::Kind::kReserved:
      return "reserved";
    case predicate::Tag::Kind::kLegacy:
      break;
  }
  return "legacy";
}

Napi::Value parse_tag(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string text = to_text(info[0], "tag");
  const auto tag = value_or_throw(env, predicate::parse_tag(text));
  Napi::Object out = Napi::Object::New(env);
  out.Set("kind", name_of(tag.kind));
  if (tag.on_axis()) out.Set("axis", std::string(to_string(tag.axis)));
  out.Set("key", std::string(tag.key));
  if (tag.kind == predicate::Tag::Kind::kValue) out.Set("separator", std::string(1, tag.separator));
  out.Set("value", std::string(tag.value));
  return out;
}

Napi::Object from_change(Napi::Env env, const predicate::MetadataChange& change) {
  using Kind = predicate::MetadataChange::Kind;
  Napi::Object out = Napi::Object::New(env);
  const bool added = change.kind == Kind::kAdded;
  const bool updated = change.kind == Kind::kUpdated;
  out.Set("kind", added ? "added" : updated ? "updated" : "removed");
  out.Set("key", change.key);
  if (!added) out.Set("prev_value", change.previous);
  if (added) out.Set("value", change.value);
  if (updated) out.Set("new_value", change.value);
  return out;
}

Napi::Value diff_sets(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto diff = value_or_throw(
      env,
      predicate::diff_capabilities(to_texts(info[0], "tags"), to_metadata(info[1], "metadata"),
                                   to_texts(info[2], "tags"), to_metadata(info[3], "metadata")));
  Napi::Object out = Napi::Object::New(env);
  out.Set("added_tags", from_words(env, diff.added_tags));
  out.Set("removed_tags", from_words(env, diff.removed_tags));
  Napi::Array changes = Napi::Array::New(env, diff.metadata_changes.size());
  for (std::uint32_t i = 0; i < diff.metadata_changes.size(); ++i) {
    changes.Set(i, from_change(env, diff.metadata_changes[i]));
  }
  out.Set("metadata_changes", changes);
  return out;
}

}  // namespace

void define_predicate_functions(Napi::Env env, Napi::Object exports) {
  exports.Set("evaluatePredicateHeader",
              Napi::Function::New<evaluate_header>(env, "evaluatePredicateHeader"));
  exports.Set("tracePredicateHeader",
              Napi::Function::New<trace_header>(env, "tracePredicateHeader"));
  exports.Set("reportPredicateHeader",
              Napi::Function::New<report_header>(env, "reportPredicateHeader"));
  exports.Set("validateCapabilitySet",
              Napi::Function::New<validate_set>(env, "validateCapabilitySet"));
  exports.Set("encodePredicateHeader",
              Napi::Function::New<encode_header>(env, "encodePredicateHeader"));
  exports.Set("parseCapabilityTag", Napi::Function::New<parse_tag>(env, "parseCapabilityTag"));
  exports.Set("diffCapabilitySets", Napi::Function::New<diff_sets>(env, "diffCapabilitySets"));
}

}  // namespace netmesh::binding
