#pragma once
// The command line, and the lines that the emulator understands while it runs.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "linkem/conditions.h"

namespace netmesh::linkem {

/// The two directions of the link, in the order of the arrays that are indexed by them.
enum Direction : std::size_t { kAToB = 0, kBToA = 1 };
inline constexpr std::size_t kDirections = 2;

using BothConditions = std::array<Conditions, kDirections>;

/// Where one end of the link is.
struct DeviceOptions {
  std::string netns;  ///< empty: that of the process
  std::string name;
};

struct Options {
  DeviceOptions a, b;
  std::uint64_t seed = 1;
  std::size_t device_mtu = 1500;
  BothConditions conditions;
  bool help = false;
};

extern const char* const kUsage;

/// Reads the command line without the program's name.
Expected<Options> parse_options(int count, const char* const* arguments);

/// One line of stdin.
struct Command {
  enum class Kind { kNothing, kSet, kStats, kQuit } kind = Kind::kNothing;
  /// With `kSet`: the conditions that hold from now on.
  BothConditions conditions;
};

/// Reads `set ab|ba|both name=value…`, `stats`, `quit` or an empty line. Values that are not named
/// keep what `current` says.
Expected<Command> parse_command(std::string_view line, const BothConditions& current);

}  // namespace netmesh::linkem
