#include "capability/announcement.h"

#include <simdjson.h>

#include <algorithm>
#include <limits>

#include "base/hex.h"
#include "base/json_text.h"

namespace netmesh::capability {
namespace {

std::string encode_document(const Announcement& a, bool for_signature) {
  std::string out;
  out.reserve(512);
  out += "{\"node_id\":" + std::to_string(a.node_id.value);
  out += ",\"entity_id\":\"" + to_hex(a.entity_id) + '"';
  out += ",\"version\":" + std::to_string(a.version);
  out += ",\"timestamp_ns\":" + std::to_string(a.timestamp_ns);
  out += ",\"ttl_secs\":" + std::to_string(a.ttl_secs);
  out += ",\"capabilities\":{\"tags\":[";
  bool first = true;
  for (const std::string& tag : a.capabilities.tags) {
    if (!std::exchange(first, false)) out += ',';
    append_json_string(tag, out);
  }
  out += "],\"metadata\":{";
  first = true;
  for (const auto& [key, value] : a.capabilities.metadata) {
    if (!std::exchange(first, false)) out += ',';
    append_json_string(key, out);
    out += ':';
    append_json_string(value, out);
  }
  out += "}}";
  if (a.signature && !for_signature) out += ",\"signature\":\"" + to_hex(*a.signature) + '"';
  if (a.hop_count != 0 && !for_signature) out += ",\"hop_count\":" + std::to_string(a.hop_count);
  if (a.reflex_addr) out += ",\"reflex_addr\":\"" + a.reflex_addr->to_string() + '"';
  out += '}';
  return out;
}

tl::unexpected<Error> refuse(const std::string& what) {
  return fail(ErrorKind::kCapability, "capability: announcement: " + what);
}

using simdjson::dom::element;

enum Key : unsigned {
  kNodeId = 1,
  kEntityId = 2,
  kVersion = 4,
  kTimestamp = 8,
  kTtl = 16,
  kCapabilities = 32,
  kSignature = 64,
  kHopCount = 128,
  kReflexAddr = 256,
};
constexpr unsigned kRequired = kNodeId | kEntityId | kVersion | kTimestamp | kTtl | kCapabilities;

Key key_of(std::string_view name) {
  constexpr std::pair<std::string_view, Key> kKeys[] = {
      {"node_id", kNodeId},         {"entity_id", kEntityId}, {"version", kVersion},
      {"timestamp_ns", kTimestamp}, {"ttl_secs", kTtl},       {"capabilities", kCapabilities},
      {"signature", kSignature},    {"hop_count", kHopCount}, {"reflex_addr", kReflexAddr},
  };
  for (const auto& [word, key] : kKeys) {
    if (word == name) return key;
  }
  return Key{};
}

template <typename T>
bool read_number(element value, T& out) {
  std::uint64_t number = 0;
  if (value.get_uint64().get(number) != simdjson::SUCCESS) return false;
  if (number > std::numeric_limits<T>::max()) return false;
  out = static_cast<T>(number);
  return true;
}

template <std::size_t N>
bool read_hex(element value, std::array<std::byte, N>& out) {
  std::string_view text;
  if (value.get_string().get(text) != simdjson::SUCCESS || text.size() != 2 * N) return false;
  const auto bytes = from_hex(text);
  if (!bytes) return false;
  std::copy(bytes->begin(), bytes->end(), out.begin());
  return true;
}

bool read_tags(element value, TagSet& out) {
  simdjson::dom::array array;
  if (value.get_array().get(array) != simdjson::SUCCESS) return false;
  for (const element each : array) {
    std::string_view tag;
    if (each.get_string().get(tag) != simdjson::SUCCESS || tag.empty()) return false;
    out.emplace_hint(out.end(), tag);
    if (out.size() > kMaxAnnouncementTags) return false;
  }
  return true;
}

bool read_metadata(element value, Metadata& out) {
  simdjson::dom::object object;
  if (value.get_object().get(object) != simdjson::SUCCESS) return false;
  for (const auto& [key, each] : object) {
    std::string_view text;
    if (each.get_string().get(text) != simdjson::SUCCESS) return false;
    out.insert_or_assign(std::string(key), std::string(text));
  }
  return true;
}

bool read_capabilities(element value, CapabilitySet& out) {
  simdjson::dom::object object;
  if (value.get_object().get(object) != simdjson::SUCCESS) return false;
  bool tags = false;
  bool metadata = false;
  for (const auto& [key, each] : object) {
    if (key == "tags" && (std::exchange(tags, true) || !read_tags(each, out.tags))) return false;
    if (key == "metadata" && (std::exchange(metadata, true) || !read_metadata(each, out.metadata)))
      return false;
  }
  return true;
}

bool read_field(Key key, element value, Announcement& out) {
  switch (key) {
    case kNodeId:
      return read_number(value, out.node_id.value);
    case kEntityId:
      return read_hex(value, out.entity_id);
    case kVersion:
      return read_number(value, out.version);
    case kTimestamp:
      return read_number(value, out.timestamp_ns);
    case kTtl:
      return read_number(value, out.ttl_secs);
    case kCapabilities:
      return read_capabilities(value, out.capabilities);
    case kHopCount:
      return read_number(value, out.hop_count);
    case kSignature: {
      if (value.is_null()) return true;
      crypto::Signature signature;
      if (!read_hex(value, signature)) return false;
      out.signature = signature;
      return true;
    }
    case kReflexAddr: {
      if (value.is_null()) return true;
      std::string_view text;
      if (value.get_string().get(text) != simdjson::SUCCESS) return false;
      out.reflex_addr = Endpoint::parse(text);
      return out.reflex_addr.has_value();
    }
  }
  return true;
}

}  // namespace

std::string Announcement::encode() const { return encode_document(*this, false); }
std::string Announcement::signed_text() const { return encode_document(*this, true); }

void Announcement::sign(const crypto::SigningKey& key) {
  signature = key.sign(as_byte_span(signed_text()));
}

bool Announcement::verify() const {
  return signature && names_its_entity() &&
         crypto::verify_signature(entity_id, as_byte_span(signed_text()), *signature);
}

bool Announcement::names_its_entity() const {
  return identity::derive_node_id(entity_id) == node_id;
}

std::uint64_t Announcement::remaining_secs(std::int64_t unix_now_ns) const {
  const auto now = static_cast<std::uint64_t>(std::max<std::int64_t>(unix_now_ns, 0));
  const std::uint64_t age = now > timestamp_ns ? (now - timestamp_ns) / 1'000'000'000 : 0;
  return ttl_secs > age ? ttl_secs - age : 0;
}

struct AnnouncementParser::Impl {
  simdjson::dom::parser parser{2 * kMaxAnnouncementBytes};
  std::string widened;

  simdjson::error_code parse(std::string_view document, simdjson::dom::object& out) {
    auto error = parser.parse(document.data(), document.size()).get_object().get(out);
    // A key that nobody knows may hold an integer that no machine word does.
    if (error != simdjson::NUMBER_ERROR) return error;
    widened = widen_integers(document);
    return parser.parse(widened.data(), widened.size()).get_object().get(out);
  }
};

AnnouncementParser::AnnouncementParser() : impl_(std::make_unique<Impl>()) {}
AnnouncementParser::~AnnouncementParser() = default;
AnnouncementParser::AnnouncementParser(AnnouncementParser&&) noexcept = default;
AnnouncementParser& AnnouncementParser::operator=(AnnouncementParser&&) noexcept = default;

Expected<Announcement> AnnouncementParser::parse(std::string_view document) {
  // Room for the hop count of a document that was as long as it may be.
  if (document.size() > kMaxAnnouncementBytes + 32)
    return refuse(std::to_string(document.size()) + " bytes exceed the limit of " +
                  std::to_string(kMaxAnnouncementBytes));
  simdjson::dom::object object;
  if (const auto error = impl_->parse(document, object))
    return refuse(simdjson::error_message(error));
  Announcement out;
  unsigned seen = 0;
  for (const auto& [name, value] : object) {
    const Key key = key_of(name);
    if (key == Key{}) continue;
    if ((seen & key) != 0) return refuse("duplicate key " + std::string(name));
    seen |= key;
    if (!read_field(key, value, out)) return refuse("invalid " + std::string(name));
  }
  if ((seen & kRequired) != kRequired) return refuse("a required key is missing");
  return out;
}

}  // namespace netmesh::capability
