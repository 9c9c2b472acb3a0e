#pragma once
// What the tests of this folder share.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/hex.h"
#include "cortex/event_meta.h"
#include "cortex/postcard.h"

namespace netmesh::cortex::testing {

inline Bytes hex(std::string_view text) { return from_hex(text).value(); }

/// A payload as the codec seals it.
inline Bytes sealed(const EventMeta& meta, ByteSpan body) {
  Bytes payload(kEventMetaBytes + body.size());
  std::copy(body.begin(), body.end(), payload.begin() + kEventMetaBytes);
  seal_event(meta, payload);
  return payload;
}

/// Postcard put together piece by piece, without the code under test.
class Body {
 public:
  Body& u64(std::uint64_t value) {
    do {
      const bool more = value >= 0x80;
      bytes_.push_back(static_cast<std::byte>((value & 0x7F) | (more ? 0x80 : 0)));
      value >>= 7;
    } while (value != 0);
    return *this;
  }
  Body& text(std::string_view value) {
    u64(value.size());
    const ByteSpan raw = as_byte_span(value);
    bytes_.insert(bytes_.end(), raw.begin(), raw.end());
    return *this;
  }
  Body& texts(const std::vector<std::string>& values) {
    u64(values.size());
    for (const std::string& value : values) text(value);
    return *this;
  }
  const Bytes& bytes() const { return bytes_; }
  operator ByteSpan() const { return bytes_; }

 private:
  Bytes bytes_;
};

}  // namespace netmesh::cortex::testing
