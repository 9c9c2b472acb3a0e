#pragma once
// Arguments of the cortex classes.

#include <napi.h>

#include <string>
#include <string_view>
#include <vector>

#include "cortex/memories.h"
#include "cortex/tasks.h"

namespace netmesh::binding {

/// A BigInt, or a safe integer, that fits 64 bits unsigned.
std::uint64_t to_u64_or_integer(const Napi::Value& value);

/// Text as UTF-8, in memory that is used again from call to call.
class TextArgument {
 public:
  /// Valid until the next call.
  std::string_view read(const Napi::Value& value, const char* name);

 private:
  char short_[512];
  std::string long_;
};

std::vector<std::string> to_texts(const Napi::Value& value, const char* name);

/// `NativeTaskFilter` and `NativeMemoryFilter` of types/native.d.ts.
cortex::TaskFilter to_filter(const Napi::Value& value, const cortex::TasksModel*);
cortex::MemoryFilter to_filter(const Napi::Value& value, const cortex::MemoriesModel*);

}  // namespace netmesh::binding
