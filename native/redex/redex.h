#pragma once
// The manager: channel names to logs.

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "redex/file.h"

namespace netmesh::redex {

class Storage;

struct RedexOptions {
  /// Where persistent logs live; created when the first of them is opened.
  std::optional<std::string> persistent_dir = {};
  /// Default: the system's.
  WallClock clock = {};
  /// Default: the real file system.
  std::shared_ptr<Storage> storage = {};
};

/// Opens logs by channel name. Two opens of one name share the log; so do, for persistent logs, two
/// managers of one process. A persistent log has one writing process at a time.
/// Any thread. Files outlive the manager.
class Redex {
 public:
  explicit Redex(RedexOptions options = {});
  ~Redex();
  Redex(const Redex&) = delete;
  Redex& operator=(const Redex&) = delete;

  /// The live file of this name, whatever `config` says, else a new one, recovered from disk when
  /// persistent. The name must be valid (`check_channel_name`); its error has the prefix `invalid
  /// channel name: `.
  Expected<std::shared_ptr<File>> open_file(const std::string& name, const FileConfig& config);
  /// Null when it is not open.
  std::shared_ptr<File> find(const std::string& name) const;
  /// Names of the open files, sorted.
  std::vector<std::string> names() const;

 private:
  struct State;
  const std::shared_ptr<State> state_;
};

}  // namespace netmesh::redex
