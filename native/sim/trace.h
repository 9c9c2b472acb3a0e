#pragma once
// The readable timeline of a run.

#include <cstdio>
#include <string>

#include "base/time.h"

namespace netmesh::sim {

/// Writes one line per happening; silent unless given a file. Owned by whoever starts a scenario.
class Trace {
 public:
  Trace() = default;
  explicit Trace(std::FILE* out) : out_(out) {}

  bool on() const { return out_ != nullptr; }
  /// `elapsed`: since the simulation began.
  void line(Duration elapsed, const std::string& who, const std::string& what);

 private:
  std::FILE* out_ = nullptr;
};

}  // namespace netmesh::sim
