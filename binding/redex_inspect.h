#pragma once
// The functions that look at logs from outside: redexFindLogs, redexInspect, redexVerify,
// redexRead, redexRepair.

#include <napi.h>

namespace netmesh::binding {

void export_redex_inspection(Napi::Env env, Napi::Object exports);

}  // namespace netmesh::binding
