#pragma once
// The JavaScript class NativeLegacyLink.

#include <napi.h>

#include <memory>

#include "bus/legacy_link.h"

namespace netmesh::binding {

/// Wraps one end of a link with a bus of net-mesh 0.19. No thread, nothing to close.
class LegacyLinkWrap : public Napi::ObjectWrap<LegacyLinkWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit LegacyLinkWrap(const Napi::CallbackInfo& info);

 private:
  Napi::Value begin(const Napi::CallbackInfo& info);
  Napi::Value handle(const Napi::CallbackInfo& info);
  Napi::Value seal(const Napi::CallbackInfo& info);
  Napi::Value heartbeat(const Napi::CallbackInfo& info);

  std::unique_ptr<bus::LegacyLink> link_;
};

}  // namespace netmesh::binding
