#include "cortex/memories.h"

#include <algorithm>

namespace netmesh::cortex {

bool MemoryFilter::matches(const Memory& memory) const {
  const auto has = [&](const std::string& each) { return memory.has_tag(each); };
  return (!source || memory.source == *source) && (!pinned || memory.pinned == *pinned) &&
         common.in_time(memory) && (!tag || has(*tag)) &&
         (any_tag.empty() || std::any_of(any_tag.begin(), any_tag.end(), has)) &&
         std::all_of(all_tags.begin(), all_tags.end(), has) &&
         memory.content.contains(lower_content_part);
}

std::vector<const Memory*> MemoriesModel::select(State& state, const MemoryFilter& filter) {
  Selection selection;
  selection.common = filter.common;
  if (filter.source) selection.all_of.push_back({MemoryFacets::kSource, *filter.source});
  if (filter.tag) selection.all_of.push_back({MemoryFacets::kTag, *filter.tag});
  for (const std::string& tag : filter.all_tags)
    selection.all_of.push_back({MemoryFacets::kTag, tag});
  if (filter.pinned)
    selection.all_of.push_back({MemoryFacets::kPinned, MemoryFacets::value_of(*filter.pinned)});
  for (const std::string& tag : filter.any_tag)
    selection.any_of.push_back({MemoryFacets::kTag, tag});
  return state.select(selection, [&](const Memory& memory) { return filter.matches(memory); });
}

RowBlock MemoriesModel::pack(const std::vector<const Memory*>& rows) {
  // Pinned and ASCII flag, lengths of content and source, number of tags, length of each.
  std::size_t words = 0;
  std::size_t text_bytes = 0;
  for (const Memory* memory : rows) {
    words += 4 + memory->tags.size();
    text_bytes += memory->content.text().size() + memory->source.size();
    for (const std::string& tag : memory->tags) text_bytes += tag.size();
  }
  RowBlockWriter out(rows.size(), words, text_bytes);
  for (const Memory* memory : rows) {
    bool ascii = is_ascii(memory->content.text()) && is_ascii(memory->source);
    for (const std::string& tag : memory->tags) ascii = ascii && is_ascii(tag);
    out.fixed(memory->id, memory->created_ns, memory->updated_ns);
    out.word((memory->pinned ? 1U : 0U) | (ascii ? RowBlockWriter::kAsciiFlag : 0));
    out.text(memory->content.text());
    out.text(memory->source);
    out.word(static_cast<std::uint32_t>(memory->tags.size()));
    for (const std::string& tag : memory->tags) out.text(tag);
  }
  return out.finish();
}

std::size_t MemoriesModel::row_bytes(const Memory& memory) {
  return varint_bytes(memory.id) + counted_bytes(memory.content.text().size()) +
         tags_bytes(memory.tags) + counted_bytes(memory.source.size()) +
         varint_bytes(memory.created_ns) + varint_bytes(memory.updated_ns) + 1;
}

std::byte* MemoriesModel::put_row(std::byte* at, const Memory& memory) {
  at = put_varint(at, memory.id);
  at = put_counted(at, memory.content.text());
  at = put_tags(at, memory.tags);
  at = put_counted(at, memory.source);
  at = put_varint(at, memory.created_ns);
  at = put_varint(at, memory.updated_ns);
  *at = static_cast<std::byte>(memory.pinned);
  return at + 1;
}

void MemoriesModel::read_row(PostcardReader& in, Memory& memory) {
  memory.id = in.u64();
  memory.content.assign(in.string());
  memory.tags = read_tags(in);
  memory.source = in.string();
  memory.created_ns = in.u64();
  memory.updated_ns = in.u64();
  memory.pinned = in.boolean();
}

std::vector<std::string> read_tags(PostcardReader& in) {
  std::vector<std::string> tags;
  const std::size_t count = in.count(1);
  for (std::size_t i = 0; i < count && in.ok(); ++i) tags.emplace_back(in.string());
  return tags;
}

std::byte* put_tags(std::byte* at, const std::vector<std::string>& tags) {
  at = put_varint(at, tags.size());
  for (const std::string& tag : tags) at = put_counted(at, tag);
  return at;
}

std::size_t tags_bytes(const std::vector<std::string>& tags) {
  std::size_t size = varint_bytes(tags.size());
  for (const std::string& tag : tags) size += counted_bytes(tag.size());
  return size;
}

}  // namespace netmesh::cortex
