#pragma once
// Names of channels and of the logs that are named after them.

#include <string>
#include <string_view>

#include "base/error.h"

namespace netmesh {

inline constexpr std::size_t kMaxChannelNameBytes = 255;

/// Checks a channel name: up to 255 bytes of `a-z 0-9 - _ . /`, in non-empty segments that are
/// neither `.` nor `..` (spec 42 §1.1, which fixes the texts of the errors and their order).
Expected<void> check_channel_name(std::string_view name);

}  // namespace netmesh
