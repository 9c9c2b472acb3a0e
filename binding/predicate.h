#pragma once
// The C++ side of capability predicates, for tests that compare it with the TypeScript side.

#include <napi.h>

namespace netmesh::binding {

void define_predicate_functions(Napi::Env env, Napi::Object exports);

}  // namespace netmesh::binding
