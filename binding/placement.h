#pragma once
// The registry of placement filters, and placements that consult it.

#include <napi.h>

#include <memory>
#include <string>
#include <vector>

#include "binding/placement_filter.h"

namespace netmesh::binding {

/// The filters that one environment has registered. They leave the registry with it: one whose
/// thread is gone would only stand in the way of the next of its name.
class OwnFilters {
 public:
  explicit OwnFilters(Napi::Env env) : env_(env) {}
  ~OwnFilters();
  OwnFilters(const OwnFilters&) = delete;
  OwnFilters& operator=(const OwnFilters&) = delete;

  /// False when the id is taken.
  bool add(const std::string& id, const Napi::Function& function);

 private:
  struct Entry {
    std::string id;
    std::shared_ptr<FilterGate> gate;
    /// Only to be compared: the registry and those who ask own it.
    const placement::PlacementFilter* filter;
  };

  static void environment_ends(void* self);

  const napi_env env_;
  bool hooked_ = false;
  std::vector<Entry> entries_;
};

void define_placement_functions(Napi::Env env, Napi::Object exports);

}  // namespace netmesh::binding
