#include "base/endpoint.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <random>
#include <unordered_set>

namespace netmesh {
namespace {

/// The canonical text of what `text` parses to, or "refused".
std::string canonical(std::string_view text) {
  const auto endpoint = Endpoint::parse(text);
  return endpoint ? endpoint->to_string() : "refused";
}

TEST(EndpointParse, KeepsCanonicalForms) {
  for (const char* text :
       {"1.2.3.4:5", "0.0.0.0:0", "255.255.255.255:65535", "127.0.0.1:9000", "[::]:0", "[::1]:5",
        "[1::]:5", "[2001:db8::1]:443", "[1:2:3:4:5:6:7:8]:1", "[fe80::1%2]:5", "[fe80::1]:5",
        "[fe80::%4294967295]:1", "[1:0:2:3:4:5:6:7]:1", "[1::2:0:0:3:4]:1", "[64:ff9b::102:304]:1",
        "[0:2:3:4:5:6:7:8]:1"}) {
    EXPECT_EQ(canonical(text), text);
  }
}

TEST(EndpointParse, NormalisesOtherSpellings) {
  EXPECT_EQ(canonical("[2001:0DB8:0000:0000:0000:0000:0000:0001]:1"), "[2001:db8::1]:1");
  EXPECT_EQ(canonical("[0:0:0:0:0:0:0:0]:1"), "[::]:1");
  EXPECT_EQ(canonical("[1:0:0:2:0:0:0:3]:1"), "[1:0:0:2::3]:1");
  EXPECT_EQ(canonical("[64:ff9b::1.2.3.4]:1"), "[64:ff9b::102:304]:1");
  EXPECT_EQ(canonical("[1:2:3:4:5:6:1.2.3.4]:1"), "[1:2:3:4:5:6:102:304]:1");
  EXPECT_EQ(canonical("[::2:3:4:5:6:7:8]:1"), "[0:2:3:4:5:6:7:8]:1");
  EXPECT_EQ(canonical("[fe80::1%0]:5"), "[fe80::1]:5");
}

TEST(EndpointParse, TurnsMappedIpv4IntoIpv4) {
  EXPECT_EQ(Endpoint::parse("[::ffff:1.2.3.4]:5"), Endpoint::ipv4(1, 2, 3, 4, 5));
  EXPECT_EQ(Endpoint::parse("[::FFFF:102:304]:5"), Endpoint::ipv4(1, 2, 3, 4, 5));
  EXPECT_EQ(Endpoint::parse("[0:0:0:0:0:ffff:1.2.3.4]:5"), Endpoint::ipv4(1, 2, 3, 4, 5));
  EXPECT_EQ(canonical("[::1.2.3.4]:5"), "[::102:304]:5");
}

TEST(EndpointParse, RefusesMalformedText) {
  for (const char* text : {"",
                           ":",
                           ":5",
                           "1.2.3.4",
                           "1.2.3.4:",
                           "1.2.3:5",
                           "1.2.3.4.5:6",
                           "1.2.3.4:65536",
                           "1.2.3.4:99999999999999999999",
                           "1.2.3.4:-1",
                           "1.2.3.4:+1",
                           "1.2.3.4: 1",
                           " 1.2.3.4:1",
                           "1.2.3.4:1 ",
                           "1.2.3.4:1x",
                           "1.2.3.4:0x1",
                           "1.2.3.4:01",
                           "256.2.3.4:5",
                           "01.2.3.4:5",
                           "1.2.3.04:5",
                           "1.2.3.00:5",
                           "1..3.4:5",
                           ".1.2.3.4:5",
                           "1.2.3.4.:5",
                           "localhost:5",
                           "example.com:80",
                           "::1",
                           "::1:5",
                           "[::1]",
                           "[::1]:",
                           "[::1]5",
                           "[::1:5",
                           "::1]:5",
                           "[]:5",
                           "[:]:5",
                           "[:::]:5",
                           "[1:2:3:4:5:6:7]:1",
                           "[1:2:3:4:5:6:7:8:9]:1",
                           "[1:2:3:4:5:6:7:8::]:1",
                           "[::1:2:3:4:5:6:7:8]:1",
                           "[1::2::3]:1",
                           "[12345::]:1",
                           "[1:]:1",
                           "[:1]:1",
                           "[g::]:1",
                           "[1.2.3.4]:5",
                           "[::1.2.3]:5",
                           "[::1.2.3.4:5]:1",
                           "[1:2:3:4:5:6:7:1.2.3.4]:1",
                           "[::01.2.3.4]:5",
                           "[::ffff:256.2.3.4]:5",
                           "[fe80::1%]:5",
                           "[fe80::1%eth0]:5",
                           "[fe80::1%02]:5",
                           "[fe80::1%4294967296]:5",
                           "[fe80::1%1%1]:5",
                           "[2001:db8::1%1]:5",
                           "[::1%1]:5",
                           "[::ffff:1.2.3.4%1]:5",
                           "[[::1]]:5",
                           "[::1]]:5",
                           "1.2.3.4%1:5"}) {
    EXPECT_EQ(canonical(text), "refused") << text;
  }
  EXPECT_EQ(canonical(std::string_view("1.2.3.4:5\0", 10)), "refused");
}

Endpoint random_endpoint(std::mt19937_64& random) {
  Endpoint endpoint;
  endpoint.port = static_cast<std::uint16_t>(random());
  endpoint.family = random() % 2 == 0 ? Endpoint::Family::kIpv4 : Endpoint::Family::kIpv6;
  const std::size_t length = endpoint.family == Endpoint::Family::kIpv4 ? 4 : 16;
  // Zero groups are frequent, so that the shortened forms are.
  for (std::size_t i = 0; i < length; i += 2) {
    if (random() % 2 == 0) continue;
    endpoint.ip[i] = random() % 2 == 0 ? std::byte{0} : static_cast<std::byte>(random());
    endpoint.ip[i + 1] = static_cast<std::byte>(random());
  }
  if (length == 16 && random() % 4 == 0) {
    endpoint.ip[0] = std::byte{0xFE};
    endpoint.ip[1] = std::byte{0x80};
    endpoint.scope = static_cast<std::uint32_t>(random() % 5);
  }
  return endpoint;
}

TEST(EndpointText, RoundTripsEveryEndpoint) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 20000; ++i) {
    const Endpoint endpoint = random_endpoint(random);
    EXPECT_EQ(Endpoint::parse(endpoint.to_string()), endpoint) << endpoint.to_string();
  }
}

TEST(EndpointText, AgreesWithTheSystemOnIpv6Text) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 20000; ++i) {
    Endpoint endpoint = random_endpoint(random);
    endpoint.family = Endpoint::Family::kIpv6;
    endpoint.scope = 0;
    // The system prints IPv4-compatible addresses in dotted form, which RFC 5952 leaves open.
    endpoint.ip[0] |= std::byte{1};
    char text[INET6_ADDRSTRLEN];
    ASSERT_NE(inet_ntop(AF_INET6, endpoint.ip.data(), text, sizeof text), nullptr);
    std::string expected("[");
    expected.append(text).append("]:").append(std::to_string(endpoint.port));
    EXPECT_EQ(endpoint.to_string(), expected);
  }
}

TEST(EndpointParse, AgreesWithTheSystemOnWhatAnIpv6AddressIs) {
  std::mt19937_64 random(4);
  constexpr std::string_view kAlphabet = "01f9a:::.G";
  int accepted = 0;
  for (int i = 0; i < 200000; ++i) {
    std::string text;
    if (i % 2 == 0) {
      for (std::size_t n = random() % 14; n > 0; --n)
        text += kAlphabet[random() % kAlphabet.size()];
    } else {
      // A valid address with a few characters changed.
      Endpoint endpoint = random_endpoint(random);
      endpoint.family = Endpoint::Family::kIpv6;
      endpoint.scope = 0;
      text = endpoint.to_string();
      text = text.substr(1, text.find(']') - 1);
      for (std::size_t n = random() % 3; n > 0 && !text.empty(); --n) {
        const std::size_t at = random() % text.size();
        if (random() % 2 == 0) {
          text[at] = kAlphabet[random() % kAlphabet.size()];
        } else {
          text.insert(at, 1, kAlphabet[random() % kAlphabet.size()]);
        }
      }
    }
    std::array<std::byte, 16> expected{};
    const bool valid = inet_pton(AF_INET6, text.c_str(), expected.data()) == 1;
    const auto endpoint = Endpoint::parse(std::string("[").append(text).append("]:1"));
    ASSERT_EQ(endpoint.has_value(), valid) << text;
    if (valid && endpoint->family == Endpoint::Family::kIpv6) {
      EXPECT_EQ(endpoint->ip, expected) << text;
      ++accepted;
    }
  }
  EXPECT_GT(accepted, 20000);
}

TEST(Endpoint, KnowsLoopbackAndUnspecifiedAddresses) {
  for (const char* text : {"127.0.0.1:1", "127.255.0.3:1", "[::1]:1", "[::ffff:127.0.0.1]:1"}) {
    EXPECT_TRUE(Endpoint::parse(text)->is_loopback()) << text;
    EXPECT_FALSE(Endpoint::parse(text)->is_unspecified()) << text;
  }
  for (const char* text : {"0.0.0.0:1", "[::]:1"}) {
    EXPECT_FALSE(Endpoint::parse(text)->is_loopback()) << text;
    EXPECT_TRUE(Endpoint::parse(text)->is_unspecified()) << text;
  }
  for (const char* text : {"128.0.0.1:1", "[::2]:1", "[1::1]:1", "0.0.0.1:0"}) {
    EXPECT_FALSE(Endpoint::parse(text)->is_loopback()) << text;
    EXPECT_FALSE(Endpoint::parse(text)->is_unspecified()) << text;
  }
}

TEST(Endpoint, OfNoFamilyHasNoAddressAndNoText) {
  EXPECT_EQ(Endpoint{}.to_string(), "");
  EXPECT_FALSE(Endpoint{}.is_loopback());
  EXPECT_FALSE(Endpoint{}.is_unspecified());
}

TEST(Endpoint, HashSpreadsNeighbouringEndpoints) {
  std::unordered_set<std::size_t> hashes;
  std::unordered_set<std::size_t> low_bits;
  for (unsigned host = 0; host < 64; ++host) {
    for (unsigned port = 0; port < 64; ++port) {
      const std::size_t hash = std::hash<Endpoint>{}(Endpoint::ipv4(
          10, 0, 0, static_cast<std::uint8_t>(host), static_cast<std::uint16_t>(port)));
      hashes.insert(hash);
      low_bits.insert(hash & 0xFFFF);
    }
  }
  EXPECT_EQ(hashes.size(), 4096u);
  // 4096 balls in 65536 bins leave about 3972 bins occupied.
  EXPECT_GT(low_bits.size(), 3850u);
}

}  // namespace
}  // namespace netmesh
