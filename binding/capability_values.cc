#include "binding/capability_values.h"

#include "binding/convert.h"
#include "binding/cortex_values.h"
#include "binding/fields.h"

namespace netmesh::binding {

predicate::Metadata to_metadata(const Napi::Value& value, const char* name) {
  if (!value.IsObject()) throw type_error(value.Env(), std::string(name) + " must be an object");
  const auto object = value.As<Napi::Object>();
  const Napi::Array names = object.GetPropertyNames();
  predicate::Metadata out;
  const std::uint32_t length = names.Length();
  for (std::uint32_t i = 0; i < length; ++i) {
    const Napi::Value key = names.Get(i);
    // GetPropertyNames includes what is inherited.
    if (!object.HasOwnProperty(key)) continue;
    out.insert_or_assign(to_text(key.ToString(), name), to_text(object.Get(key), name));
  }
  return out;
}

placement::Candidate to_candidate(const Napi::Value& value) {
  if (!value.IsObject()) throw type_error(value.Env(), "candidate must be an object");
  const auto object = value.As<Napi::Object>();
  placement::Candidate out;
  out.node_id = to_u64(object.Get("nodeId"));
  out.tags = to_texts(object.Get("tags"), "tags");
  out.metadata = to_metadata(object.Get("metadata"), "metadata");
  out.rtt_ms = to_optional_number(object.Get("rttMs"), "rttMs");
  return out;
}

Napi::Object from_candidate(Napi::Env env, const placement::Candidate& candidate) {
  Napi::Object out = Napi::Object::New(env);
  out.Set("nodeId", from_u64(env, candidate.node_id));
  out.Set("tags", from_words(env, candidate.tags));
  out.Set("metadata", from_text_map(env, candidate.metadata));
  return out;
}

}  // namespace netmesh::binding
