#pragma once
// What a node tells the mesh about itself, as it travels (spec 30 §8).

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/endpoint.h"
#include "base/error.h"
#include "capability/capability_set.h"
#include "identity/entity.h"

namespace netmesh::capability {

/// What one packet of the base protocol carries.
inline constexpr std::size_t kMaxBaseAnnouncementBytes = 8108;
/// What netmesh nodes exchange at most.
inline constexpr std::size_t kMaxAnnouncementBytes = 64 * 1024;
/// Above what fits into a base packet; bounds the work per announcement.
inline constexpr std::size_t kMaxAnnouncementTags = 2048;
/// A copy with this many hops is still indexed, and not forwarded.
inline constexpr std::uint8_t kLastHop = 15;

/// An announcement as it is, trustworthy or not. A value.
struct Announcement {
  NodeId node_id;
  identity::EntityId entity_id{};
  /// Rises with every announcement of a node.
  std::uint64_t version = 0;
  /// Unix time of its making, nanoseconds.
  std::uint64_t timestamp_ns = 0;
  std::uint32_t ttl_secs = 0;
  CapabilitySet capabilities;
  std::optional<crypto::Signature> signature;
  /// How often it was passed on; not signed.
  std::uint8_t hop_count = 0;
  std::optional<Endpoint> reflex_addr;

  friend bool operator==(const Announcement&, const Announcement&) = default;

  /// The document with keys, tags and metadata in the one order there is.
  std::string encode() const;
  /// The same without signature and hop count: what is signed.
  std::string signed_text() const;
  void sign(const crypto::SigningKey& key);
  /// There is a signature, it is the entity's, and the node id follows from the entity.
  bool verify() const;
  /// The node id is the one that follows from the entity id.
  bool names_its_entity() const;

  /// How long it still counts at `now`: what is left of the time to live since it was made, so that
  /// a replay adds nothing. A date in the future counts as now. Whole seconds.
  std::uint64_t remaining_secs(std::int64_t unix_now_ns) const;
};

/// Reads announcements from the network. Keeps its buffers from one to the next. One thread.
class AnnouncementParser {
 public:
  AnnouncementParser();
  ~AnnouncementParser();
  AnnouncementParser(AnnouncementParser&&) noexcept;
  AnnouncementParser& operator=(AnnouncementParser&&) noexcept;

  /// Takes keys in any order and ignores unknown ones; anything else that differs from the format
  /// is an error, of kind `kCapability`, that says what it was.
  Expected<Announcement> parse(std::string_view document);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace netmesh::capability
