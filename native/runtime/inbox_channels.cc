// What channels report to the application.

#include <variant>

#include "channel/errors.h"
#include "runtime/inbox.h"

namespace netmesh::runtime {
namespace {

using channel::Outcome;
using channel::Subscriber;
using Kind = ControlEvent::Kind;

std::string_view eviction_text(channel::EvictionReason reason) {
  switch (reason) {
    case channel::EvictionReason::kUnspecified:
      return "unspecified";
    case channel::EvictionReason::kExpired:
      return "expired";
    case channel::EvictionReason::kRevoked:
      return "revoked";
    case channel::EvictionReason::kUnauthorized:
      return "unauthorized";
    case channel::EvictionReason::kVisibility:
      return "visibility";
    case channel::EvictionReason::kCapabilities:
      return "capabilities";
    case channel::EvictionReason::kUnregistered:
      return "unregistered";
    case channel::EvictionReason::kShutdown:
      return "shutdown";
  }
  return "unspecified";
}

std::string_view refusal_text(channel::AckReason reason) {
  switch (reason) {
    case channel::AckReason::kNone:
      return "refused";
    case channel::AckReason::kUnauthorized:
      return "unauthorized";
    case channel::AckReason::kUnknownChannel:
      return "unknown channel";
    case channel::AckReason::kRateLimited:
      return "rate limited";
    case channel::AckReason::kTooManyChannels:
      return "too many channels";
  }
  return "refused";
}

std::string loss_text(
    const std::variant<channel::EvictionReason, channel::AckReason, std::monostate>& reason) {
  if (const auto* eviction = std::get_if<channel::EvictionReason>(&reason))
    return std::string(eviction_text(*eviction));
  if (const auto* refusal = std::get_if<channel::AckReason>(&reason))
    return std::string(refusal_text(*refusal));
  return "no answer";
}

}  // namespace

void Inbox::publish_done(mesh::RequestId request, Expected<mesh::PublishReport> report) {
  ControlEvent& event = add_event(Kind::kPublishDone);
  event.request = request;
  if (!report) {
    event.error = std::move(report.error());
    return;
  }
  event.attempted = report->attempted;
  event.delivered = report->delivered;
  for (mesh::PublishReport::Failure& failure : report->failures)
    event.failures.emplace_back(failure.node.value, std::move(failure.text));
}

void Inbox::subscription_event(const Subscriber::Event& reported) {
  const auto outcome = [](ControlEvent& event, Outcome result, channel::AckReason reason) {
    if (result == Outcome::kRefused) event.error = channel::refused(reason);
    // The text names the channel, which the caller knows.
    if (result == Outcome::kTimedOut) event.flag = true;
  };
  const auto about = [](ControlEvent& event, NodeId publisher, const channel::ChannelName& name) {
    event.peer = publisher.value;
    event.stream_id = name.stream().value;
    event.text = name.text();
  };
  if (const auto* done = std::get_if<Subscriber::SubscribeDone>(&reported)) {
    ControlEvent& event = add_event(Kind::kSubscribeDone);
    event.request = static_cast<std::uint32_t>(done->request.value);
    event.replayed = done->replayed;
    outcome(event, done->outcome, done->reason);
  } else if (const auto* left = std::get_if<Subscriber::UnsubscribeDone>(&reported)) {
    ControlEvent& event = add_event(Kind::kUnsubscribeDone);
    event.request = static_cast<std::uint32_t>(left->request.value);
    outcome(event, left->outcome, left->reason);
  } else if (const auto* suspended = std::get_if<Subscriber::Suspended>(&reported)) {
    about(add_event(Kind::kSubscriptionSuspended), suspended->publisher, suspended->channel);
  } else if (const auto* resumed = std::get_if<Subscriber::Resubscribed>(&reported)) {
    ControlEvent& event = add_event(Kind::kSubscriptionResumed);
    about(event, resumed->publisher, resumed->channel);
    event.replayed = resumed->replayed;
  } else {
    const auto& lost = std::get<Subscriber::SubscriptionLost>(reported);
    ControlEvent& event = add_event(Kind::kSubscriptionLost);
    about(event, lost.publisher, lost.channel);
    event.error = Error{ErrorKind::kChannel, loss_text(lost.reason)};
  }
}

}  // namespace netmesh::runtime
