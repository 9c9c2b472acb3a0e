// Text forms: addresses and hexadecimal. What parses prints to one form, and that parses to the
// same.

#include <cctype>
#include <string>

#include "base/endpoint.h"
#include "base/hex.h"
#include "fuzz.h"

using namespace netmesh;

namespace {

void check_endpoint(std::string_view text) {
  const auto endpoint = Endpoint::parse(text);
  if (!endpoint) return;
  FUZZ_CHECK(endpoint->family != Endpoint::Family::kNone);
  const std::string printed = endpoint->to_string();
  const auto again = Endpoint::parse(printed);
  FUZZ_CHECK(again && *again == *endpoint);
  FUZZ_CHECK(again->to_string() == printed);
  FUZZ_CHECK(std::hash<Endpoint>{}(*again) == std::hash<Endpoint>{}(*endpoint));
}

void check_hex(std::string_view text) {
  const bool all_digits = std::all_of(text.begin(), text.end(), [](char c) {
    return std::isxdigit(static_cast<unsigned char>(c)) != 0;
  });
  const auto bytes = from_hex(text);
  FUZZ_CHECK(bytes.has_value() == (all_digits && text.size() % 2 == 0));
  if (bytes) {
    std::string lower(text);
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    FUZZ_CHECK(to_hex(*bytes) == lower);
  } else {
    FUZZ_CHECK(bytes.error().kind == ErrorKind::kInvalidArgument && !bytes.error().message.empty());
  }
  const ByteSpan raw = as_byte_span(text);
  const auto back = from_hex(to_hex(raw));
  FUZZ_CHECK(back && fuzz::equal(*back, raw));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_endpoint(text);
  check_hex(text);
  return 0;
}
