#pragma once
// Tags, metadata and candidates between JavaScript and C++.

#include <napi.h>

#include "placement/placement.h"

namespace netmesh::binding {

predicate::Metadata to_metadata(const Napi::Value& value, const char* name);
placement::Candidate to_candidate(const Napi::Value& value);
/// `{ nodeId, tags, metadata }`.
Napi::Object from_candidate(Napi::Env env, const placement::Candidate& candidate);

}  // namespace netmesh::binding
