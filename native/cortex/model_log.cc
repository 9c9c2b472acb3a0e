#include "cortex/model_log.h"

namespace netmesh::cortex {
namespace {

constexpr std::size_t kWordsPerEvent = 2;
constexpr std::size_t kMaxKeptBytes = 64 * 1024;

std::string_view as_text(ByteSpan bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

Expected<std::unique_ptr<ModelLog>> ModelLog::open(redex::Redex& redex, const std::string& channel,
                                                   const redex::FileConfig& config,
                                                   std::function<void()> ready) {
  auto file = redex.open_file(channel, config);
  if (!file) return tl::unexpected(file.error());
  return std::unique_ptr<ModelLog>(new ModelLog(std::move(*file), std::move(ready)));
}

void ModelLog::seek(std::uint64_t seq) { tail_ = file_->tail(seq, ready_); }

ModelLog::Batch ModelLog::take(std::size_t max_events, std::size_t max_bytes) {
  Batch out;
  if (!tail_) {
    out.state = redex::TailState::kEnded;
    return out;
  }
  out.state = tail_->take(batch_, {max_events, max_bytes});
  out.position = tail_->position();
  std::vector<std::optional<Event>> events;
  events.reserve(batch_.size());
  std::size_t body_bytes = 0;
  for (const redex::EventView& view : batch_) {
    events.push_back(reader_.read(view.payload));
    if (events.back()) body_bytes += events.back()->body.size();
  }
  RowBlockWriter writer(events.size(), events.size() * kWordsPerEvent, body_bytes);
  for (std::size_t i = 0; i < events.size(); ++i) {
    const Event event = events[i].value_or(Event{});
    writer.fixed(batch_[i].seq, event.meta.origin_hash, event.meta.app_seq);
    writer.word(events[i] ? event.meta.dispatch : kDefective);
    writer.text(as_text(event.body));
  }
  out.events = writer.finish();
  batch_.clear();
  return out;
}

Expected<std::uint64_t> ModelLog::append(const EventMeta& meta, ByteSpan body) {
  const std::size_t size = kEventMetaBytes + body.size();
  if (scratch_.size() < size) scratch_.resize(size);
  if (!body.empty()) std::memcpy(scratch_.data() + kEventMetaBytes, body.data(), body.size());
  const MutableByteSpan payload(scratch_.data(), size);
  seal_event(meta, payload);
  auto seq = file_->append(payload);
  if (scratch_.size() > kMaxKeptBytes) scratch_ = Bytes();
  return seq;
}

void ModelLog::close() { tail_.reset(); }

}  // namespace netmesh::cortex
