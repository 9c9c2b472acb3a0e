#pragma once
// The JavaScript class NativeNode.

#include <napi.h>

#include <memory>
#include <vector>

#include "binding/conversation_watch.h"
#include "binding/convert.h"
#include "runtime/node.h"

namespace netmesh::binding {

/// Wraps a running node. It ends with `close`, with the object's collection or with its
/// environment, whichever comes first; each joins the node's thread.
class NodeWrap : public Napi::ObjectWrap<NodeWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit NodeWrap(const Napi::CallbackInfo& info);
  ~NodeWrap() override;

 private:
  Napi::Value node_id(const Napi::CallbackInfo& info);
  Napi::Value entity_id(const Napi::CallbackInfo& info);
  Napi::Value public_key(const Napi::CallbackInfo& info);
  Napi::Value local_addr(const Napi::CallbackInfo& info);
  void start(const Napi::CallbackInfo& info);
  Napi::Value started(const Napi::CallbackInfo& info);
  Napi::Value connect(const Napi::CallbackInfo& info);
  Napi::Value accept(const Napi::CallbackInfo& info);
  void cancel(const Napi::CallbackInfo& info);
  void disconnect(const Napi::CallbackInfo& info);
  void add_route(const Napi::CallbackInfo& info);
  void remove_route(const Napi::CallbackInfo& info);
  void set_blocked(const Napi::CallbackInfo& info);
  Napi::Value peer_count(const Napi::CallbackInfo& info);
  Napi::Value peers(const Napi::CallbackInfo& info);
  Napi::Value open_stream(const Napi::CallbackInfo& info);
  void close_stream(const Napi::CallbackInfo& info);
  void send_to_address(const Napi::CallbackInfo& info);
  void send_to_peer(const Napi::CallbackInfo& info);
  Napi::Value stream_stats(const Napi::CallbackInfo& info);
  Napi::Value all_stream_stats(const Napi::CallbackInfo& info);
  Napi::Value counters(const Napi::CallbackInfo& info);
  Napi::Value drain(const Napi::CallbackInfo& info);
  void consume(const Napi::CallbackInfo& info);
  // node_channels.cc
  void register_channel(const Napi::CallbackInfo& info);
  Napi::Value unregister_channel(const Napi::CallbackInfo& info);
  Napi::Value subscribe(const Napi::CallbackInfo& info);
  Napi::Value unsubscribe(const Napi::CallbackInfo& info);
  void cancel_membership(const Napi::CallbackInfo& info);
  Napi::Value publish(const Napi::CallbackInfo& info);
  Napi::Value channels(const Napi::CallbackInfo& info);
  Napi::Value subscribers(const Napi::CallbackInfo& info);
  Napi::Value subscriptions(const Napi::CallbackInfo& info);
  void install_credential(const Napi::CallbackInfo& info);
  void revoke_below(const Napi::CallbackInfo& info);
  // node_capabilities.cc
  void announce(const Napi::CallbackInfo& info);
  Napi::Value find_nodes(const Napi::CallbackInfo& info);
  Napi::Value find_best_node(const Napi::CallbackInfo& info);
  Napi::Value capability_aggregate(const Napi::CallbackInfo& info);
  Napi::Value capability_capacity_ranking(const Napi::CallbackInfo& info);
  Napi::Value capabilities_of(const Napi::CallbackInfo& info);
  Napi::Value subnet_of(const Napi::CallbackInfo& info);
  Napi::Value watch_capabilities(const Napi::CallbackInfo& info);
  void unwatch_capabilities(const Napi::CallbackInfo& info);
  Napi::Value poll_watch(const Napi::CallbackInfo& info);
  Napi::Value take_announcement(const Napi::CallbackInfo& info);
  void inject_synthetic_peer(const Napi::CallbackInfo& info);
  void shutdown(const Napi::CallbackInfo& info);
  void close(const Napi::CallbackInfo& info);
  void ref(const Napi::CallbackInfo& info);
  void unref(const Napi::CallbackInfo& info);

  /// The node, or a thrown error after `close`.
  runtime::Node& node(Napi::Env env);
  void close_now();
  static void close_with_environment(void* self);

  /// Calls `onReady` in this turn of the loop.
  void call_on_ready();

  struct Signal;
  const napi_env env_;
  std::unique_ptr<runtime::Node> node_;
  /// How the node's thread and this one reach `onReady`; outlives `node_`.
  std::unique_ptr<Signal> signal_;
  std::unique_ptr<ConversationWatch, ConversationWatch::Close> conversation_;
  EventList events_;
  SmallBlocks small_blocks_;
  std::vector<runtime::ConsumedEntry> consumed_;
};

/// Adds the functions about channels to what the addon exports.
void define_channels(Napi::Env env, Napi::Object exports);

}  // namespace netmesh::binding
