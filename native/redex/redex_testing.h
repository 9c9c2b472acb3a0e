#pragma once
// What the tests of logs share.

#include <filesystem>
#include <string>
#include <vector>

#include "redex/redex.h"

namespace netmesh::redex::testing {

inline std::string text(ByteSpan bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline std::vector<std::string> payloads(const EventBatch& batch) {
  std::vector<std::string> out;
  for (const EventView& event : batch) out.push_back(text(event.payload));
  return out;
}

/// Every retained event's payload.
std::vector<std::string> all_payloads(const File& file);

/// A clock that a test sets.
struct Clock : std::enable_shared_from_this<Clock> {
  UnixNanos now = 1;
  WallClock function() {
    return [self = shared_from_this()] { return self->now; };
  }
};

/// A directory that goes with the test.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

std::string read_file(const std::filesystem::path& path);
/// Creates the directories above it, too.
void write_file(const std::filesystem::path& path, const std::string& bytes);
/// Bytes for hexadecimal digits; blanks are skipped.
std::string from_digits(const std::string& digits);
/// A record as spec 42 §3.2 describes it, put together independently of the code under test.
std::string record_bytes(std::uint64_t seq, std::uint32_t offset, std::uint32_t length,
                         std::uint32_t flags_and_checksum);
std::string u64_bytes(std::uint64_t value);

}  // namespace netmesh::redex::testing
