#include "binding/node.h"

#include <cmath>
#include <limits>
#include <thread>
#include <utility>

#include "base/hex.h"
#include "binding/stream.h"

namespace netmesh::binding {
namespace {

constexpr std::size_t kConsumedFields = 3;
constexpr std::size_t kAllBytes = std::numeric_limits<std::size_t>::max();

/// Runs `onReady` on the JavaScript thread.
void call_on_ready(napi_env env, napi_value on_ready, void*, void*) {
  if (env == nullptr) return;  // the environment is going away
  napi_value undefined = nullptr;
  if (napi_get_undefined(env, &undefined) != napi_ok) return;
  if (napi_call_function(env, undefined, on_ready, 0, nullptr, nullptr) != napi_pending_exception)
    return;
  // Node would only warn about an exception here; it is as uncaught as any other.
  napi_value exception = nullptr;
  if (napi_get_and_clear_last_exception(env, &exception) == napi_ok)
    napi_fatal_exception(env, exception);
}

napi_threadsafe_function make_thread_signal(Napi::Env env, const Napi::Function& on_ready) {
  napi_threadsafe_function signal = nullptr;
  const auto name = Napi::String::New(env, "netmesh:ready");
  check(env, napi_create_threadsafe_function(env, on_ready, nullptr, name, 0, 1, nullptr, nullptr,
                                             nullptr, call_on_ready, &signal));
  // Whether a node keeps the process alive is for TypeScript to say.
  check(env, napi_unref_threadsafe_function(env, signal));
  return signal;
}

std::uint64_t to_count(Napi::Env env, double number, double most) {
  if (!(number >= 0 && number <= most) || number != std::floor(number)) {
    throw range_error(env, "entries must hold non-negative integers");
  }
  return static_cast<std::uint64_t>(number);
}

}  // namespace

/// `thread` reaches `onReady` from any thread through the loop; within a turn of this thread it is
/// called right afterwards.
struct NodeWrap::Signal {
  Signal(Napi::Env env, const Napi::Function& on_ready)
      : thread(make_thread_signal(env, on_ready)),
        function(Napi::Persistent(on_ready)),
        context(env, "netmesh:ready"),
        javascript(std::this_thread::get_id()) {}
  ~Signal() { napi_release_threadsafe_function(thread, napi_tsfn_abort); }

  void operator()() {
    if (std::this_thread::get_id() == javascript && in_turn)
      pending = true;
    else
      napi_call_threadsafe_function(thread, nullptr, napi_tsfn_nonblocking);
  }

  const napi_threadsafe_function thread;
  Napi::FunctionReference function;
  Napi::AsyncContext context;
  const std::thread::id javascript;
  bool in_turn = false;  ///< JavaScript thread only, like `pending`
  bool pending = false;
};

Napi::Function NodeWrap::define(Napi::Env env) {
  return DefineClass(
      env, "NativeNode",
      {
          InstanceMethod<&NodeWrap::node_id>("nodeId"),
          InstanceMethod<&NodeWrap::entity_id>("entityId"),
          InstanceMethod<&NodeWrap::public_key>("publicKey"),
          InstanceMethod<&NodeWrap::local_addr>("localAddr"),
          InstanceMethod<&NodeWrap::start>("start"),
          InstanceAccessor<&NodeWrap::started>("started"),
          InstanceMethod<&NodeWrap::connect>("connect"),
          InstanceMethod<&NodeWrap::accept>("accept"),
          InstanceMethod<&NodeWrap::cancel>("cancel"),
          InstanceMethod<&NodeWrap::disconnect>("disconnect"),
          InstanceMethod<&NodeWrap::add_route>("addRoute"),
          InstanceMethod<&NodeWrap::remove_route>("removeRoute"),
          InstanceMethod<&NodeWrap::set_blocked>("setBlocked"),
          InstanceMethod<&NodeWrap::peer_count>("peerCount"),
          InstanceMethod<&NodeWrap::peers>("peers"),
          InstanceMethod<&NodeWrap::open_stream>("openStream"),
          InstanceMethod<&NodeWrap::close_stream>("closeStream"),
          InstanceMethod<&NodeWrap::send_to_address>("sendToAddress"),
          InstanceMethod<&NodeWrap::send_to_peer>("sendToPeer"),
          InstanceMethod<&NodeWrap::stream_stats>("streamStats"),
          InstanceMethod<&NodeWrap::all_stream_stats>("allStreamStats"),
          InstanceMethod<&NodeWrap::counters>("counters"),
          InstanceMethod<&NodeWrap::drain>("drain"),
          InstanceMethod<&NodeWrap::consume>("consume"),
          InstanceMethod<&NodeWrap::announce>("announce"),
          InstanceMethod<&NodeWrap::find_nodes>("findNodes"),
          InstanceMethod<&NodeWrap::find_best_node>("findBestNode"),
          InstanceMethod<&NodeWrap::capability_aggregate>("capabilityAggregate"),
          InstanceMethod<&NodeWrap::capability_capacity_ranking>("capabilityCapacityRanking"),
          InstanceMethod<&NodeWrap::capabilities_of>("capabilitiesOf"),
          InstanceMethod<&NodeWrap::subnet_of>("subnetOf"),
          InstanceMethod<&NodeWrap::watch_capabilities>("watchCapabilities"),
          InstanceMethod<&NodeWrap::unwatch_capabilities>("unwatchCapabilities"),
          InstanceMethod<&NodeWrap::poll_watch>("pollWatch"),
          InstanceMethod<&NodeWrap::take_announcement>("takeAnnouncement"),
          InstanceMethod<&NodeWrap::inject_synthetic_peer>("injectSyntheticPeer"),
          InstanceMethod<&NodeWrap::register_channel>("registerChannel"),
          InstanceMethod<&NodeWrap::unregister_channel>("unregisterChannel"),
          InstanceMethod<&NodeWrap::subscribe>("subscribe"),
          InstanceMethod<&NodeWrap::unsubscribe>("unsubscribe"),
          InstanceMethod<&NodeWrap::cancel_membership>("cancelMembership"),
          InstanceMethod<&NodeWrap::publish>("publish"),
          InstanceMethod<&NodeWrap::channels>("channels"),
          InstanceMethod<&NodeWrap::subscribers>("subscribers"),
          InstanceMethod<&NodeWrap::subscriptions>("subscriptions"),
          InstanceMethod<&NodeWrap::install_credential>("installCredential"),
          InstanceMethod<&NodeWrap::revoke_below>("revokeBelow"),
          InstanceMethod<&NodeWrap::shutdown>("shutdown"),
          InstanceMethod<&NodeWrap::close>("close"),
          InstanceMethod<&NodeWrap::ref>("ref"),
          InstanceMethod<&NodeWrap::unref>("unref"),
      });
}

NodeWrap::NodeWrap(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<NodeWrap>(info), env_(info.Env()) {
  const Napi::Env env = info.Env();
  runtime::NodeOptions options = to_node_options(info[0]);
  if (!info[1].IsFunction()) throw type_error(env, "onReady must be a function");

  signal_ = std::make_unique<Signal>(env, info[1].As<Napi::Function>());
  // The node's thread has ended before the signal goes.
  auto node = runtime::Node::create(std::move(options), [signal = signal_.get()] { (*signal)(); });
  if (!node) {
    signal_.reset();
    throw to_js_error(env, node.error());
  }
  node_ = std::move(*node);
  conversation_ = ConversationWatch::create(env, node_->conversation_descriptor(), [this] {
    signal_->in_turn = true;
    node_->receive();
    signal_->in_turn = false;
    if (std::exchange(signal_->pending, false)) call_on_ready();
  });
  // Added after the signal's own hook, hence run before it: the thread never signals what is gone.
  napi_add_env_cleanup_hook(env, close_with_environment, this);
}

NodeWrap::~NodeWrap() { close_now(); }

void NodeWrap::close_with_environment(void* self) { static_cast<NodeWrap*>(self)->close_now(); }

void NodeWrap::close_now() {
  if (!node_) return;
  napi_remove_env_cleanup_hook(env_, close_with_environment, this);
  conversation_.reset();
  node_.reset();
  signal_.reset();
}

void NodeWrap::call_on_ready() {
  const Napi::Env env(env_);
  const Napi::HandleScope scope(env);
  napi_value result = nullptr;
  const napi_status status = napi_make_callback(env, signal_->context, env.Global(),
                                                signal_->function.Value(), 0, nullptr, &result);
  if (status != napi_pending_exception) return;
  napi_value exception = nullptr;
  if (napi_get_and_clear_last_exception(env, &exception) == napi_ok)
    napi_fatal_exception(env, exception);
}

runtime::Node& NodeWrap::node(Napi::Env env) {
  if (!node_) throw to_js_error(env, {ErrorKind::kShutDown, "MeshNode has been shut down"});
  return *node_;
}

Napi::Value NodeWrap::node_id(const Napi::CallbackInfo& info) {
  return from_u64(info.Env(), node(info.Env()).node_id());
}

Napi::Value NodeWrap::entity_id(const Napi::CallbackInfo& info) {
  return from_bytes(info.Env(), node(info.Env()).entity_id());
}

Napi::Value NodeWrap::public_key(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), to_hex(node(info.Env()).public_key()));
}

Napi::Value NodeWrap::local_addr(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), node(info.Env()).local_address());
}

void NodeWrap::start(const Napi::CallbackInfo& info) { node(info.Env()).start(); }

Napi::Value NodeWrap::started(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), node(info.Env()).started());
}

Napi::Value NodeWrap::connect(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  runtime::Node& self = node(env);
  const std::string address = to_text(info[0], "addr");
  const std::uint64_t peer = to_u64(info[2]);
  const bool routed = to_bool(info[3], "routed");
  const std::optional<double> timeout_ms = to_optional_number(info[4], "timeoutMs");
  const ByteSpan public_key = to_bytes(info[1], "publicKey");
  return Napi::Number::New(
      env, value_or_throw(env, self.connect(address, public_key, peer, routed, timeout_ms)));
}

Napi::Value NodeWrap::accept(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Napi::Number::New(env, value_or_throw(env, node(env).accept(to_u64(info[0]))));
}

void NodeWrap::cancel(const Napi::CallbackInfo& info) {
  node(info.Env()).cancel(to_u32(info[0], "request"));
}

void NodeWrap::disconnect(const Napi::CallbackInfo& info) {
  node(info.Env()).disconnect(to_u64(info[0]));
}

void NodeWrap::add_route(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  value_or_throw(env, node(env).add_route(to_u64(info[0]), to_text(info[1], "nextHop")));
}

void NodeWrap::remove_route(const Napi::CallbackInfo& info) {
  node(info.Env()).remove_route(to_u64(info[0]));
}

void NodeWrap::set_blocked(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  value_or_throw(env, node(env).set_blocked(to_text(info[0], "addr"), to_bool(info[1], "blocked")));
}

Napi::Value NodeWrap::peer_count(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(node(info.Env()).peer_count()));
}

Napi::Value NodeWrap::peers(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::vector<runtime::PeerInfo> peers = node(env).peers();
  Napi::Array out = Napi::Array::New(env, peers.size());
  for (std::uint32_t i = 0; i < peers.size(); ++i) {
    const Napi::HandleScope scope(env);
    out.Set(i, from_peer_info(env, peers[i]));
  }
  return out;
}

Napi::Value NodeWrap::open_stream(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  auto stream =
      node(env).open_stream(to_u64(info[0]), to_u64(info[1]), to_bool(info[2], "reliable"),
                            to_u32(info[3], "windowBytes"), to_u32(info[4], "fairnessWeight"),
                            to_u32(info[5], "priority"));
  return StreamWrap::create(env, value_or_throw(env, std::move(stream)));
}

void NodeWrap::close_stream(const Napi::CallbackInfo& info) {
  node(info.Env()).close_stream(to_u64(info[0]), to_u64(info[1]));
}

void NodeWrap::send_to_address(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string address = to_text(info[0], "addr");
  events_.read(env, info[1], 0, kAllBytes);
  value_or_throw(env, node(env).send_to_address(address, events_.data(), events_.size()));
}

void NodeWrap::send_to_peer(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::uint64_t peer = to_u64(info[0]);
  events_.read(env, info[1], 0, kAllBytes);
  value_or_throw(env, node(env).send_to_peer(peer, events_.data(), events_.size()));
}

Napi::Value NodeWrap::stream_stats(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto stats = node(env).stream_stats(to_u64(info[0]), to_u64(info[1]));
  return stats ? Napi::Value(from_stream_stats(env, *stats)) : env.Null();
}

Napi::Value NodeWrap::all_stream_stats(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::vector<runtime::StreamStats> stats = node(env).all_stream_stats(to_u64(info[0]));
  Napi::Array out = Napi::Array::New(env, stats.size());
  for (std::uint32_t i = 0; i < stats.size(); ++i) {
    const Napi::HandleScope scope(env);
    out.Set(i, from_stream_stats(env, stats[i]));
  }
  return out;
}

Napi::Value NodeWrap::counters(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Object out = Napi::Object::New(env);
  for (const runtime::Counter& counter : node(env).counters())
    out.Set(counter.name, from_u64(env, counter.value));
  return out;
}

Napi::Value NodeWrap::drain(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  runtime::Drained drained = node(env).drain();
  Napi::Array events = Napi::Array::New(env, drained.events.size());
  for (std::uint32_t i = 0; i < drained.events.size(); ++i) {
    const Napi::HandleScope scope(env);
    events.Set(i, from_control_event(env, drained.events[i]));
  }
  Napi::Array blocks = Napi::Array::New(env, drained.blocks.size());
  for (std::uint32_t i = 0; i < drained.blocks.size(); ++i) {
    const Napi::HandleScope scope(env);
    blocks.Set(i, from_block(env, small_blocks_, std::move(drained.blocks[i])));
  }
  Napi::Object out = Napi::Object::New(env);
  out.Set("events", events);
  out.Set("blocks", blocks);
  return out;
}

void NodeWrap::consume(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  runtime::Node& self = node(env);
  const std::uint32_t count = to_u32(info[1], "count");
  if (!info[0].IsTypedArray() ||
      info[0].As<Napi::TypedArray>().TypedArrayType() != napi_float64_array) {
    throw type_error(env, "entries must be a Float64Array");
  }
  const auto entries = info[0].As<Napi::Float64Array>();
  if (entries.ElementLength() / kConsumedFields < count)
    throw range_error(env, "count exceeds the entries");

  consumed_.clear();
  const double* fields = entries.Data();
  for (std::uint32_t i = 0; i < count; ++i, fields += kConsumedFields) {
    consumed_.push_back({static_cast<std::uint32_t>(to_count(env, fields[0], 4294967295.0)),
                         to_count(env, fields[1], 9007199254740991.0),
                         to_count(env, fields[2], 9007199254740991.0)});
  }
  self.consume(consumed_.data(), consumed_.size());
}

void NodeWrap::shutdown(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const double drain_ms = to_number(info[0], "drainMs");
  if (!(drain_ms >= 0)) throw range_error(env, "drainMs must be a non-negative number");
  node(env).shutdown(drain_ms);
}

void NodeWrap::close(const Napi::CallbackInfo&) { close_now(); }

void NodeWrap::ref(const Napi::CallbackInfo& info) {
  node(info.Env());
  check(info.Env(), napi_ref_threadsafe_function(info.Env(), signal_->thread));
}

void NodeWrap::unref(const Napi::CallbackInfo& info) {
  node(info.Env());
  check(info.Env(), napi_unref_threadsafe_function(info.Env(), signal_->thread));
}

}  // namespace netmesh::binding
