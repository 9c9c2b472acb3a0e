#include "binding/placement.h"

#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "binding/addon.h"
#include "binding/capability_values.h"
#include "binding/convert.h"
#include "binding/cortex_values.h"
#include "binding/placement_filter.h"
#include "placement/placement_registry.h"
#include "predicate/predicate_json.h"

namespace netmesh::binding {
namespace {

using placement::PlacementRegistry;

Napi::Value register_filter(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string id = to_text(info[0], "id");
  if (!info[1].IsFunction()) throw type_error(env, "fn must be a function");
  auto& own = env.GetInstanceData<Addon>()->own_filters;
  if (!own) own = std::make_unique<OwnFilters>(env);
  return Napi::Boolean::New(env, own->add(id, info[1].As<Napi::Function>()));
}

Napi::Value unregister_filter(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(),
                            PlacementRegistry::process().remove(to_text(info[0], "id")));
}

Napi::Value has_filter(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(),
                            PlacementRegistry::process().contains(to_text(info[0], "id")));
}

/// Fills in what `names` gives meaning to; refuses other names.
template <typename Enum, std::size_t N>
void take_name(const Napi::Object& options, const char* option,
               const std::array<std::pair<const char*, Enum>, N>& names, Enum& target) {
  const Napi::Value value = options.Get(option);
  if (value.IsUndefined()) return;
  const std::string text = to_text(value, option);
  for (const auto& [name, meaning] : names) {
    if (text != name) continue;
    target = meaning;
    return;
  }
  throw type_error(options.Env(), std::string(option) + " has no value " + text);
}

placement::Placement to_placement(const Napi::Value& value) {
  using placement::ColocationPolicy;
  using placement::IntentPolicy;
  using placement::ResourceAxis;
  const Napi::Env env = value.Env();
  if (!value.IsObject()) throw type_error(env, "placement must be an object");
  const auto options = value.As<Napi::Object>();
  const auto given = [&options](const char* name) { return !options.Get(name).IsUndefined(); };
  const auto texts = [&](const char* name) { return to_texts(options.Get(name), name); };
  placement::Placement out;
  if (given("requireTags")) out.require_tags = texts("requireTags");
  if (given("forbidTags")) out.forbid_tags = texts("forbidTags");
  if (given("requireMetadata")) {
    out.require_metadata = to_metadata(options.Get("requireMetadata"), "requireMetadata");
  }
  if (given("predicate")) {
    const std::string json = to_text(options.Get("predicate"), "predicate");
    out.predicate = value_or_throw(env, predicate::from_json(json));
  }
  if (given("limit")) out.limit = to_u32(options.Get("limit"), "limit");
  if (given("customFilterId")) {
    out.custom_filter_id = to_text(options.Get("customFilterId"), "customFilterId");
  }
  if (given("scopeFilter")) out.scope_filter = texts("scopeFilter");
  out.max_rtt_ms = to_optional_number(options.Get("maxRttMs"), "maxRttMs");
  take_name(options, "intent",
            std::array{std::pair{"disabled", IntentPolicy::kDisabled},
                       std::pair{"strict", IntentPolicy::kStrict},
                       std::pair{"any-of", IntentPolicy::kAnyOf}},
            out.intent);
  take_name(options, "colocation",
            std::array{std::pair{"ignore", ColocationPolicy::kIgnore},
                       std::pair{"soft-preference", ColocationPolicy::kSoftPreference},
                       std::pair{"strict-required", ColocationPolicy::kStrictRequired}},
            out.colocation);
  take_name(options, "resource",
            std::array{std::pair{"compute", ResourceAxis::kCompute},
                       std::pair{"storage", ResourceAxis::kStorage},
                       std::pair{"both", ResourceAxis::kBoth}},
            out.resource);
  return out;
}

placement::CapabilitySet to_capability_set(const Napi::Value& value, const char* name) {
  if (!value.IsObject()) throw type_error(value.Env(), std::string(name) + " must be an object");
  const auto set = value.As<Napi::Object>();
  return {to_texts(set.Get("tags"), "tags"), to_metadata(set.Get("metadata"), "metadata")};
}

placement::Artifact to_artifact(const Napi::Value& value) {
  if (!value.IsObject()) throw type_error(value.Env(), "artifact must be an object");
  const auto object = value.As<Napi::Object>();
  placement::Artifact out;
  if (object.Has("sizeBytes")) {
    out.kind = placement::Artifact::Kind::kBlob;
    out.size_bytes = to_u64(object.Get("sizeBytes"));
    return out;
  }
  out.required = to_capability_set(object.Get("required"), "required");
  out.optional = to_capability_set(object.Get("optional"), "optional");
  return out;
}

/// Ranks on a thread of libuv's pool, where a filter may be waited for.
class RankWorker : public Napi::AsyncWorker {
 public:
  RankWorker(Napi::Env env, placement::Placement placement,
             std::vector<placement::Candidate> candidates, placement::Artifact artifact)
      : Napi::AsyncWorker(env, "netmesh:placement"),
        placement_(std::move(placement)),
        candidates_(std::move(candidates)),
        artifact_(std::move(artifact)),
        deferred_(Napi::Promise::Deferred::New(env)) {}

  Napi::Promise promise() const { return deferred_.Promise(); }

  void Execute() override {
    ranking_ = placement::rank(placement_, candidates_, artifact_, PlacementRegistry::process());
  }

  void OnOK() override {
    const Napi::Env env = Env();
    Napi::Array nodes = Napi::Array::New(env, ranking_.nodes.size());
    for (std::uint32_t i = 0; i < ranking_.nodes.size(); ++i) {
      Napi::Object node = Napi::Object::New(env);
      node.Set("nodeId", from_u64(env, ranking_.nodes[i].node_id));
      node.Set("score", Napi::Number::New(env, static_cast<double>(ranking_.nodes[i].score)));
      nodes.Set(i, node);
    }
    Napi::Object out = Napi::Object::New(env);
    out.Set("nodes", nodes);
    out.Set("filterMissing", ranking_.filter_missing);
    deferred_.Resolve(out);
  }

  void OnError(const Napi::Error& error) override { deferred_.Reject(error.Value()); }

 private:
  placement::Placement placement_;
  std::vector<placement::Candidate> candidates_;
  placement::Artifact artifact_;
  Napi::Promise::Deferred deferred_;
  placement::Ranking ranking_;
};

Napi::Value rank_placement(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  placement::Placement placement = to_placement(info[0]);
  if (!info[1].IsArray()) throw type_error(env, "candidates must be an array");
  const auto list = info[1].As<Napi::Array>();
  std::vector<placement::Candidate> candidates;
  const std::uint32_t length = list.Length();
  for (std::uint32_t i = 0; i < length; ++i) candidates.push_back(to_candidate(list.Get(i)));
  auto worker = std::make_unique<RankWorker>(env, std::move(placement), std::move(candidates),
                                             to_artifact(info[2]));
  const Napi::Promise promise = worker->promise();
  worker->Queue();
  // It deletes itself when it is done.
  static_cast<void>(worker.release());
  return promise;
}

}  // namespace

OwnFilters::~OwnFilters() {
  if (hooked_) napi_remove_env_cleanup_hook(env_, environment_ends, this);
}

bool OwnFilters::add(const std::string& id, const Napi::Function& function) {
  PlacementRegistry& registry = PlacementRegistry::process();
  if (registry.contains(id)) return false;
  // Those that have been unregistered since.
  std::erase_if(entries_, [](const Entry& entry) { return entry.gate->closed(); });
  auto gate = std::make_shared<FilterGate>(env_, function);
  // Again last in line, so that it runs before the hooks of all thread-safe functions.
  if (hooked_) napi_remove_env_cleanup_hook(env_, environment_ends, this);
  check(env_, napi_add_env_cleanup_hook(env_, environment_ends, this));
  hooked_ = true;
  auto filter = std::make_shared<JsPlacementFilter>(gate);
  const placement::PlacementFilter* const compared = filter.get();
  if (!registry.add(id, std::move(filter))) return false;
  entries_.push_back({id, std::move(gate), compared});
  return true;
}

void OwnFilters::environment_ends(void* self) {
  auto& own = *static_cast<OwnFilters*>(self);
  own.hooked_ = false;
  for (const Entry& entry : own.entries_) {
    entry.gate->close(napi_tsfn_abort);
    PlacementRegistry::process().remove(entry.id, entry.filter);
  }
  own.entries_.clear();
}

void define_placement_functions(Napi::Env env, Napi::Object exports) {
  exports.Set("registerPlacementFilter",
              Napi::Function::New<register_filter>(env, "registerPlacementFilter"));
  exports.Set("unregisterPlacementFilter",
              Napi::Function::New<unregister_filter>(env, "unregisterPlacementFilter"));
  exports.Set("hasPlacementFilter", Napi::Function::New<has_filter>(env, "hasPlacementFilter"));
  exports.Set("rankPlacement", Napi::Function::New<rank_placement>(env, "rankPlacement"));
}

}  // namespace netmesh::binding
