// What TypeScript asks of the bus library apart from a bus: hashing, checks, and the merging of
// pages that an adapter has fetched.

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "binding/bus.h"
#include "binding/convert.h"
#include "bus/entry.h"
#include "bus/json.h"
#include "bus/poll.h"

namespace netmesh::binding {
namespace {

std::optional<std::string> optional_text(const Napi::Value& value, const char* name) {
  if (value.IsUndefined()) return std::nullopt;
  return to_text(value, name);
}

bus::Filter to_filter(Napi::Env env, const std::string& text) {
  auto parsed = bus::Filter::parse(text);
  if (!parsed) {
    throw to_js_error(env,
                      {ErrorKind::kInvalidArgument, "Invalid filter: " + parsed.error().message});
  }
  return std::move(*parsed);
}

std::vector<bus::ShardId> to_shards(const Napi::Value& value) {
  if (!value.IsArray()) throw type_error(value.Env(), "shards must be an array");
  const auto array = value.As<Napi::Array>();
  std::vector<bus::ShardId> out;
  for (std::uint32_t i = 0; i < array.Length(); ++i)
    out.push_back(static_cast<bus::ShardId>(to_u32(array.Get(i), "shards")));
  return out;
}

bus::PollRequest to_request(const Napi::CallbackInfo& info) {
  bus::PollRequest request;
  request.limit = to_u32(info[0], "limit");
  request.cursor = optional_text(info[1], "cursor");
  const auto filter = optional_text(info[2], "filter");
  if (filter && !filter->empty()) request.filter = to_filter(info.Env(), *filter);
  request.ordering =
      to_bool(info[3], "ordered") ? bus::Ordering::kInsertionTs : bus::Ordering::kNone;
  return request;
}

bus::PollPlan make_plan(Napi::Env env, const bus::PollRequest& request,
                        const std::vector<bus::ShardId>& shards) {
  auto plan = bus::plan_poll(request, shards);
  if (!plan) {
    throw to_js_error(env, {plan.error().kind, "Poll failed: " + plan.error().message});
  }
  return std::move(*plan);
}

Napi::Value hash_payload(const Napi::CallbackInfo& info) {
  return from_u64(info.Env(), bus::hash_payload(to_bytes(info[0], "data")));
}

Napi::Value check_json(const Napi::CallbackInfo& info) {
  const std::string text = to_text(info[0], "text");
  bus::JsonReader reader;
  if (reader.parse(as_byte_span(text))) return info.Env().Undefined();
  return Napi::String::New(info.Env(), reader.error());
}

void check_filter(const Napi::CallbackInfo& info) {
  to_filter(info.Env(), to_text(info[0], "filter"));
}

Napi::Value encode_cursor(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::vector<bus::ShardId> shards = to_shards(info[0]);
  const auto positions = info[1].As<Napi::Array>();
  bus::Cursor cursor;
  for (std::uint32_t i = 0; i < shards.size(); ++i) {
    const auto position = optional_text(positions.Get(i), "positions");
    if (position) cursor[shards[i]] = *position;
  }
  return Napi::String::New(env, bus::encode_cursor(cursor));
}

Napi::Value plan_poll(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const bus::PollRequest request = to_request(info);
  const bus::PollPlan plan = make_plan(env, request, to_shards(info[4]));
  auto after = Napi::Array::New(env, plan.shards.size());
  for (std::uint32_t i = 0; i < plan.shards.size(); ++i) {
    const auto& position = plan.shards[i].after;
    after.Set(i, position ? Napi::Value(Napi::String::New(env, *position)) : env.Undefined());
  }
  auto out = Napi::Object::New(env);
  out.Set("perShard", static_cast<double>(plan.per_shard));
  out.Set("after", after);
  return out;
}

/// One shard's answer with what belongs to its events beside the payload.
struct Fetched {
  bus::ShardPage page;
  std::vector<std::uint32_t> sources;  ///< index in the answer of each event of `page`
  std::vector<bus::Entry> entries;
};

/// An answer is `{ shard, ids, entries, nextId, hasMore, failed, strict }`. Entries that cannot be
/// read are skipped; in strict answers one that is corrupt ends the page before it.
Fetched to_fetched(Napi::Env env, const Napi::Object& answer) {
  Fetched out;
  bus::ShardPage& page = out.page;
  page.shard = static_cast<bus::ShardId>(to_u32(answer.Get("shard"), "shard"));
  page.failed = to_bool(answer.Get("failed"), "failed");
  page.has_more = to_bool(answer.Get("hasMore"), "hasMore");
  page.next_id = optional_text(answer.Get("nextId"), "nextId");
  const bool strict = to_bool(answer.Get("strict"), "strict");
  if (page.failed) return out;
  const auto ids = answer.Get("ids").As<Napi::Array>();
  const auto entries = answer.Get("entries").As<Napi::Array>();
  for (std::uint32_t i = 0; i < ids.Length(); ++i) {
    const Napi::HandleScope scope(env);
    const ByteSpan bytes = to_bytes(entries.Get(i), "entries");
    std::string id = to_text(ids.Get(i), "ids");
    const auto entry = bus::read_entry(bytes);
    if (strict && !entry && entry.error() == bus::EntryProblem::kCorrupt) {
      page.next_id = page.events.empty() ? std::nullopt : std::optional(page.events.back().id);
      page.has_more = true;
      return out;
    }
    if (!entry) continue;
    page.events.push_back({std::move(id), entry->payload, entry->timestamp});
    out.sources.push_back(i);
    out.entries.push_back(*entry);
  }
  return out;
}

Napi::Array from_shards(Napi::Env env, const std::vector<bus::ShardId>& shards) {
  auto out = Napi::Array::New(env, shards.size());
  for (std::uint32_t i = 0; i < shards.size(); ++i) out.Set(i, static_cast<double>(shards[i]));
  return out;
}

Napi::Value merge_pages(const Napi::CallbackInfo& info) {
  constexpr std::size_t kColumns = 7;
  const Napi::Env env = info.Env();
  const bus::PollRequest request = to_request(info);
  const bus::PollPlan plan = make_plan(env, request, to_shards(info[4]));
  const auto answers = info[5].As<Napi::Array>();
  std::vector<Fetched> fetched;
  std::vector<bus::ShardPage> pages;
  for (std::uint32_t i = 0; i < answers.Length(); ++i) {
    fetched.push_back(to_fetched(env, answers.Get(i).As<Napi::Object>()));
    pages.push_back(fetched.back().page);
  }
  const bus::PollResult result = bus::merge_pages(request, plan, pages);

  auto columns = Napi::Float64Array::New(env, result.events.size() * kColumns);
  double* column = columns.Data();
  for (const auto& pick : result.events) {
    const Fetched& from = fetched[pick.page];
    const bus::Entry& entry = from.entries[pick.event];
    const std::uint32_t source = from.sources[pick.event];
    const Napi::HandleScope scope(env);
    const auto answer = answers.Get(pick.page).As<Napi::Object>();
    const ByteSpan whole = to_bytes(answer.Get("entries").As<Napi::Array>().Get(source), "entries");
    *column++ = pick.page;
    *column++ = source;
    *column++ = static_cast<double>(entry.payload.data() - whole.data());
    *column++ = static_cast<double>(entry.payload.size());
    *column++ = static_cast<double>(entry.timestamp);
    *column++ = entry.shard;
    *column++ = bus::is_ascii(entry.payload) ? 0 : bus::is_utf8(entry.payload) ? 1 : 2;
  }
  auto out = Napi::Object::New(env);
  out.Set("columns", columns);
  out.Set("nextId",
          result.next_id ? Napi::Value(Napi::String::New(env, *result.next_id)) : env.Undefined());
  out.Set("hasMore", result.has_more);
  out.Set("failedShards", from_shards(env, result.failed_shards));
  out.Set("stalledShards", from_shards(env, result.stalled_shards));
  return out;
}

}  // namespace

void define_bus_functions(Napi::Env env, Napi::Object exports) {
  exports.Set("hashPayload", Napi::Function::New<hash_payload>(env, "hashPayload"));
  exports.Set("checkJson", Napi::Function::New<check_json>(env, "checkJson"));
  exports.Set("checkFilter", Napi::Function::New<check_filter>(env, "checkFilter"));
  exports.Set("encodeCursor", Napi::Function::New<encode_cursor>(env, "encodeCursor"));
  exports.Set("planPoll", Napi::Function::New<plan_poll>(env, "planPoll"));
  exports.Set("mergePages", Napi::Function::New<merge_pages>(env, "mergePages"));
}

}  // namespace netmesh::binding
