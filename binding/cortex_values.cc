#include "binding/cortex_values.h"

#include <cmath>

#include "binding/convert.h"

namespace netmesh::binding {
namespace {

constexpr double kLargestSafeInteger = 9007199254740991.0;

/// Reads the properties that are there.
class Options {
 public:
  explicit Options(const Napi::Value& value) {
    if (!value.IsObject()) throw type_error(value.Env(), "filter must be an object");
    object_ = value.As<Napi::Object>();
  }

  template <typename Use>
  void with(const char* name, Use use) const {
    const Napi::Value value = object_.Get(name);
    if (!value.IsUndefined()) use(value);
  }

  void range(const char* after, const char* before, cortex::Range& out) const {
    with(after, [&](const Napi::Value& value) { out.first = to_u64_or_integer(value); });
    with(before, [&](const Napi::Value& value) { out.last = to_u64_or_integer(value); });
  }

  void common(cortex::CommonFilter& out) const {
    range("createdAfterNs", "createdBeforeNs", out.created);
    range("updatedAfterNs", "updatedBeforeNs", out.updated);
    with("order", [&](const Napi::Value& value) {
      const std::uint32_t order = to_u32(value, "order");
      if (order >= 2 * cortex::kOrderKeys) throw range_error(value.Env(), "order must be below 6");
      out.order = {static_cast<cortex::OrderKey>(order / 2), order % 2 == 1};
    });
    with("limit", [&](const Napi::Value& value) { out.limit = to_u32(value, "limit"); });
  }

 private:
  Napi::Object object_;
};

}  // namespace

std::uint64_t to_u64_or_integer(const Napi::Value& value) {
  std::uint64_t out = 0;
  bool lossless = false;
  const napi_status status = napi_get_value_bigint_uint64(value.Env(), value, &out, &lossless);
  if (status == napi_ok && lossless) return out;
  if (status == napi_bigint_expected && value.IsNumber()) {
    const double number = value.As<Napi::Number>().DoubleValue();
    if (number >= 0 && number <= kLargestSafeInteger && number == std::floor(number))
      return static_cast<std::uint64_t>(number);
    throw range_error(value.Env(), "expected non-negative BigInt");
  }
  return to_u64(value);  // says what is wrong
}

std::string_view TextArgument::read(const Napi::Value& value, const char* name) {
  const napi_env env = value.Env();
  std::size_t size = 0;
  const napi_status status = napi_get_value_string_utf8(env, value, short_, sizeof short_, &size);
  if (status != napi_ok) throw type_error(env, std::string(name) + " must be a string");
  // A character may not have fitted at the very end.
  if (size < sizeof short_ - 4) return {short_, size};
  long_ = to_text(value, name);
  return long_;
}

std::vector<std::string> to_texts(const Napi::Value& value, const char* name) {
  if (!value.IsArray())
    throw type_error(value.Env(), std::string(name) + " must be an array of strings");
  const auto array = value.As<Napi::Array>();
  std::vector<std::string> out;
  const std::uint32_t length = array.Length();
  for (std::uint32_t i = 0; i < length; ++i) out.push_back(to_text(array.Get(i), name));
  return out;
}

cortex::TaskFilter to_filter(const Napi::Value& value, const cortex::TasksModel*) {
  cortex::TaskFilter filter;
  if (value.IsUndefined()) return filter;
  const Options options(value);
  options.common(filter.common);
  options.with("status", [&](const Napi::Value& status) {
    filter.status = to_u32(status, "status") == 0 ? cortex::TaskStatus::kPending
                                                  : cortex::TaskStatus::kCompleted;
  });
  options.with("titleContains", [&](const Napi::Value& part) {
    filter.lower_title_part = cortex::to_lower(to_text(part, "titleContains"));
  });
  return filter;
}

cortex::MemoryFilter to_filter(const Napi::Value& value, const cortex::MemoriesModel*) {
  cortex::MemoryFilter filter;
  if (value.IsUndefined()) return filter;
  const Options options(value);
  options.common(filter.common);
  options.with("source",
               [&](const Napi::Value& source) { filter.source = to_text(source, "source"); });
  options.with("contentContains", [&](const Napi::Value& part) {
    filter.lower_content_part = cortex::to_lower(to_text(part, "contentContains"));
  });
  options.with("tag", [&](const Napi::Value& tag) { filter.tag = to_text(tag, "tag"); });
  options.with("anyTag",
               [&](const Napi::Value& tags) { filter.any_tag = to_texts(tags, "anyTag"); });
  options.with("allTags",
               [&](const Napi::Value& tags) { filter.all_tags = to_texts(tags, "allTags"); });
  options.with("pinned",
               [&](const Napi::Value& pinned) { filter.pinned = to_bool(pinned, "pinned"); });
  return filter;
}

}  // namespace netmesh::binding
