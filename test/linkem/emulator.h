#pragma once
// Drives the two directions of a link with real time and devices.

#include <array>
#include <cstdint>
#include <string>

#include "base/error.h"
#include "linkem/link.h"
#include "linkem/options.h"
#include "linkem/packet.h"
#include "linkem/tun_device.h"

namespace netmesh::linkem {

/// How exactly one direction has kept its times.
struct Punctuality {
  std::uint64_t late_total_ns = 0, late_max_ns = 0;
  std::uint64_t undeliverable = 0;  ///< the kernel did not take the packet
  std::uint64_t icmp_sent = 0;
};

/// One thread: packets between the devices, commands from stdin, answers to stdout.
class Emulator {
 public:
  static Expected<Emulator> create(const Options& options);
  Emulator(Emulator&&) = default;

  /// Until `quit`, the end of stdin, SIGINT or SIGTERM.
  Expected<void> run();

 private:
  Emulator(const Options& options, TunDevice a, TunDevice b, Descriptor signals, Descriptor poll);

  /// Reads what the source device of a direction has, up to a batch.
  void receive(Direction direction);
  /// Delivers what is due.
  void deliver(Direction direction);
  void answer_too_big(Direction direction, const Packet& packet);
  /// False when stdin has ended.
  bool read_commands();
  /// False on `quit`.
  bool execute(std::string_view line);
  /// False when the signal means the end.
  bool read_signal();
  void print_stats(bool final) const;

  std::uint64_t seed_;
  std::unique_ptr<PacketPool> pool_;
  /// Indexed by the direction that they are the source of.
  std::array<TunDevice, kDirections> devices_;
  std::array<std::unique_ptr<Link>, kDirections> links_;
  std::array<Punctuality, kDirections> punctuality_{};
  Descriptor signals_, poll_;
  /// The beginning of a line of stdin.
  std::string partial_line_;
};

}  // namespace netmesh::linkem
