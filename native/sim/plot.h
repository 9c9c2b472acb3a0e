#pragma once
// A run as a picture.

#include <string>
#include <vector>

#include "sim/trace.h"

namespace netmesh::sim {

/// One self-contained SVG: per path the window and the bytes in flight, the rate of delivery and
/// the round-trip time, over the time of the run; losses as marks.
std::string render_plot(const std::string& title, const std::vector<PathSample>& samples);

/// The same into a file; false when it cannot be written.
bool write_plot(const std::string& file, const std::string& title,
                const std::vector<PathSample>& samples);

}  // namespace netmesh::sim
