// The link emulator as a program; `linkem --help` says how to use it.

#include <cstdio>

#include "linkem/conditions.h"
#include "linkem/emulator.h"
#include "linkem/options.h"

namespace {

int complain(const netmesh::Error& error) {
  std::fprintf(stderr, "linkem: %s\n", error.message.c_str());
  return error.kind == netmesh::ErrorKind::kInvalidArgument ? 2 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = netmesh::linkem::parse_options(argc - 1, argv + 1);
  if (!options) return complain(options.error());
  if (options->help) {
    std::printf("%s%s", netmesh::linkem::kUsage, netmesh::linkem::kConditionsHelp);
    return 0;
  }
  auto emulator = netmesh::linkem::Emulator::create(*options);
  if (!emulator) return complain(emulator.error());
  const auto ended = emulator->run();
  return ended ? 0 : complain(ended.error());
}
