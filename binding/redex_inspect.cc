#include "binding/redex_inspect.h"

#include <algorithm>

#include "binding/convert.h"
#include "redex/inspect.h"

namespace netmesh::binding {
namespace {

Napi::Number number(Napi::Env env, std::uint64_t value) {
  return Napi::Number::New(env, static_cast<double>(value));
}

/// A JavaScript function as progress; what it throws ends the work.
redex::AnalysisProgress to_progress(const Napi::Value& value, bool& stopped) {
  if (value.IsUndefined()) return {};
  if (!value.IsFunction()) throw type_error(value.Env(), "onProgress must be a function");
  const auto function = value.As<Napi::Function>();
  return [function, &stopped](std::size_t done, std::size_t total) {
    const Napi::Env env = function.Env();
    try {
      function.Call({number(env, done), number(env, total)});
    } catch (const Napi::Error& error) {
      error.ThrowAsJavaScriptException();
      stopped = true;
    }
    return !stopped;
  };
}

Napi::Object from_analysis(Napi::Env env, const redex::Analysis& analysis) {
  Napi::Object out = Napi::Object::New(env);
  out.Set("records", number(env, analysis.records));
  out.Set("keep", number(env, analysis.keep));
  out.Set("strayIndexBytes", number(env, analysis.stray_index_bytes));
  out.Set("datEnd", number(env, analysis.dat_end));
  out.Set("timestamps", number(env, analysis.timestamps));
  out.Set("nextSeq", from_u64(env, analysis.next_seq));
  Napi::Array damaged = Napi::Array::New(env, analysis.damaged.size());
  for (std::uint32_t i = 0; i < analysis.damaged.size(); ++i)
    damaged.Set(i, number(env, analysis.damaged[i]));
  out.Set("damaged", damaged);
  return out;
}

redex::LogSnapshot open_snapshot(const Napi::CallbackInfo& info) {
  const std::string directory = to_text(info[0], "directory");
  return value_or_throw(info.Env(), redex::LogSnapshot::open(redex::Storage::posix(), directory));
}

Napi::Value find_logs(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto found = value_or_throw(
      env, redex::find_logs(*redex::Storage::posix(), to_text(info[0], "directory")));
  Napi::Array out = Napi::Array::New(env, found.size());
  for (std::uint32_t i = 0; i < found.size(); ++i) out.Set(i, found[i]);
  return out;
}

Napi::Object from_event(Napi::Env env, const redex::LogSnapshot& log, std::size_t index) {
  const redex::EventView event = log.event(index);
  Napi::Object out = Napi::Object::New(env);
  out.Set("seq", from_u64(env, event.seq));
  out.Set("timestampNs", from_i64(env, event.timestamp));
  out.Set("checksum", Napi::Number::New(env, event.checksum));
  out.Set("isInline", Napi::Boolean::New(env, event.is_inline));
  out.Set("sound", Napi::Boolean::New(env, log.sound(index)));
  out.Set("payload", from_bytes(env, event.payload));
  return out;
}

Napi::Value inspect(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const redex::LogSnapshot log = open_snapshot(info);
  Napi::Object out = Napi::Object::New(env);
  out.Set("generation", number(env, log.generation()));
  out.Set("manifestValid", Napi::Boolean::New(env, log.manifest_valid()));
  out.Set("indexBytes", number(env, log.index_bytes()));
  out.Set("payloadBytes", number(env, log.payload_bytes()));
  out.Set("timestampBytes", number(env, log.timestamp_bytes()));
  out.Set("records", number(env, log.records()));
  return out;
}

Napi::Value verify(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const redex::LogSnapshot log = open_snapshot(info);
  bool stopped = false;
  const redex::Analysis analysis = log.verify(to_progress(info[1], stopped));
  if (stopped) return env.Undefined();
  return from_analysis(env, analysis);
}

Napi::Value read(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const redex::LogSnapshot log = open_snapshot(info);
  const double from = to_number(info[1], "from");
  const std::size_t first = from >= 0 && from < static_cast<double>(log.records())
                                ? static_cast<std::size_t>(from)
                                : log.records();
  const std::size_t last = std::min<std::size_t>(log.records(), first + to_u32(info[2], "count"));
  Napi::Array out = Napi::Array::New(env, last - first);
  for (std::size_t i = first; i < last; ++i) {
    const Napi::HandleScope scope(env);
    out.Set(static_cast<std::uint32_t>(i - first), from_event(env, log, i));
  }
  return out;
}

Napi::Value repair(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string directory = to_text(info[0], "directory");
  bool stopped = false;
  // Progress cannot stop this half-way.
  const auto progress = to_progress(info[1], stopped);
  const redex::RecoveryReport report =
      value_or_throw(env, redex::repair_log(redex::Storage::posix(), directory,
                                            [&](std::size_t done, std::size_t total) {
                                              if (progress && !stopped) progress(done, total);
                                              return true;
                                            }));
  if (stopped) return env.Undefined();
  Napi::Object out = from_analysis(env, report.analysis);
  out.Set("migrated", Napi::Boolean::New(env, report.migrated));
  out.Set("manifestRewritten", Napi::Boolean::New(env, report.manifest_rewritten));
  out.Set("cutRecords", number(env, report.cut_records()));
  out.Set("cutPayloadBytes", number(env, report.cut_dat_bytes));
  out.Set("filledTimestamps", number(env, report.filled_timestamps));
  out.Set("compacted", Napi::Boolean::New(env, report.compacted));
  return out;
}

}  // namespace

void export_redex_inspection(Napi::Env env, Napi::Object exports) {
  exports.Set("redexFindLogs", Napi::Function::New<find_logs>(env, "redexFindLogs"));
  exports.Set("redexInspect", Napi::Function::New<inspect>(env, "redexInspect"));
  exports.Set("redexVerify", Napi::Function::New<verify>(env, "redexVerify"));
  exports.Set("redexRead", Napi::Function::New<read>(env, "redexRead"));
  exports.Set("redexRepair", Napi::Function::New<repair>(env, "redexRepair"));
}

}  // namespace netmesh::binding
