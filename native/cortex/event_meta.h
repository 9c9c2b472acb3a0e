#pragma once
// The 24 bytes before every CortEX body (spec 42 §6.1).

#include <optional>

#include "base/bytes.h"

namespace netmesh::cortex {

inline constexpr std::size_t kEventMetaBytes = 24;

/// Event types from here on belong to applications.
inline constexpr std::uint8_t kFirstApplicationDispatch = 0x80;

/// Who wrote an event, as what. The checksum is computed when it is sealed, checked when it is
/// read.
struct EventMeta {
  std::uint8_t dispatch = 0;
  std::uint8_t flags = 0;
  std::uint64_t origin_hash = 0;
  /// Counts the events of one origin; independent of the log's own sequence.
  std::uint64_t app_seq = 0;

  friend bool operator==(const EventMeta&, const EventMeta&) = default;
};

/// An event as it lies in the log.
struct Event {
  EventMeta meta;
  ByteSpan body;
};

/// Writes `meta` over the first 24 bytes of `payload`, with the checksum (version 2) over all of
/// it.
void seal_event(const EventMeta& meta, MutableByteSpan payload);

/// Why a payload is no event.
enum class EventDefect { kTooShort, kChecksum };

/// Reads events. Keeps a buffer from one to the next; one thread at a time.
class EventReader {
 public:
  /// Takes checksums of version 2, and of version 1 as old writers left them. The result refers to
  /// `payload`; nothing when it is no event.
  std::optional<Event> read(ByteSpan payload);
  /// What was wrong with the last payload that `read` refused.
  EventDefect defect() const { return defect_; }

 private:
  Bytes scratch_;
  EventDefect defect_ = EventDefect::kTooShort;
};

}  // namespace netmesh::cortex
