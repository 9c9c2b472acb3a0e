#include "binding/convert.h"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "binding/identity.h"

namespace netmesh::binding {
namespace {

/// Up to this size a copy into memory of JavaScript's own is cheaper than handing a block over.
constexpr std::size_t kCopyBytes = 4 * 1024;
constexpr double kLargestSafeInteger = 9007199254740991.0;

const char* code_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kInvalidArgument:
      return "ERR_NETMESH_INVALID_ARGUMENT";
    case ErrorKind::kIdentity:
      return "ERR_NETMESH_IDENTITY";
    case ErrorKind::kToken:
      return "ERR_NETMESH_TOKEN";
    case ErrorKind::kCapability:
      return "ERR_NETMESH_CAPABILITY";
    case ErrorKind::kBackpressure:
      return "ERR_NETMESH_BACKPRESSURE";
    case ErrorKind::kNotConnected:
      return "ERR_NETMESH_NOT_CONNECTED";
    case ErrorKind::kTooLarge:
      return "ERR_NETMESH_TOO_LARGE";
    case ErrorKind::kConnection:
      return "ERR_NETMESH_CONNECTION";
    case ErrorKind::kFatal:
      return "ERR_NETMESH_FATAL";
    case ErrorKind::kShutDown:
      return "ERR_NETMESH_SHUT_DOWN";
    case ErrorKind::kChannel:
      return "ERR_NETMESH_CHANNEL";
    case ErrorKind::kChannelDenied:
      return "ERR_NETMESH_CHANNEL_UNAUTHORIZED";
    case ErrorKind::kRedex:
      return "ERR_NETMESH_REDEX";
    case ErrorKind::kRedexClosed:
      return "ERR_NETMESH_REDEX_CLOSED";
    case ErrorKind::kRedexTooLarge:
      return "ERR_NETMESH_REDEX_TOO_LARGE";
    case ErrorKind::kRedexLagged:
      return "ERR_NETMESH_REDEX_LAGGED";
    case ErrorKind::kRedexIo:
      return "ERR_NETMESH_REDEX_IO";
    case ErrorKind::kRedexInUse:
      return "ERR_NETMESH_REDEX_IN_USE";
    case ErrorKind::kCortex:
      return "ERR_NETMESH_CORTEX";
    case ErrorKind::kNetDb:
      return "ERR_NETMESH_NETDB";
  }
  return "ERR_NETMESH_FATAL";
}

template <typename T>
Napi::Error with_code(T error, const char* code) {
  error.Set("code", Napi::String::New(error.Env(), code));
  return error;
}

Napi::Error wrong_type(const Napi::Value& value, const char* name, const char* expected) {
  return type_error(value.Env(), std::string(name) + " must be " + expected);
}

std::uint64_t to_size(const Napi::Value& value, const char* name) {
  const double number = to_number(value, name);
  if (!(number >= 0) || number > kLargestSafeInteger || number != std::floor(number)) {
    throw range_error(value.Env(), std::string(name) + " must be a non-negative integer");
  }
  return static_cast<std::uint64_t>(number);
}

/// Copies the property of `options` into `target` through `convert`, unless it is undefined.
template <typename Target, typename Convert>
void take_option(const Napi::Object& options, const char* name, Target& target, Convert&& convert) {
  const Napi::Value value = options.Get(name);
  if (!value.IsUndefined()) target = convert(value, name);
}

Bytes copy_bytes(const Napi::Value& value, const char* name) {
  const ByteSpan bytes = to_bytes(value, name);
  return {bytes.begin(), bytes.end()};
}

void set(Napi::Object object, const char* name, std::uint64_t value) {
  object.Set(name, from_u64(object.Env(), value));
}
void set(Napi::Object object, const char* name, std::int64_t value) {
  object.Set(name, from_i64(object.Env(), value));
}
void set(Napi::Object object, const char* name, std::uint32_t value) {
  object.Set(name, Napi::Number::New(object.Env(), value));
}
void set(Napi::Object object, const char* name, bool value) {
  object.Set(name, Napi::Boolean::New(object.Env(), value));
}
void set(Napi::Object object, const char* name, const std::string& value) {
  object.Set(name, Napi::String::New(object.Env(), value));
}
void set(Napi::Object object, const char* name, const char* value) {
  object.Set(name, Napi::String::New(object.Env(), value));
}
void set(Napi::Object object, const char* name, std::optional<double> value) {
  const Napi::Env env = object.Env();
  object.Set(name, value ? Napi::Value(Napi::Number::New(env, *value)) : env.Null());
}
void set(Napi::Object object, const char* name, const std::optional<Error>& error) {
  if (error) object.Set(name, to_js_error(object.Env(), *error).Value());
}

/// `size` bytes of JavaScript's own memory.
Napi::Value copy_to_array_buffer(Napi::Env env, const void* bytes, std::size_t size) {
  void* data = nullptr;
  napi_value buffer = nullptr;
  check(env, napi_create_arraybuffer(env, size, &data, &buffer));
  if (size > 0) std::memcpy(data, bytes, size);
  return {env, buffer};
}

}  // namespace

Napi::Error to_js_error(Napi::Env env, const Error& error) {
  return with_code(Napi::Error::New(env, error.message), code_of(error.kind));
}

Napi::Error type_error(Napi::Env env, const std::string& text) {
  return with_code(Napi::TypeError::New(env, text), "ERR_INVALID_ARG_TYPE");
}

Napi::Error range_error(Napi::Env env, const std::string& text) {
  return with_code(Napi::RangeError::New(env, text), "ERR_OUT_OF_RANGE");
}

void check(Napi::Env env, napi_status status) {
  if (status != napi_ok) throw Napi::Error::New(env);
}

std::uint64_t to_u64(const Napi::Value& value) {
  const Napi::Env env = value.Env();
  if (!value.IsBigInt()) throw type_error(env, "expected non-negative BigInt");
  int negative = 0;
  std::size_t count = 1;
  std::uint64_t word = 0;
  check(env, napi_get_value_bigint_words(env, value, &negative, &count, &word));
  if (negative != 0) throw range_error(env, "expected non-negative BigInt");
  if (count > 1) throw range_error(env, "BigInt value exceeds u64 range");
  return word;
}

double to_number(const Napi::Value& value, const char* name) {
  if (!value.IsNumber()) throw wrong_type(value, name, "a number");
  return value.As<Napi::Number>().DoubleValue();
}

std::uint32_t to_u32(const Napi::Value& value, const char* name) {
  const double number = to_number(value, name);
  if (!(number >= 0 && number <= 4294967295.0) || number != std::floor(number)) {
    throw range_error(value.Env(), std::string(name) + " must be an integer in [0, 4294967295]");
  }
  return static_cast<std::uint32_t>(number);
}

bool to_bool(const Napi::Value& value, const char* name) {
  if (!value.IsBoolean()) throw wrong_type(value, name, "a boolean");
  return value.As<Napi::Boolean>().Value();
}

std::string to_text(const Napi::Value& value, const char* name) {
  if (!value.IsString()) throw wrong_type(value, name, "a string");
  return value.As<Napi::String>().Utf8Value();
}

ByteSpan to_bytes(const Napi::Value& value, const char* name) {
  napi_typedarray_type type = napi_int8_array;
  std::size_t length = 0;
  void* data = nullptr;
  const napi_status status =
      napi_get_typedarray_info(value.Env(), value, &type, &length, &data, nullptr, nullptr);
  if (status != napi_ok || type != napi_uint8_array) throw wrong_type(value, name, "a Uint8Array");
  return {static_cast<const std::byte*>(data), length};
}

std::optional<double> to_optional_number(const Napi::Value& value, const char* name) {
  if (value.IsUndefined()) return std::nullopt;
  return to_number(value, name);
}

runtime::NodeOptions to_node_options(const Napi::Value& value) {
  if (!value.IsObject()) throw wrong_type(value, "options", "an object");
  const auto source = value.As<Napi::Object>();
  runtime::NodeOptions options;
  options.bind_address = to_text(source.Get("bindAddr"), "bindAddr");
  options.psk = copy_bytes(source.Get("psk"), "psk");
  take_option(
      source, "identitySeed", options.identity_seed, [](const Napi::Value& seed, const char* name) {
        Bytes bytes = copy_bytes(seed, name);
        // The runtime takes an empty seed for none.
        if (bytes.empty()) {
          throw to_js_error(seed.Env(),
                            {ErrorKind::kInvalidArgument, "identity_seed must be 32 bytes, got 0"});
        }
        return bytes;
      });
  take_option(source, "noiseSecret", options.noise_secret, copy_bytes);
  take_option(source, "heartbeatIntervalMs", options.heartbeat_interval_ms, to_number);
  take_option(source, "sessionTimeoutMs", options.session_timeout_ms, to_number);
  take_option(source, "handshakeTimeoutMs", options.handshake_timeout_ms, to_number);
  take_option(source, "handshakeRetries", options.handshake_retries, to_u32);
  take_option(source, "allowLegacyPeers", options.allow_legacy_peers, to_bool);
  take_option(source, "aead", options.aead, to_text);
  take_option(source, "congestion", options.congestion, to_text);
  take_option(source, "streamReceiveWindow", options.stream_receive_window, to_size);
  take_option(source, "sessionReceiveWindow", options.session_receive_window, to_size);
  take_option(source, "maxStreamReceiveWindow", options.max_stream_receive_window, to_size);
  take_option(source, "maxSessionReceiveWindow", options.max_session_receive_window, to_size);
  take_option(source, "maxDatagramBytes", options.max_datagram_bytes, to_u32);
  take_option(source, "rekeyIntervalMs", options.rekey_interval_ms, to_number);
  take_option(source, "keyUpdatePackets", options.key_update_packets, to_size);
  take_option(source, "maxMessageBytes", options.max_message_bytes, to_u32);
  take_option(source, "maxQueuedBytes", options.max_queued_bytes, to_size);
  take_option(source, "maxPeers", options.max_peers, to_u32);
  take_option(source, "requireSignedCapabilities", options.require_signed_capabilities, to_bool);
  take_option(source, "capabilityGcIntervalMs", options.capability_gc_interval_ms, to_number);
  take_option(source, "announceIntervalMs", options.announce_interval_ms, to_number);
  take_option(source, "tokenSweepIntervalMs", options.token_sweep_interval_ms, to_number);
  take_option(source, "membershipAckTimeoutMs", options.membership_ack_timeout_ms, to_number);
  take_option(source, "publishTimeoutMs", options.publish_timeout_ms, to_number);
  take_option(source, "subnet", options.subnet, [](const Napi::Value& levels, const char* name) {
    return identity::SubnetId(to_u32(levels, name));
  });
  take_option(
      source, "subnetPolicy", options.subnet_policy,
      [](const Napi::Value& rules, const char*) { return std::optional(to_subnet_policy(rules)); });
  take_option(source, "socketBufferBytes", options.socket_buffer_bytes, to_u32);
  take_option(source, "offload", options.offload, to_bool);
  return options;
}

void EventList::read(Napi::Env env, napi_value array, std::uint32_t from,
                     std::size_t enough_bytes) {
  bool is_array = false;
  check(env, napi_is_array(env, array, &is_array));
  if (!is_array) throw type_error(env, "events must be an array of Uint8Arrays");
  std::uint32_t length = 0;
  check(env, napi_get_array_length(env, array, &length));

  // Elements first: reading one can run JavaScript (a getter), which could pull the memory away
  // from under a view taken before. It could even come back here, so the members are filled at the
  // end.
  std::vector<napi_value> values = std::move(values_);
  values.clear();
  for (std::uint32_t i = from; i < length; ++i) {
    napi_value element = nullptr;
    check(env, napi_get_element(env, array, i, &element));
    values.push_back(element);
  }
  views_.clear();
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < values.size() && bytes < enough_bytes; ++i) {
    napi_typedarray_type type = napi_int8_array;
    std::size_t size = 0;
    void* data = nullptr;
    const napi_status status =
        napi_get_typedarray_info(env, values[i], &type, &size, &data, nullptr, nullptr);
    if (status != napi_ok || type != napi_uint8_array) {
      throw type_error(env, "events[" + std::to_string(from + i) + "] must be a Uint8Array");
    }
    views_.push_back({static_cast<const std::byte*>(data), size});
    bytes += size;
  }
  values_ = std::move(values);
}

Napi::Value from_u64(Napi::Env env, std::uint64_t value) { return Napi::BigInt::New(env, value); }
Napi::Value from_i64(Napi::Env env, std::int64_t value) { return Napi::BigInt::New(env, value); }

Napi::Value from_bytes(Napi::Env env, ByteSpan bytes) {
  return Napi::Buffer<std::byte>::Copy(env, bytes.data(), bytes.size());
}

Napi::Value from_congestion(Napi::Env env, const std::optional<runtime::CongestionInfo>& info) {
  if (!info) return env.Null();
  const auto number = [](auto value) { return std::optional<double>(static_cast<double>(value)); };
  Napi::Object out = Napi::Object::New(env);
  set(out, "algorithm", info->algorithm);
  set(out, "phase", info->phase);
  set(out, "windowBytes", number(info->window_bytes));
  set(out, "bytesInFlight", number(info->bytes_in_flight));
  set(out, "pacingBytesPerSecond", info->pacing_rate);
  set(out, "bandwidthBytesPerSecond", info->bandwidth);
  set(out, "ambientLoss", number(info->ambient_loss));
  set(out, "spuriousLosses", info->spurious_losses);
  set(out, "congestionEvents", info->events);
  set(out, "undoneEvents", info->undone_events);
  set(out, "persistentCongestions", info->persistent_congestions);
  set(out, "probeTimeouts", info->probe_timeouts);
  return out;
}

Napi::Value from_slab(Napi::Env env, Slab slab) {
  const std::size_t size = slab.size();
  if (size <= kCopyBytes) return copy_to_array_buffer(env, slab.data(), size);
  napi_value buffer = nullptr;
  const napi_status status = napi_create_external_arraybuffer(
      env, slab.data(), size,
      [](napi_env, void* data, void* capacity) {
        BlockCache::give(static_cast<std::byte*>(data), reinterpret_cast<std::uintptr_t>(capacity));
      },
      reinterpret_cast<void*>(static_cast<std::uintptr_t>(slab.capacity())), &buffer);
  // Some embedders of V8 allow no memory but their own.
  if (status == napi_no_external_buffers_allowed)
    return copy_to_array_buffer(env, slab.data(), size);
  check(env, status);
  slab.release();
  return {env, buffer};
}

Napi::Object from_peer_info(Napi::Env env, const runtime::PeerInfo& peer) {
  Napi::Object out = Napi::Object::New(env);
  set(out, "nodeId", peer.node_id);
  set(out, "addr", peer.address);
  set(out, "relayed", peer.relayed);
  set(out, "security", peer.modern ? "modern" : "legacy");
  set(out, "alive", peer.alive);
  set(out, "aead", peer.aead);
  out.Set("entityId", peer.entity_id.empty() ? env.Null() : from_bytes(env, peer.entity_id));
  set(out, "rttMs", peer.rtt_ms);
  set(out, "rttMinMs", peer.rtt_min_ms);
  set(out, "bytesSent", peer.bytes_sent);
  set(out, "bytesReceived", peer.bytes_received);
  set(out, "packetsSent", peer.packets_sent);
  set(out, "packetsReceived", peer.packets_received);
  set(out, "packetsLost", peer.packets_lost);
  set(out, "bytesRetransmitted", peer.bytes_retransmitted);
  set(out, "connectedAtNs", peer.connected_at_ns);
  set(out, "lastActivityNs", peer.last_activity_ns);
  set(out, "streams", peer.streams);
  out.Set("congestion", from_congestion(env, peer.congestion));
  return out;
}

Napi::Object from_stream_stats(Napi::Env env, const runtime::StreamStats& stats) {
  Napi::Object out = Napi::Object::New(env);
  set(out, "streamId", stats.stream_id);
  set(out, "txSeq", stats.tx_seq);
  set(out, "rxSeq", stats.rx_seq);
  set(out, "inboundPending", stats.inbound_pending);
  set(out, "lastActivityNs", stats.last_activity_ns);
  set(out, "active", stats.active);
  set(out, "backpressureEvents", stats.backpressure_events);
  set(out, "creditGrantsReceived", stats.credit_grants_received);
  set(out, "creditGrantsSent", stats.credit_grants_sent);
  set(out, "txCreditRemaining", stats.tx_credit_remaining);
  set(out, "txWindow", stats.tx_window);
  return out;
}

namespace {

Napi::Array from_unacknowledged(Napi::Env env,
                                const std::vector<runtime::UnacknowledgedStream>& streams) {
  Napi::Array out = Napi::Array::New(env, streams.size());
  for (std::uint32_t i = 0; i < streams.size(); ++i) {
    const Napi::HandleScope scope(env);
    Napi::Object stream = Napi::Object::New(env);
    set(stream, "peer", streams[i].peer);
    set(stream, "streamId", streams[i].stream_id);
    set(stream, "bytes", streams[i].bytes);
    set(stream, "messages", streams[i].events);
    out.Set(i, stream);
  }
  return out;
}

}  // namespace

namespace {

Napi::Array from_failures(Napi::Env env,
                          const std::vector<std::pair<std::uint64_t, std::string>>& failures) {
  Napi::Array out = Napi::Array::New(env, failures.size());
  for (std::uint32_t i = 0; i < failures.size(); ++i) {
    Napi::Object failure = Napi::Object::New(env);
    failure.Set("nodeId", from_u64(env, failures[i].first));
    failure.Set("message", failures[i].second);
    out.Set(i, failure);
  }
  return out;
}

}  // namespace

Napi::Object from_control_event(Napi::Env env, const runtime::ControlEvent& event) {
  using Kind = runtime::ControlEvent::Kind;
  Napi::Object out = Napi::Object::New(env);
  const auto begin = [&](const char* kind) {
    set(out, "kind", kind);
    set(out, "at", event.at);
  };
  switch (event.kind) {
    case Kind::kConnectDone:
      begin("connectDone");
      set(out, "request", event.request);
      set(out, "error", event.error);
      break;
    case Kind::kAcceptDone:
      begin("acceptDone");
      set(out, "request", event.request);
      set(out, "error", event.error);
      set(out, "addr", event.text);
      break;
    case Kind::kPeerUp:
      begin("peerUp");
      set(out, "peer", event.peer);
      set(out, "addr", event.text);
      set(out, "security", event.flag ? "modern" : "legacy");
      break;
    case Kind::kPeerDown:
      begin("peerDown");
      set(out, "peer", event.peer);
      set(out, "reason", event.text);
      break;
    case Kind::kStreamOpened:
      begin("streamOpened");
      set(out, "ref", event.stream_ref);
      set(out, "peer", event.peer);
      set(out, "streamId", event.stream_id);
      set(out, "reliable", event.flag);
      break;
    case Kind::kStreamFinished:
      begin("streamFinished");
      set(out, "ref", event.stream_ref);
      set(out, "finished", event.flag);
      break;
    case Kind::kCreditAvailable:
      begin("credit");
      set(out, "peer", event.peer);
      set(out, "streamId", event.stream_id);
      set(out, "epoch", event.epoch);
      break;
    case Kind::kShutdownDone:
      begin("shutdownDone");
      out.Set("unacknowledged", from_unacknowledged(env, event.unacknowledged));
      break;
    case Kind::kPublishDone:
      begin("publishDone");
      set(out, "request", event.request);
      set(out, "error", event.error);
      if (event.error) break;
      set(out, "attempted", event.attempted);
      set(out, "delivered", event.delivered);
      out.Set("errors", from_failures(env, event.failures));
      break;
    case Kind::kSubscribeDone:
    case Kind::kUnsubscribeDone:
      begin(event.kind == Kind::kSubscribeDone ? "subscribeDone" : "unsubscribeDone");
      set(out, "request", event.request);
      set(out, "replayed", event.replayed);
      set(out, "timedOut", event.flag);
      set(out, "error", event.error);
      break;
    case Kind::kSubscriptionSuspended:
    case Kind::kSubscriptionResumed:
    case Kind::kSubscriptionLost:
      begin(event.kind == Kind::kSubscriptionSuspended ? "subscriptionSuspended"
            : event.kind == Kind::kSubscriptionResumed ? "subscriptionResumed"
                                                       : "subscriptionLost");
      set(out, "peer", event.peer);
      set(out, "streamId", event.stream_id);
      set(out, "channel", event.text);
      if (event.error) set(out, "reason", event.error->message);
      break;
    case Kind::kWatchesReady:
      begin("watchesReady");
      break;
    case Kind::kPeerMoved:
      begin("peerMoved");
      set(out, "peer", event.peer);
      set(out, "addr", event.text);
      break;
  }
  return out;
}

Napi::Object from_block(Napi::Env env, SmallBlocks& pool, runtime::DeliveryBlock block) {
  const std::size_t words = block.meta.size();
  SmallBlocks::Placed placed;
  if (SmallBlocks::fits(block)) {
    placed = pool.place(env, block);
  } else {
    placed.data = from_slab(env, std::move(block.bytes));
    const Napi::Value buffer =
        copy_to_array_buffer(env, block.meta.data(), words * sizeof(std::uint32_t));
    napi_value meta = nullptr;
    check(env, napi_create_typedarray(env, napi_uint32_array, words, buffer, 0, &meta));
    placed.meta = Napi::Value(env, meta);
    placed.from = 0;
    placed.to = words / runtime::DeliveryBlock::kMetaWords;
  }
  Napi::Object out = Napi::Object::New(env);
  out.Set("data", placed.data);
  out.Set("meta", placed.meta);
  out.Set("from", static_cast<double>(placed.from));
  out.Set("to", static_cast<double>(placed.to));
  return out;
}

}  // namespace netmesh::binding
