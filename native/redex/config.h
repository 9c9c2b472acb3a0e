#pragma once
// What can be chosen for a log, and the bounds that cannot.

#include <cstdint>
#include <functional>
#include <optional>

#include "base/time.h"

namespace netmesh::redex {

/// Payload bytes that one log can retain (spec 42 §2.1).
inline constexpr std::uint64_t kMaxLiveBytes = 3ULL << 30;
/// Exactly this many payload bytes fit into an index record.
inline constexpr std::size_t kInlineBytes = 8;
/// A live tail may be behind the retained range by so many events and bytes; further behind, it
/// has lagged. The log holds them for it.
inline constexpr std::size_t kTailGraceEvents = 1024;
inline constexpr std::uint64_t kTailGraceBytes = 16ULL << 20;

/// When a persistent log is synced by itself. Appends never wait for it (spec 42 §2.8).
struct FsyncPolicy {
  /// After so many appended events.
  std::optional<std::uint64_t> every_n = {};
  /// After so many written bytes, of all three files.
  std::optional<std::uint64_t> every_bytes = {};
  /// Again and again after so long.
  std::optional<Duration> interval = {};
};

/// What is kept. Every limit that is set holds at all times (spec 42 §2.5).
struct RetentionPolicy {
  std::optional<std::uint64_t> max_events = {};
  /// An event counts with 20 bytes of index and its payload, unless that lies in the index.
  std::optional<std::uint64_t> max_bytes = {};
  std::optional<Duration> max_age = {};

  bool any() const { return max_events || max_bytes || max_age; }
};

struct FileConfig {
  bool persistent = false;
  FsyncPolicy fsync = {};
  RetentionPolicy retention = {};
};

/// Nanoseconds since the Unix epoch; what events are stamped with and age is measured by.
using WallClock = std::function<UnixNanos()>;

}  // namespace netmesh::redex
