#pragma once
// What the tests and fuzz targets of this folder share: spelled-out bytes, seeded randomness,
// damage, and frames as values.

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>

#include "base/hex.h"

namespace netmesh::wire::testing {

/// The bytes of a hex text; blanks and line ends between digits are for the reader.
inline Bytes hex(std::string_view text) {
  std::string digits;
  for (const char c : text) {
    if (c != ' ' && c != '\n') digits.push_back(c);
  }
  auto bytes = from_hex(digits);
  if (!bytes) {
    ADD_FAILURE() << "bad hex in a test: " << bytes.error().message;
    return {};
  }
  return *bytes;
}

inline Bytes concat(std::initializer_list<ByteSpan> parts) {
  Bytes out;
  for (const ByteSpan part : parts) out.insert(out.end(), part.begin(), part.end());
  return out;
}

inline bool same_bytes(ByteSpan a, ByteSpan b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

/// Random values of one test iteration.
class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}

  std::uint64_t u64() { return engine_(); }
  /// In [0, bound).
  std::uint64_t below(std::uint64_t bound) { return engine_() % bound; }
  /// Of every magnitude alike, up to `bits` bits: varints of every length turn up.
  std::uint64_t magnitude(unsigned bits) {
    const auto used = static_cast<unsigned>(below(bits + 1));
    return used == 0 ? 0 : engine_() >> (64 - used);
  }
  bool flip() { return (engine_() & 1) != 0; }
  template <typename T>
  T number() {
    return static_cast<T>(engine_());
  }
  std::byte byte() { return static_cast<std::byte>(engine_() & 0xFF); }
  Bytes bytes(std::size_t count) {
    Bytes out(count);
    for (std::byte& b : out) b = byte();
    return out;
  }
  template <std::size_t N>
  std::array<std::byte, N> array() {
    std::array<std::byte, N> out;
    for (std::byte& b : out) b = byte();
    return out;
  }

 private:
  std::mt19937_64 engine_;
};

inline constexpr std::size_t kPropertyRuns = 10'000;

/// Runs `property(random)` under `runs` seeds and names the first seed that fails.
template <typename Property>
void for_each_seed(Property property, std::size_t runs = kPropertyRuns) {
  for (std::uint64_t seed = 1; seed <= runs; ++seed) {
    Random random(seed);
    property(random);
    if (::testing::Test::HasFailure()) {
      ADD_FAILURE() << "seed " << seed;
      return;
    }
  }
}

/// Calls `check(prefix)` for every proper prefix. Each is a heap copy of its exact length, so that
/// AddressSanitizer sees a read past the cut.
template <typename Check>
void for_each_cut(ByteSpan valid, Check check) {
  for (std::size_t length = 0; length < valid.size(); ++length) {
    const Bytes prefix(valid.begin(), valid.begin() + static_cast<std::ptrdiff_t>(length));
    check(ByteSpan(prefix));
    if (::testing::Test::HasFailure()) {
      ADD_FAILURE() << "cut at " << length;
      return;
    }
  }
}

/// Damages `message`: a few bytes change, and sometimes its length.
inline void mutate(Random& random, Bytes& message) {
  const std::uint64_t changes = 1 + random.below(4);
  for (std::uint64_t i = 0; i < changes && !message.empty(); ++i) {
    message[random.below(message.size())] = random.byte();
  }
  if (random.below(4) == 0) message.resize(random.below(message.size() + 1));
  if (random.below(4) == 0) {
    for (std::uint64_t i = random.below(8); i > 0; --i) message.push_back(random.byte());
  }
  message.shrink_to_fit();
}

}  // namespace netmesh::wire::testing
