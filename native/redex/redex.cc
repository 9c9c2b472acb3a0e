#include "redex/redex.h"

#include <utility>

#include "base/channel_name.h"
#include "redex/disk_log.h"
#include "redex/log.h"
#include "redex/memory_store.h"
#include "redex/storage.h"

namespace netmesh::redex {
namespace {

/// Below another channel's directory, these names are files and directories of that channel's log.
Expected<void> check_directory_name(const std::string& channel) {
  for (std::size_t slash = channel.find('/'); slash != std::string::npos;
       slash = channel.find('/', slash + 1)) {
    const std::string segment = channel.substr(slash + 1, channel.find('/', slash + 1) - slash - 1);
    const bool taken = segment == "manifest" || segment == "manifest.tmp" || segment == "idx" ||
                       segment == "dat" || segment == "ts" ||
                       parse_generation_name(segment).has_value();
    if (taken) {
      return fail(channel_error("a persistent channel cannot have the segment \"" + segment +
                                "\", which names a part of the log one level up"));
    }
  }
  return {};
}

}  // namespace

/// Outlives the manager for the files that tell it of their closing.
struct Redex::State {
  RedexOptions options;
  std::mutex mutex;
  std::shared_ptr<DiskThreads> threads;
  std::map<std::string, std::shared_ptr<File>> files;

  void forget(const File& file) {
    const std::lock_guard lock(mutex);
    const auto at = files.find(file.name());
    if (at != files.end() && at->second.get() == &file) files.erase(at);
  }
};

Redex::Redex(RedexOptions options) : state_(std::make_shared<State>()) {
  state_->options = std::move(options);
}

Redex::~Redex() {
  // Not under the lock: what a file's end sets off may come back here.
  std::map<std::string, std::shared_ptr<File>> files;
  const std::lock_guard lock(state_->mutex);
  files.swap(state_->files);
}

Expected<std::shared_ptr<File>> Redex::open_file(const std::string& name,
                                                 const FileConfig& config) {
  if (auto checked = check_channel_name(name); !checked) {
    return netmesh::fail(ErrorKind::kRedex, "invalid channel name: " + checked.error().message);
  }
  const std::lock_guard lock(state_->mutex);
  if (const auto at = state_->files.find(name); at != state_->files.end()) return at->second;
  if (config.persistent && !state_->options.persistent_dir) {
    return fail(channel_error("config.persistent=true requires Redex::with_persistent_dir(...)"));
  }
  std::shared_ptr<Log> log;
  if (config.persistent) {
    if (auto usable = check_directory_name(name); !usable)
      return tl::unexpected<Error>(std::move(usable).error());
    if (!state_->options.storage) state_->options.storage = Storage::posix();
    if (!state_->threads) state_->threads = DiskThreads::shared();
    auto opened =
        DiskLog::open({state_->options.storage, *state_->options.persistent_dir + "/" + name,
                       config, state_->options.clock, state_->threads});
    if (!opened) return tl::unexpected<Error>(std::move(opened).error());
    log = std::move(*opened);
  } else {
    log = std::make_shared<Log>(std::make_unique<MemoryStore>(), config.retention,
                                state_->options.clock, 0);
  }
  auto file = std::make_shared<File>(name, std::move(log),
                                     [weak = std::weak_ptr(state_)](const File& closed) {
                                       if (const auto state = weak.lock()) state->forget(closed);
                                     });
  state_->files.emplace(name, file);
  return file;
}

std::shared_ptr<File> Redex::find(const std::string& name) const {
  const std::lock_guard lock(state_->mutex);
  const auto at = state_->files.find(name);
  return at == state_->files.end() ? nullptr : at->second;
}

std::vector<std::string> Redex::names() const {
  const std::lock_guard lock(state_->mutex);
  std::vector<std::string> names;
  for (const auto& [name, file] : state_->files) names.push_back(name);
  return names;
}

}  // namespace netmesh::redex
