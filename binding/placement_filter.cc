#include "binding/placement_filter.h"

#include <condition_variable>
#include <utility>

#include "binding/capability_values.h"
#include "binding/convert.h"

namespace netmesh::binding {
/// One question. Whoever asked may have left by the time that it is answered.
struct FilterGate::Call {
  explicit Call(std::vector<placement::Candidate> asked) : candidates(std::move(asked)) {}

  void answer(std::vector<bool> found) {
    const std::lock_guard lock(mutex);
    verdicts = std::move(found);
    done = true;
    changed.notify_all();
  }

  const std::vector<placement::Candidate> candidates;
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;
  bool abandoned = false;
  std::vector<bool> verdicts;
};

namespace {

using Call = FilterGate::Call;

std::vector<bool> ask(Napi::Env env, const Napi::Function& function, const Call& call) {
  Napi::Array list = Napi::Array::New(env, call.candidates.size());
  for (std::uint32_t i = 0; i < call.candidates.size(); ++i) {
    list.Set(i, from_candidate(env, call.candidates[i]));
  }
  const Napi::Value answer = function.Call({list});
  std::vector<bool> verdicts(call.candidates.size(), false);
  if (!answer.IsArray()) return verdicts;
  const auto answers = answer.As<Napi::Array>();
  for (std::uint32_t i = 0; i < verdicts.size(); ++i) {
    const Napi::Value each = answers.Get(i);
    verdicts[i] = each.IsBoolean() && each.As<Napi::Boolean>().Value();
  }
  return verdicts;
}

/// Runs on the environment's thread; without an environment when that is going away.
void run_call(napi_env env, napi_value function, void*, void* data) {
  const std::unique_ptr<std::shared_ptr<Call>> owned(static_cast<std::shared_ptr<Call>*>(data));
  Call& call = **owned;
  {
    const std::lock_guard lock(call.mutex);
    if (call.abandoned) return;
  }
  std::vector<bool> verdicts;
  if (env != nullptr) {
    const Napi::HandleScope scope(env);
    try {
      verdicts = ask(env, Napi::Function(env, function), call);
    } catch (const Napi::Error&) {
      // What the application's filter throws is caught and reported in TypeScript. What is left,
      // such as an environment that is being terminated, stands for no.
      verdicts.assign(call.candidates.size(), false);
    }
  }
  call.answer(std::move(verdicts));
}

}  // namespace

FilterGate::FilterGate(Napi::Env env, const Napi::Function& function) {
  const auto name = Napi::String::New(env, "netmesh:placement-filter");
  check(env, napi_create_threadsafe_function(env, function, nullptr, name, 0, 1, nullptr, nullptr,
                                             nullptr, run_call, &function_));
  check(env, napi_unref_threadsafe_function(env, function_));
}

bool FilterGate::send(const std::shared_ptr<Call>& call) {
  const std::lock_guard lock(mutex_);
  if (function_ == nullptr) return false;
  auto owned = std::make_unique<std::shared_ptr<Call>>(call);
  if (napi_call_threadsafe_function(function_, owned.get(), napi_tsfn_nonblocking) != napi_ok) {
    return false;
  }
  // run_call frees it.
  static_cast<void>(owned.release());
  return true;
}

void FilterGate::close(napi_threadsafe_function_release_mode mode) {
  const std::lock_guard lock(mutex_);
  if (function_ == nullptr) return;
  napi_release_threadsafe_function(function_, mode);
  function_ = nullptr;
}

bool FilterGate::closed() const {
  const std::lock_guard lock(mutex_);
  return function_ == nullptr;
}

JsPlacementFilter::JsPlacementFilter(std::shared_ptr<FilterGate> gate)
    : gate_(std::move(gate)), javascript_(std::this_thread::get_id()) {}

JsPlacementFilter::~JsPlacementFilter() { gate_->close(napi_tsfn_release); }

std::vector<bool> JsPlacementFilter::judge(std::span<const placement::Candidate> candidates,
                                           std::chrono::milliseconds timeout) {
  if (std::this_thread::get_id() == javascript_) return {};
  const auto call = std::make_shared<FilterGate::Call>(
      std::vector<placement::Candidate>(candidates.begin(), candidates.end()));
  if (!gate_->send(call)) return {};
  std::unique_lock lock(call->mutex);
  if (!call->changed.wait_for(lock, timeout, [&call] { return call->done; })) {
    call->abandoned = true;
    return {};
  }
  return call->verdicts;
}

}  // namespace netmesh::binding
