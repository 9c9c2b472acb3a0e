#pragma once
// Tokens whose signatures were checked, ready to be asked (spec 30 §2.3).

#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "identity/revocation.h"
#include "identity/token.h"

namespace netmesh::identity {

/// Keeps verified tokens by subject and channel. A check costs a hash look-up and comparisons, no
/// cryptography: signatures are verified when tokens come in, and tokens do not change. One thread.
class TokenCache {
 public:
  static constexpr std::size_t kMaxSlots = 65'536;
  static constexpr std::size_t kMaxTokensPerSlot = 32;
  static constexpr std::uint64_t kMaxSkewSeconds = 300;

  struct Options {
    /// Tolerated difference of clocks; capped at kMaxSkewSeconds.
    std::uint64_t skew_seconds = 0;
    /// Secret and random, so that nobody can choose colliding subjects.
    std::uint64_t hash_seed = 0;
  };

  enum class Stored : std::uint8_t {
    kAdded,
    kReplaced,  ///< a token with the same scope made way
    kNoRoom,    ///< the slot, or the cache, is full of tokens that have not expired
  };

  TokenCache() : TokenCache(Options{}) {}
  explicit TokenCache(Options options);

  /// Verifies the signature and keeps the token. Its window is not judged here: a token may be
  /// installed ahead of time. A full cache drops what has expired before it refuses.
  TokenResult<Stored> insert(const PermissionToken& token, UnixSeconds now);

  /// Whether some kept token lets `subject` do `action` on `channel` now: in its window, not
  /// revoked, for this channel or for all. An expired token never hides a valid one.
  TokenResult<void> check(const EntityId& subject, Scope action, std::uint64_t channel,
                          UnixSeconds now, const RevocationRegistry* revocations = nullptr) const;
  /// The same, counting only tokens that one of `issuers` signed: without any, nothing permits.
  TokenResult<void> check_issued_by(std::span<const EntityId> issuers, const EntityId& subject,
                                    Scope action, std::uint64_t channel, UnixSeconds now,
                                    const RevocationRegistry* revocations = nullptr) const;
  /// This very token is kept, so its signature was verified.
  bool contains(const PermissionToken& token) const;

  /// The first token of the exact slot that is valid now, else its first, else none.
  std::optional<PermissionToken> get(const EntityId& subject, std::uint64_t channel,
                                     UnixSeconds now) const;

  /// Drops what has expired, clock skew not counted; returns how many.
  std::size_t evict_expired(UnixSeconds now);
  void clear();

  std::size_t size() const { return size_; }
  std::size_t slots() const { return slots_.size(); }
  /// Grows whenever a token comes or goes: what was concluded before may not hold any more.
  std::uint64_t changes() const { return changes_; }

 private:
  struct Key {
    EntityId subject{};
    std::uint64_t slot = 0;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct KeyHash {
    std::uint64_t seed = 0;
    std::size_t operator()(const Key& key) const noexcept;
  };
  using Tokens = std::vector<PermissionToken>;

  /// What is asked of a slot. Without `issuers` anybody may have signed.
  struct Question {
    const EntityId& subject;
    Scope action = 0;
    std::uint64_t channel = 0;
    const RevocationRegistry* revocations = nullptr;
    const std::span<const EntityId>* issuers = nullptr;
  };

  const Tokens* find(const EntityId& subject, std::uint64_t slot) const;
  TokenResult<void> answer(const Question& question, UnixSeconds now) const;
  bool permits(const Tokens* tokens, const Question& question, UnixSeconds now) const;
  bool make_room(UnixSeconds now);

  Options options_;
  std::unordered_map<Key, Tokens, KeyHash> slots_;
  std::size_t size_ = 0;
  std::uint64_t changes_ = 0;
  /// Slot 0 is looked at only once there may be something in it.
  bool has_wildcards_ = false;
  /// The second of the last sweep for room, so that a full cache is swept at most once in each.
  UnixSeconds swept_at_ = 0;
};

}  // namespace netmesh::identity
