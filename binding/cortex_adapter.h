#pragma once
// `NativeTasks`, `NativeMemories` and the bundles of both, see types/native.d.ts.

#include <napi.h>

namespace netmesh::binding {

/// The classes: each wraps one adapter. Instances are made first and opened then, since opening
/// reads the disk, on another thread.
Napi::Function define_tasks_class(Napi::Env env);
Napi::Function define_memories_class(Napi::Env env);

/// `encodeBundle` and `decodeBundle`.
Napi::Value encode_bundle(const Napi::CallbackInfo& info);
Napi::Value decode_bundle(const Napi::CallbackInfo& info);

}  // namespace netmesh::binding
