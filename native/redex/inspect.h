#pragma once
// Looking at logs from outside: without their lock, without changing anything.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "redex/recovery.h"

namespace netmesh::redex {

/// A log's files as they are. While a process appends to it, their ends move.
class LogSnapshot {
 public:
  /// `directory` is that of one channel.
  static Expected<LogSnapshot> open(const std::shared_ptr<Storage>& storage,
                                    const std::string& directory);

  /// Zero for the flat layout.
  std::uint32_t generation() const { return generation_; }
  bool manifest_valid() const { return manifest_valid_; }
  std::uint64_t index_bytes() const { return idx_.size(); }
  std::uint64_t payload_bytes() const { return dat_.size(); }
  std::uint64_t timestamp_bytes() const { return ts_.size(); }
  /// Whole records in the index, sound or not.
  std::size_t records() const { return idx_.size() / kRecordBytes; }
  /// A record as it is. The payload is empty when `dat` does not hold it.
  EventView event(std::size_t index) const;
  bool sound(std::size_t index) const;
  /// Reads everything and checks it.
  Analysis verify(const AnalysisProgress& progress = {}) const;

 private:
  std::uint32_t generation_ = 0;
  bool manifest_valid_ = false;
  std::vector<std::shared_ptr<Mapping>> mappings_;
  ByteSpan idx_, dat_, ts_;
};

/// Directories at or below `directory` that hold a log, sorted. Symbolic links are not followed.
Expected<std::vector<std::string>> find_logs(Storage& storage, const std::string& directory);

/// Does what opening the log would do to it.
Expected<RecoveryReport> repair_log(const std::shared_ptr<Storage>& storage,
                                    const std::string& directory,
                                    const AnalysisProgress& progress = {});

}  // namespace netmesh::redex
