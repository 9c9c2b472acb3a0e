#pragma once
// What one environment (the main thread's or a worker's) keeps of the addon.

#include <napi.h>

#include <memory>

#include "binding/bus_ingest.h"
#include "binding/placement.h"
#include "binding/redex_file.h"
#include "binding/redex_tail.h"
#include "runtime/node.h"

namespace netmesh::binding {

/// Results of NativeStream.send that are not a count.
inline constexpr int kSendBackpressure = -1;
inline constexpr int kSendNotConnected = -2;
inline constexpr int kSendShutDown = -3;

struct Addon {
  /// Shared with the buses in it.
  std::shared_ptr<BusDirectory> buses = std::make_shared<BusDirectory>();
  /// Made with the first placement filter that is registered.
  std::unique_ptr<OwnFilters> own_filters;
  Napi::FunctionReference stream_class;
  /// The stream for the NativeStream under construction; without one nobody can construct it.
  std::unique_ptr<runtime::Stream> stream_to_wrap;
  /// The same for logs and their tails.
  Napi::FunctionReference redex_file_class;
  std::unique_ptr<RedexFileWrap::Parts> redex_file_to_wrap;
  Napi::FunctionReference redex_tail_class;
  std::unique_ptr<RedexTailWrap::Parts> redex_tail_to_wrap;
};

}  // namespace netmesh::binding
