#pragma once
// Fields of JavaScript objects, read into members and made from them. A missing, undefined or null
// field leaves its member as it is; one of a wrong type throws.

#include <napi.h>

#include <algorithm>
#include <concepts>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "binding/convert.h"

namespace netmesh::binding {

// --- reading ---

inline Napi::Object object_of(const Napi::Value& value, const char* name) {
  if (!value.IsObject()) throw type_error(value.Env(), std::string(name) + " must be an object");
  return value.As<Napi::Object>();
}

/// Calls `take(value, name)` with the field unless it is undefined or null.
template <typename Take>
void with(const Napi::Object& source, const char* name, Take&& take) {
  const Napi::Value value = source.Get(name);
  if (!value.IsUndefined() && !value.IsNull()) take(value, name);
}

/// Calls `take(element, name)` with every element of an array.
template <typename Take>
void each(const Napi::Value& value, const char* name, Take&& take) {
  if (!value.IsArray()) throw type_error(value.Env(), std::string(name) + " must be an array");
  const auto array = value.As<Napi::Array>();
  for (std::uint32_t i = 0; i < array.Length(); ++i) take(array.Get(i), name);
}

inline void take(const Napi::Object& source, const char* name, std::string& out) {
  with(source, name, [&](const Napi::Value& value, const char* n) { out = to_text(value, n); });
}
inline void take(const Napi::Object& source, const char* name, std::optional<std::string>& out) {
  with(source, name, [&](const Napi::Value& value, const char* n) { out = to_text(value, n); });
}
inline void take(const Napi::Object& source, const char* name, bool& out) {
  with(source, name, [&](const Napi::Value& value, const char* n) { out = to_bool(value, n); });
}
inline void take(const Napi::Object& source, const char* name, double& out) {
  with(source, name, [&](const Napi::Value& value, const char* n) { out = to_number(value, n); });
}
/// An integer of 32 bits; one that is too large for a narrower member counts as its largest.
template <std::unsigned_integral T>
requires(!std::same_as<T, bool>) void take(const Napi::Object& source, const char* name, T& out) {
  with(source, name, [&](const Napi::Value& value, const char* n) {
    out = static_cast<T>(std::min<std::uint64_t>(to_u32(value, n), std::numeric_limits<T>::max()));
  });
}
inline void take(const Napi::Object& source, const char* name, std::vector<std::string>& out) {
  with(source, name, [&](const Napi::Value& list, const char* n) {
    each(list, n, [&](const Napi::Value& word, const char* m) { out.push_back(to_text(word, m)); });
  });
}
/// Pairs of fewer than two words are passed over.
inline void take(const Napi::Object& source, const char* name,
                 std::vector<std::pair<std::string, std::string>>& out) {
  with(source, name, [&](const Napi::Value& list, const char* n) {
    each(list, n, [&](const Napi::Value& pair, const char* m) {
      std::vector<std::string> words;
      each(pair, m,
           [&](const Napi::Value& word, const char* w) { words.push_back(to_text(word, w)); });
      if (words.size() >= 2) out.emplace_back(words[0], words[1]);
    });
  });
}

// --- making: what says nothing is left out ---

template <typename T, typename Make>
Napi::Array array_from(Napi::Env env, const T& values, Make&& make) {
  Napi::Array out = Napi::Array::New(env, values.size());
  std::uint32_t at = 0;
  for (const auto& value : values) out.Set(at++, make(value));
  return out;
}

inline Napi::Array from_words(Napi::Env env, const std::vector<std::string>& words) {
  return array_from(env, words, [env](const std::string& w) { return Napi::String::New(env, w); });
}

inline void put(Napi::Object& out, const char* name, const std::string& value) {
  if (!value.empty()) out.Set(name, value);
}
inline void put(Napi::Object& out, const char* name, const std::optional<std::string>& value) {
  if (value) out.Set(name, *value);
}
inline void put(Napi::Object& out, const char* name, bool value) { out.Set(name, value); }
template <std::unsigned_integral T>
requires(!std::same_as<T, bool> && sizeof(T) <= 4) void put(Napi::Object& out, const char* name,
                                                            T value) {
  if (value > 0) out.Set(name, Napi::Number::New(out.Env(), value));
}
inline void put(Napi::Object& out, const char* name, const std::vector<std::string>& words) {
  if (!words.empty()) out.Set(name, from_words(out.Env(), words));
}
inline void put(Napi::Object& out, const char* name,
                const std::vector<std::pair<std::string, std::string>>& pairs) {
  if (pairs.empty()) return;
  const Napi::Env env = out.Env();
  out.Set(name, array_from(env, pairs, [env](const auto& pair) {
            return from_words(env, {pair.first, pair.second});
          }));
}

/// An object of texts. Its fields are defined, not assigned: a key may be called `__proto__`.
template <typename Map>
Napi::Object from_text_map(Napi::Env env, const Map& texts) {
  Napi::Object out = Napi::Object::New(env);
  constexpr auto kPlain =
      static_cast<napi_property_attributes>(napi_writable | napi_enumerable | napi_configurable);
  for (const auto& [key, value] : texts) {
    out.DefineProperty(Napi::PropertyDescriptor::Value(Napi::String::New(env, key),
                                                       Napi::String::New(env, value), kPlain));
  }
  return out;
}

}  // namespace netmesh::binding
