#include "bus/entry.h"

#include <simdjson.h>

#include <charconv>
#include <cstring>
#include <string_view>

#include "bus/json.h"

namespace netmesh::bus {
namespace {

class Out {
 public:
  explicit Out(std::byte* at) : begin_(at), at_(at) {}
  void text(std::string_view text) {
    std::memcpy(at_, text.data(), text.size());
    at_ += text.size();
  }
  void bytes(ByteSpan bytes) {
    if (!bytes.empty()) std::memcpy(at_, bytes.data(), bytes.size());
    at_ += bytes.size();
  }
  void number(std::uint64_t value) {
    char* const from = reinterpret_cast<char*>(at_);
    at_ += std::to_chars(from, from + 20, value).ptr - from;
  }
  std::size_t size() const { return static_cast<std::size_t>(at_ - begin_); }

 private:
  std::byte* begin_;
  std::byte* at_;
};

/// Blank as JSON has it.
std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

/// One parser per thread: its memory is used again from entry to entry.
simdjson::ondemand::parser& thread_parser() {
  static thread_local simdjson::ondemand::parser parser;
  return parser;
}

}  // namespace

std::size_t write_entry(ByteSpan payload, std::uint64_t timestamp, ShardId shard, std::byte* out) {
  Out writer(out);
  writer.text("{\"r\":");
  writer.bytes(payload);
  writer.text(",\"t\":");
  writer.number(timestamp);
  writer.text(",\"s\":");
  writer.number(shard);
  writer.text("}");
  return writer.size();
}

namespace {

/// The form that `write_entry` writes, taken apart from its end; nothing when it is not that.
std::optional<Entry> read_own_form(std::string_view text) {
  constexpr std::string_view kFront = "{\"r\":", kTime = ",\"t\":", kShard = ",\"s\":";
  if (!text.starts_with(kFront) || !text.ends_with('}')) return std::nullopt;
  const std::size_t shard_at = text.rfind(kShard);
  if (shard_at == std::string_view::npos) return std::nullopt;
  const std::size_t time_at = text.rfind(kTime, shard_at);
  if (time_at == std::string_view::npos || time_at < kFront.size()) return std::nullopt;
  const auto time_from = time_at + kTime.size();
  const auto shard_from = shard_at + kShard.size();
  const auto timestamp = parse_number(text.substr(time_from, shard_at - time_from));
  const auto shard = parse_number(text.substr(shard_from, text.size() - 1 - shard_from));
  const std::string_view payload = text.substr(kFront.size(), time_at - kFront.size());
  if (!timestamp || !shard || *shard > 0xFFFF) return std::nullopt;
  return Entry{as_byte_span(payload), *timestamp, static_cast<ShardId>(*shard)};
}

}  // namespace

tl::expected<Entry, EntryProblem> read_entry(ByteSpan text) {
  const auto unreadable = tl::make_unexpected(EntryProblem::kUnreadable);
  // On-demand parsing below checks only what it visits; this one checks all of it.
  static thread_local JsonReader checker;
  if (const auto own = read_own_form({reinterpret_cast<const char*>(text.data()), text.size()});
      own && checker.parse(own->payload)) {
    return *own;
  }
  if (!checker.parse(text)) return unreadable;

  const simdjson::padded_string padded(reinterpret_cast<const char*>(text.data()), text.size());
  simdjson::ondemand::document document;
  simdjson::ondemand::object object;
  if (thread_parser().iterate(padded).get(document) || document.get_object().get(object))
    return unreadable;

  Entry out;
  bool has_payload = false;
  for (auto field : object) {
    std::string_view key;
    simdjson::ondemand::value value;
    if (field.unescaped_key().get(key) || field.value().get(value)) return unreadable;
    if (key == "r") {
      std::string_view raw;
      // Composite values are told as a whole; scalars by their token, with blanks behind.
      simdjson::ondemand::json_type type;
      if (value.type().get(type)) return unreadable;
      if (type == simdjson::ondemand::json_type::object) {
        simdjson::ondemand::object composite;
        if (value.get_object().get(composite) || composite.raw_json().get(raw)) return unreadable;
      } else if (type == simdjson::ondemand::json_type::array) {
        simdjson::ondemand::array composite;
        if (value.get_array().get(composite) || composite.raw_json().get(raw)) return unreadable;
      } else {
        raw = value.raw_json_token();
      }
      raw = trim(raw);
      const auto offset = static_cast<std::size_t>(raw.data() - padded.data());
      out.payload = text.subspan(offset, raw.size());
      has_payload = true;
    } else if (key == "t") {
      if (value.get_uint64().get(out.timestamp)) return unreadable;
    } else if (key == "s") {
      std::uint64_t shard = 0;
      if (value.get_uint64().get(shard)) return unreadable;
      if (shard > 0xFFFF) return tl::make_unexpected(EntryProblem::kCorrupt);
      out.shard = static_cast<ShardId>(shard);
    }
  }
  if (!has_payload) return unreadable;
  return out;
}

std::string dedup_prefix(std::uint64_t nonce, ShardId shard, std::uint64_t sequence_start) {
  char hex[16];
  const char* const end = std::to_chars(hex, hex + sizeof(hex), nonce, 16).ptr;
  return std::string(hex, static_cast<std::size_t>(end - hex)) + ':' + std::to_string(shard) + ':' +
         std::to_string(sequence_start) + ':';
}

}  // namespace netmesh::bus
