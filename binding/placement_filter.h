#pragma once
// A placement filter that is a JavaScript function.

#include <napi.h>

#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "placement/placement_registry.h"

namespace netmesh::binding {

/// The way to a function of one environment, open until its filter or its environment ends. Its
/// methods may be called on any thread. The function gets an array of candidates and returns an
/// array of booleans; it keeps no process alive.
class FilterGate {
 public:
  struct Call;

  /// On the environment's thread.
  FilterGate(Napi::Env env, const Napi::Function& function);
  FilterGate(const FilterGate&) = delete;
  FilterGate& operator=(const FilterGate&) = delete;

  /// False when the gate is closed. Otherwise the call is answered sooner or later.
  bool send(const std::shared_ptr<Call>& call);
  /// `napi_tsfn_abort` when the environment ends, and only then: calls on their way get no
  /// verdicts.
  void close(napi_threadsafe_function_release_mode mode);
  bool closed() const;

 private:
  mutable std::mutex mutex_;
  napi_threadsafe_function function_ = nullptr;
};

/// Takes candidates to the function and waits for the verdicts. Destroyed on any thread. When the
/// environment ends, whoever waits gets no verdicts, and so does whoever asks later.
class JsPlacementFilter : public placement::PlacementFilter {
 public:
  /// On the environment's thread.
  explicit JsPlacementFilter(std::shared_ptr<FilterGate> gate);
  ~JsPlacementFilter() override;
  JsPlacementFilter(const JsPlacementFilter&) = delete;
  JsPlacementFilter& operator=(const JsPlacementFilter&) = delete;

  /// None on the environment's own thread: there is nobody who could run the function.
  std::vector<bool> judge(std::span<const placement::Candidate> candidates,
                          std::chrono::milliseconds timeout) override;

 private:
  std::shared_ptr<FilterGate> gate_;
  const std::thread::id javascript_;
};

}  // namespace netmesh::binding
