#include "linkem/options.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <span>
#include <vector>

namespace netmesh::linkem {

const char* const kUsage =
    "Usage: linkem --a [NETNS:]DEVICE --b [NETNS:]DEVICE [options]\n"
    "\n"
    "Creates two TUN devices and carries packets between them as a bad network would.\n"
    "\n"
    "  --seed N           of everything that is left to chance (default 1)\n"
    "  --device-mtu N     of both devices (default 1500)\n"
    "  --set \"WHERE C...\"  as the command; may be repeated\n"
    "  --help             this text\n"
    "\n"
    "Commands on stdin, one a line, each answered by a line of JSON on stdout:\n"
    "\n"
    "  set WHERE C...     WHERE is ab, ba or both; C are conditions, below\n"
    "  stats              counters of both directions\n"
    "  quit               the same, and the end; so does the end of stdin\n"
    "\n"
    "SIGUSR1 prints the counters, too; SIGINT and SIGTERM end.\n"
    "\n"
    "Conditions, each of one direction:\n"
    "\n";

namespace {

constexpr std::size_t kMinDeviceMtu = 68, kMaxDeviceMtu = 65'535;
/// What a JavaScript number can hold; the seed is part of the JSON.
constexpr std::uint64_t kMaxSeed = (1ULL << 53) - 1;

tl::unexpected<Error> invalid(std::string message) {
  return fail(ErrorKind::kInvalidArgument, std::move(message));
}

std::vector<std::string_view> words(std::string_view line) {
  std::vector<std::string_view> found;
  std::size_t at = 0;
  while ((at = line.find_first_not_of(" \t\r", at)) != std::string_view::npos) {
    const std::size_t end = std::min(line.find_first_of(" \t\r", at), line.size());
    found.push_back(line.substr(at, end - at));
    at = end;
  }
  return found;
}

std::optional<std::uint64_t> whole_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// `WHERE C...` over `current`.
Expected<BothConditions> parse_set(std::span<const std::string_view> words,
                                   BothConditions conditions) {
  if (words.empty() || (words[0] != "ab" && words[0] != "ba" && words[0] != "both")) {
    return invalid("set takes ab, ba or both, then conditions");
  }
  if (words.size() == 1) return invalid("set needs a condition, for example loss=1%");
  for (const Direction direction : {kAToB, kBToA}) {
    if (words[0] == (direction == kAToB ? "ba" : "ab")) continue;
    for (const std::string_view word : words.subspan(1)) {
      const auto applied = apply_condition(conditions[direction], word);
      if (!applied) return tl::unexpected(applied.error());
    }
  }
  return conditions;
}

DeviceOptions parse_device(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return {"", std::string(text)};
  return {std::string(text.substr(0, colon)), std::string(text.substr(colon + 1))};
}

}  // namespace

Expected<Options> parse_options(int count, const char* const* arguments) {
  Options options;
  for (int i = 0; i < count; ++i) {
    const std::string_view name = arguments[i];
    if (name == "--help") {
      options.help = true;
      return options;
    }
    if (name != "--a" && name != "--b" && name != "--seed" && name != "--device-mtu" &&
        name != "--set") {
      return invalid("there is no option " + std::string(name) + "; --help shows them");
    }
    if (i + 1 == count) return invalid(std::string(name) + " needs a value");
    const std::string_view value = arguments[++i];
    if (name == "--a") {
      options.a = parse_device(value);
    } else if (name == "--b") {
      options.b = parse_device(value);
    } else if (name == "--set") {
      const auto conditions = parse_set(words(value), options.conditions);
      if (!conditions) return tl::unexpected(conditions.error());
      options.conditions = *conditions;
    } else {
      const auto number = whole_number(value);
      if (name == "--seed") {
        if (!number || *number > kMaxSeed) return invalid("--seed takes a number below 2^53");
        options.seed = *number;
      } else {
        if (!number || *number < kMinDeviceMtu || *number > kMaxDeviceMtu)
          return invalid("--device-mtu takes a number from 68 to 65535");
        options.device_mtu = *number;
      }
    }
  }
  if (options.a.name.empty() || options.b.name.empty())
    return invalid("--a and --b name the two devices");
  return options;
}

Expected<Command> parse_command(std::string_view line, const BothConditions& current) {
  const auto parts = words(line);
  Command command{.conditions = current};
  if (parts.empty()) return command;
  if (parts[0] == "set") {
    const auto conditions = parse_set(std::span(parts).subspan(1), current);
    if (!conditions) return tl::unexpected(conditions.error());
    command.kind = Command::Kind::kSet;
    command.conditions = *conditions;
  } else if (parts[0] == "stats" && parts.size() == 1) {
    command.kind = Command::Kind::kStats;
  } else if (parts[0] == "quit" && parts.size() == 1) {
    command.kind = Command::Kind::kQuit;
  } else {
    return invalid("there is no command \"" + std::string(line) + "\"; there are set, stats, quit");
  }
  return command;
}

}  // namespace netmesh::linkem
