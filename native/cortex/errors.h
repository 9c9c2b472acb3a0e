#pragma once
// The failures of adapters, with the texts of spec 42 §6 and §10.2.

#include <string>
#include <string_view>

#include "base/error.h"

namespace netmesh::cortex {

/// `cortex: <context>: <detail>`
inline tl::unexpected<Error> cortex_error(std::string_view context, std::string_view detail) {
  std::string message = "cortex: ";
  message.append(context).append(": ").append(detail);
  return fail(ErrorKind::kCortex, std::move(message));
}

/// The same for what the log below says.
inline tl::unexpected<Error> cortex_error(std::string_view context, const Error& log_error) {
  return cortex_error(context, "redex: " + log_error.message);
}

}  // namespace netmesh::cortex
