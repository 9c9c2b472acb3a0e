#pragma once
// Expected failures: values, never exceptions.

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace netmesh {

/// What kind of failure it was; the binding maps each kind to one JavaScript error class.
enum class ErrorKind {
  kInvalidArgument,  ///< the caller's input is wrong; nothing was changed
  kIdentity,         ///< a seed, key, scope or channel name is malformed; nothing was changed
  kToken,            ///< a permission token is malformed or does not permit it
  kCapability,       ///< a capability set or query is malformed; nothing was changed
  kBackpressure,     ///< the stream's window is used up
  kNotConnected,     ///< no session with the peer, or the stream is closed
  kTooLarge,         ///< an event exceeds what its stream can ever carry
  kConnection,       ///< a handshake or the socket failed
  kFatal,            ///< the call is not allowed in this state
  kShutDown,         ///< the node has been shut down
  kChannel,          ///< a name, a config or a request about a channel was refused
  kChannelDenied,    ///< the publisher does not let this node join
  kRedex,            ///< a log cannot do this, as it is or as it is configured
  kRedexClosed,      ///< the log was closed
  kRedexTooLarge,    ///< the payload exceeds what the log can hold
  kRedexLagged,      ///< a tail asks for events that the log no longer has
  kRedexIo,          ///< the operating system refused to read or write
  kRedexInUse,       ///< another process writes to the log
  kCortex,           ///< an adapter cannot do this, or its fold has stopped
  kNetDb,            ///< a bundle is not one
};

/// A failure with its user-visible text (spec 10 §15.2 fixes many of the texts).
struct Error {
  ErrorKind kind = ErrorKind::kFatal;
  std::string message;
};

template <typename T>
using Expected = tl::expected<T, Error>;

inline tl::unexpected<Error> fail(ErrorKind kind, std::string message) {
  return tl::unexpected<Error>(Error{kind, std::move(message)});
}

}  // namespace netmesh
