#include "binding/predicate.h"

#include "binding/capability_values.h"
#include "binding/convert.h"
#include "binding/cortex_values.h"
#include "predicate/capability_diff.h"
#include "predicate/predicate_json.h"

namespace netmesh::binding {
namespace {

Napi::Value evaluate_header(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto predicate = value_or_throw(env, predicate::from_header(to_text(info[0], "header")));
  if (!info[1].IsArray()) throw type_error(env, "sets must be an array");
  const auto sets = info[1].As<Napi::Array>();
  const std::uint32_t length = sets.Length();
  Napi::Array out = Napi::Array::New(env, length);
  for (std::uint32_t i = 0; i < length; ++i) {
    const Napi::Value each = sets.Get(i);
    if (!each.IsObject()) throw type_error(env, "sets must hold objects");
    const auto set = each.As<Napi::Object>();
    const auto tags = to_texts(set.Get("tags"), "tags");
    const auto metadata = to_metadata(set.Get("metadata"), "metadata");
    const predicate::CapabilityView view(tags, metadata);
    out.Set(i, Napi::Boolean::New(env, predicate.matches(view)));
  }
  return out;
}

Napi::Value encode_header(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto predicate = value_or_throw(env, predicate::from_header(to_text(info[0], "header")));
  return Napi::String::New(env, value_or_throw(env, predicate::to_header(predicate)));
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
  out.Set("added_tags", from_texts(env, diff.added_tags));
  out.Set("removed_tags", from_texts(env, diff.removed_tags));
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
  exports.Set("encodePredicateHeader",
              Napi::Function::New<encode_header>(env, "encodePredicateHeader"));
  exports.Set("parseCapabilityTag", Napi::Function::New<parse_tag>(env, "parseCapabilityTag"));
  exports.Set("diffCapabilitySets", Napi::Function::New<diff_sets>(env, "diffCapabilitySets"));
}

}  // namespace netmesh::binding
