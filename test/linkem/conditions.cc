#include "linkem/conditions.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <optional>
#include <span>

namespace netmesh::linkem {

const char* const kConditionsHelp =
    "  loss=P            lost on the way, for example 0.01 or 1%\n"
    "  burst-start=P     a burst of loss begins with this packet\n"
    "  burst-end=P       the burst ends with this packet\n"
    "  burst-loss=P      lost while a burst lasts (default 100%)\n"
    "  delay=T           one way, for example 20ms, 150us or 1s\n"
    "  jitter=T          up to this much more, in order\n"
    "  reorder=P         held back by reorder-by=T (default 5ms) while others pass\n"
    "  duplicate=P       delivered twice\n"
    "  corrupt=P         one bit flipped; corruption=payload repairs checksums, =wire does not\n"
    "  rate=R            for example 100mbit, 64kbit or 1gbit; 0: unlimited\n"
    "  queue=B           in front of the line, for example 256k or 1m bytes\n"
    "  mtu=N             largest IP packet; 0: that of the device\n"
    "  oversize=WHAT     silent or icmp\n"
    "  down=BOOL         true: everything is lost\n";

namespace {

struct Unit {
  std::string_view suffix;
  double factor;
};

constexpr Unit kProbabilityUnits[] = {{"%", 0.01}, {"", 1}};
constexpr Unit kTimeUnits[] = {{"us", 1e3}, {"ms", 1e6}, {"ns", 1}, {"s", 1e9}};
constexpr Unit kRateUnits[] = {{"kbit", 1e3}, {"mbit", 1e6}, {"gbit", 1e9}, {"bit", 1}, {"", 1}};
constexpr Unit kByteUnits[] = {{"k", 1024}, {"m", 1024 * 1024}, {"", 1}};
constexpr Unit kPlain[] = {{"", 1}};

/// Longer than any experiment; keeps sums of times far from overflow.
constexpr double kMaxTimeNs = 3600e9;
constexpr double kMaxRate = 1e12;
constexpr double kMaxQueueBytes = 1024.0 * 1024 * 1024;
/// The largest IP packet.
constexpr double kMaxMtu = 65'535;
/// The least MTU that IPv4 hosts may rely on (RFC 791).
constexpr double kMinMtu = 68;

std::optional<double> quantity(std::string_view text, std::span<const Unit> units) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || !std::isfinite(value) || value < 0) return std::nullopt;
  const std::string_view suffix = text.substr(static_cast<std::size_t>(end - text.data()));
  for (const Unit& unit : units) {
    if (unit.suffix == suffix) return value * unit.factor;
  }
  return std::nullopt;
}

bool set_probability(double& field, std::string_view text) {
  const auto value = quantity(text, kProbabilityUnits);
  if (!value || *value > 1) return false;
  field = *value;
  return true;
}

bool set_time(Duration& field, std::string_view text) {
  const auto value = text == "0" ? std::optional(0.0) : quantity(text, kTimeUnits);
  if (!value || *value > kMaxTimeNs) return false;
  field = Duration(static_cast<Duration::rep>(*value));
  return true;
}

template <typename T>
bool set_amount(T& field, std::string_view text, std::span<const Unit> units, double limit) {
  const auto value = quantity(text, units);
  if (!value || *value > limit) return false;
  field = static_cast<T>(*value);
  return true;
}

template <typename T>
bool set_choice(T& field, std::string_view text, std::string_view first, T first_value,
                std::string_view second, T second_value) {
  if (text != first && text != second) return false;
  field = text == first ? first_value : second_value;
  return true;
}

struct Condition {
  std::string_view name;
  const char* allowed;
  bool (*set)(Conditions&, std::string_view);
};

constexpr const char* kProbability = "a probability, for example 0.01 or 1%";
constexpr const char* kTime = "a time up to an hour, for example 20ms, 150us or 1s";

constexpr Condition kConditions[] = {
    {"loss", kProbability, [](auto& c, auto text) { return set_probability(c.loss, text); }},
    {"burst-start", kProbability,
     [](auto& c, auto text) { return set_probability(c.burst_start, text); }},
    {"burst-end", kProbability,
     [](auto& c, auto text) { return set_probability(c.burst_end, text); }},
    {"burst-loss", kProbability,
     [](auto& c, auto text) { return set_probability(c.burst_loss, text); }},
    {"duplicate", kProbability,
     [](auto& c, auto text) { return set_probability(c.duplicate, text); }},
    {"corrupt", kProbability, [](auto& c, auto text) { return set_probability(c.corrupt, text); }},
    {"corruption", "payload or wire",
     [](auto& c, auto text) {
       return set_choice(c.corruption, text, "payload", CorruptionStyle::kPayload, "wire",
                         CorruptionStyle::kWire);
     }},
    {"delay", kTime, [](auto& c, auto text) { return set_time(c.delay, text); }},
    {"jitter", kTime, [](auto& c, auto text) { return set_time(c.jitter, text); }},
    {"reorder", kProbability, [](auto& c, auto text) { return set_probability(c.reorder, text); }},
    {"reorder-by", kTime, [](auto& c, auto text) { return set_time(c.reorder_by, text); }},
    {"rate", "a rate up to 1000gbit, for example 100mbit; 0: unlimited",
     [](auto& c, auto text) { return set_amount(c.bits_per_second, text, kRateUnits, kMaxRate); }},
    {"queue", "bytes up to 1024m, for example 256k",
     [](auto& c, auto text) {
       return set_amount(c.queue_bytes, text, kByteUnits, kMaxQueueBytes);
     }},
    {"mtu", "0 or a whole number from 68 to 65535",
     [](auto& c, auto text) {
       const auto value = quantity(text, kPlain);
       if (!value || *value > kMaxMtu || *value != std::floor(*value)) return false;
       if (*value != 0 && *value < kMinMtu) return false;
       c.mtu = static_cast<std::size_t>(*value);
       return true;
     }},
    {"oversize", "silent or icmp",
     [](auto& c, auto text) {
       return set_choice(c.oversize, text, "silent", OversizePolicy::kSilent, "icmp",
                         OversizePolicy::kIcmp);
     }},
    {"down", "true or false",
     [](auto& c, auto text) { return set_choice(c.down, text, "true", true, "false", false); }},
};

}  // namespace

Expected<void> apply_condition(Conditions& conditions, std::string_view text) {
  const std::size_t equals = text.find('=');
  const std::string_view name = text.substr(0, equals);
  for (const Condition& condition : kConditions) {
    if (condition.name != name) continue;
    if (equals != std::string_view::npos && condition.set(conditions, text.substr(equals + 1)))
      return {};
    return fail(ErrorKind::kInvalidArgument,
                std::string(name) + " takes " + condition.allowed + ", not \"" +
                    std::string(equals == std::string_view::npos ? "" : text.substr(equals + 1)) +
                    "\"");
  }
  std::string names;
  for (const Condition& condition : kConditions) {
    names += (names.empty() ? "" : ", ") + std::string(condition.name);
  }
  return fail(ErrorKind::kInvalidArgument,
              "there is no condition \"" + std::string(name) + "\"; there are " + names);
}

}  // namespace netmesh::linkem
