#pragma once
// The failures of a log, with the texts of spec 42 §3.8.

#include <cstdint>
#include <string>

#include "base/error.h"

namespace netmesh::redex {

inline Error payload_too_large(std::uint64_t size, std::uint64_t max) {
  return {ErrorKind::kRedexTooLarge, "payload too large: " + std::to_string(size) + " bytes (max " +
                                         std::to_string(max) + ")"};
}

inline Error segment_offset_overflow(std::uint64_t offset) {
  return {ErrorKind::kRedexTooLarge,
          "segment offset overflow: offset " + std::to_string(offset) + " exceeds u32::MAX"};
}

inline Error channel_error(const std::string& text) {
  return {ErrorKind::kRedex, "channel error: " + text};
}

inline Error io_error(const std::string& text) { return {ErrorKind::kRedexIo, "io: " + text}; }

inline Error file_closed() { return {ErrorKind::kRedexClosed, "file closed"}; }

inline Error tail_lagged() {
  return {ErrorKind::kRedexLagged, "tail subscriber lagged; stream disconnected"};
}

inline tl::unexpected<Error> fail(Error error) { return tl::unexpected<Error>(std::move(error)); }

}  // namespace netmesh::redex
