#pragma once
// Finding and mending what a directory holds (spec 42 §3.6, §3.7).

#include <memory>
#include <string>

#include "redex/analysis.h"
#include "redex/generation.h"

namespace netmesh::redex {

/// What recovery found and did.
struct RecoveryReport {
  bool created = false;   ///< there was no log
  bool migrated = false;  ///< from the flat layout
  bool manifest_rewritten = false;
  Analysis analysis;
  std::uint64_t cut_dat_bytes = 0;  ///< from the end of `dat`
  std::size_t filled_timestamps = 0;
  bool compacted = false;  ///< damaged records were left out of a new generation

  std::size_t cut_records() const { return analysis.records - analysis.keep; }
};

struct RecoveredLog {
  std::shared_ptr<Generation> generation;
  std::uint64_t next_seq = 0;
  RecoveryReport report;
};

/// Which generation is live; zero when there is none in the versioned layout. Reads only.
Expected<std::uint32_t> find_live_generation(Storage& storage, const std::string& directory,
                                             bool& manifest_valid);
/// Whether `idx`, `dat` or `ts` lie in the directory itself.
Expected<bool> has_flat_layout(Storage& storage, const std::string& directory);

/// Opens the log in `directory`, which exists and is locked: mends what a crash left, and removes
/// other generations. `now` stands in for missing timestamps.
Expected<RecoveredLog> recover(Storage& storage, const std::string& directory, UnixNanos now,
                               const AnalysisProgress& progress = {});

/// Makes `generation` the live one, durably.
Expected<void> write_manifest(Storage& storage, const std::string& directory,
                              std::uint32_t generation);
/// Removes a generation's files and directory, nothing else.
Expected<void> remove_generation(Storage& storage, const std::string& directory,
                                 std::uint32_t generation);

}  // namespace netmesh::redex
