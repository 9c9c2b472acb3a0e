#pragma once
// The log below a model that an application folds itself.

#include <functional>
#include <memory>

#include "cortex/event_meta.h"
#include "cortex/row_block.h"
#include "redex/redex.h"

namespace netmesh::cortex {

/// Appends sealed events to a channel and hands out what is in it, batch by batch, checked. One
/// thread at a time; `ready` is called on any thread, once for every batch that was the last.
class ModelLog {
 public:
  /// Stands for the event type of a payload that is no event.
  static constexpr std::uint32_t kDefective = 0x100;

  /// A batch. Rows are events: log sequence number, origin, the origin's own sequence number; one
  /// word for the type, one with the length of the body; bodies.
  struct Batch {
    redex::TailState state = redex::TailState::kEmpty;
    /// Everything before it has been handed out or passed over.
    std::uint64_t position = 0;
    RowBlock events;
  };

  static Expected<std::unique_ptr<ModelLog>> open(redex::Redex& redex, const std::string& channel,
                                                  const redex::FileConfig& config,
                                                  std::function<void()> ready);

  std::uint64_t next_seq() const { return file_->next_seq(); }
  redex::FileStats stats() const { return file_->stats(); }
  /// See `redex::File::skip_to`.
  Expected<void> skip_to(std::uint64_t seq) { return file_->skip_to(seq); }
  /// Begins to read at `seq`; in place of an earlier position.
  void seek(std::uint64_t seq);
  Batch take(std::size_t max_events, std::size_t max_bytes);
  Expected<std::uint64_t> append(const EventMeta& meta, ByteSpan body);
  /// Reads no more. The log stays open.
  void close();

 private:
  ModelLog(std::shared_ptr<redex::File> file, std::function<void()> ready)
      : file_(std::move(file)), ready_(std::move(ready)) {}

  const std::shared_ptr<redex::File> file_;
  const std::function<void()> ready_;
  std::unique_ptr<redex::Tail> tail_;
  redex::EventBatch batch_;
  EventReader reader_;
  Bytes scratch_;
};

}  // namespace netmesh::cortex
