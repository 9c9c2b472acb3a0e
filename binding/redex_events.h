#pragma once
// Events of a log, on their way to JavaScript.

#include <napi.h>

#include "redex/event.h"

namespace netmesh::binding {

/// `{ data, meta }`: copies, as the log's own memory is not JavaScript's to write to. Layout:
/// NativeRedexEvents in types/native.d.ts.
Napi::Object from_events(Napi::Env env, const redex::EventBatch& batch);

}  // namespace netmesh::binding
