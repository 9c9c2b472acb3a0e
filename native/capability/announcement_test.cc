#include "capability/announcement.h"

#include <gtest/gtest.h>

#include <limits>

#include "capability/capability_testing.h"

namespace netmesh::capability {
namespace {

using testing::kStartNs;

/// The announcement of spec 30 §8.
Announcement spec_announcement() {
  const auto key = crypto::SigningKey::from_seed(testing::repeated(0x42));
  Announcement out;
  out.node_id = NodeId(13984162817992751213u);
  out.entity_id = key.public_key();
  out.version = 1;
  out.timestamp_ns = static_cast<std::uint64_t>(kStartNs);
  out.ttl_secs = 300;
  out.capabilities =
      testing::set_of({"nat:unknown", "gpu", "hardware.cpu_threads=16", "hardware.cpu_cores=16"});
  out.sign(key);
  return out;
}

constexpr std::string_view kSpecText =
    R"({"node_id":13984162817992751213,"entity_id":"2152f8d19b791d24453242e15f2eab6cb7cffa7b6a5ed30097960e069881db12","version":1,"timestamp_ns":1700000000000000000,"ttl_secs":300,"capabilities":{"tags":["gpu","hardware.cpu_cores=16","hardware.cpu_threads=16","nat:unknown"],"metadata":{}}})";

std::string error_of(std::string_view document) {
  AnnouncementParser parser;
  const auto result = parser.parse(document);
  return result ? "" : result.error().message;
}

/// The text of the specification with one part replaced.
std::string with(std::string_view part, std::string_view by) {
  std::string text(kSpecText);
  const std::size_t found = text.find(part);
  EXPECT_NE(found, std::string::npos) << part;
  return text.replace(found, part.size(), by);
}

TEST(Announcement, HasTheBytesAndTheSignatureOfTheSpecification) {
  Announcement a = spec_announcement();
  EXPECT_EQ(a.signed_text(), kSpecText);
  EXPECT_EQ(a.signed_text().size(), 283u);
  const std::string signature =
      "0fd1043bc39123f3b8292ce17437409de02fa78e7e7975caae4d2d3ce9e2d7398b914e0fe775d009e958e9033db7"
      "65d096466abc4160ba35fb889ef88af52207";
  EXPECT_EQ(to_hex(*a.signature), signature);
  const std::string body(kSpecText.substr(0, kSpecText.size() - 1));
  EXPECT_EQ(a.encode(), body + ",\"signature\":\"" + signature + "\"}");
  a.hop_count = 1;
  EXPECT_EQ(a.encode(), body + ",\"signature\":\"" + signature + "\",\"hop_count\":1}");
  EXPECT_TRUE(a.verify()) << "the hop count is not signed";
}

TEST(Announcement, ComesBackFromItsDocument) {
  testing::Random random(1);
  AnnouncementParser parser;
  const std::vector<std::string> words{
      "gpu",           "a\"b", "x\\y", "\x01\x1f\x7f", "\n\r\t\b\f", "/é😀", "software.os=linux",
      "scope:tenant:t"};
  for (int i = 0; i < 300; ++i) {
    const auto key = crypto::SigningKey::generate(random);
    Announcement a;
    a.entity_id = key.public_key();
    a.node_id = identity::derive_node_id(a.entity_id);
    a.version = random.u64();
    a.timestamp_ns = random.u64();
    a.ttl_secs = static_cast<std::uint32_t>(random.u64());
    for (int n = 0; n < 5; ++n) {
      a.capabilities.add_tag(random.pick(words) + random.pick(words));
      a.capabilities.metadata[random.pick(words)] = random.pick(words);
    }
    a.hop_count = static_cast<std::uint8_t>(random.below(16));
    if (random.flip())
      a.reflex_addr = Endpoint::parse(random.flip() ? "1.2.3.4:5" : "[2001:db8::1]:99");
    if (random.flip()) a.sign(key);
    const auto parsed = parser.parse(a.encode());
    ASSERT_TRUE(parsed) << parsed.error().message;
    EXPECT_EQ(*parsed, a);
    EXPECT_EQ(parsed->verify(), a.signature.has_value());
  }
}

TEST(Announcement, DoesNotVerifyWhenAnythingSignedWasChanged) {
  const Announcement good = spec_announcement();
  ASSERT_TRUE(good.verify());
  const auto refuses = [&](auto&& change) {
    Announcement a = good;
    change(a);
    EXPECT_FALSE(a.verify());
  };
  refuses([](Announcement& a) { a.version += 1; });
  refuses([](Announcement& a) { a.timestamp_ns += 1; });
  refuses([](Announcement& a) { a.ttl_secs += 1; });
  refuses([](Announcement& a) { a.capabilities.add_tag("x"); });
  refuses([](Announcement& a) { a.capabilities.metadata["x"] = "y"; });
  refuses([](Announcement& a) { a.reflex_addr = Endpoint::ipv4(1, 2, 3, 4, 5); });
  refuses([](Announcement& a) { a.node_id = NodeId(a.node_id.value + 1); });
  refuses([](Announcement& a) { a.entity_id[0] ^= std::byte{1}; });
  refuses([](Announcement& a) { (*a.signature)[0] ^= std::byte{1}; });
  refuses([](Announcement& a) { a.signature.reset(); });
}

TEST(AnnouncementParser, TakesWhatDiffersOnlyInForm) {
  AnnouncementParser parser;
  const Announcement plain = parser.parse(kSpecText).value();
  for (const std::string& document : std::vector<std::string>{
           with("{\"node_id\"", " { \"node_id\" "),
           with("\"version\":1", "\"future\":[1.5,{\"x\":null}],\"version\":1"),
           with("\"version\":1", "\"future\":123456789012345678901234567890,\"version\":1"),
           with("2152f8d1", "2152F8D1"),
           with("}}", "}},\"signature\":null,\"reflex_addr\":null,\"hop_count\":0"),
           with("[\"gpu\",\"hardware.cpu_cores=16\"", "[\"hardware.cpu_cores=16\",\"gpu\",\"gpu\""),
           with(",\"metadata\":{}", ""), std::string(kSpecText) + " \n"}) {
    const auto parsed = parser.parse(document);
    ASSERT_TRUE(parsed) << document << parsed.error().message;
    EXPECT_EQ(*parsed, plain) << document;
  }
  EXPECT_TRUE(parser
                  .parse(with("\"tags\":[\"gpu\",\"hardware.cpu_cores=16\","
                              "\"hardware.cpu_threads=16\",\"nat:unknown\"],",
                              ""))
                  ->capabilities.tags.empty());
}

TEST(AnnouncementParser, RefusesEverythingElse) {
  const std::string prefix = "capability: announcement: ";
  const std::pair<std::string, std::string> cases[] = {
      {with("\"version\":1,", ""), "a required key is missing"},
      {with("\"version\":1", "\"version\":1,\"version\":1"), "duplicate key version"},
      {with("secs\":300",
            "secs\":"
            "300.0"),
       "invalid ttl_secs"},
      {with("secs\":300",
            "secs\":"
            "\"300\""),
       "invalid ttl_secs"},
      {with("secs\":300",
            "secs\":"
            "-1"),
       "invalid ttl_secs"},
      {with("secs\":300",
            "secs\":"
            "4294967296"),
       "invalid ttl_secs"},
      {with("db12\"", "db\""), "invalid entity_id"},
      {with("db12\"", "db1g\""), "invalid entity_id"},
      {with("\"gpu\"", "\"\""), "invalid capabilities"},
      {with("\"gpu\"", "5"), "invalid capabilities"},
      {with("\"metadata\":{}", "\"metadata\":{\"a\":1}"), "invalid capabilities"},
      {with("\"metadata\":{}", "\"metadata\":{},\"metadata\":{}"), "invalid capabilities"},
      {with("}}}", "}},\"hop_count\":256}"), "invalid hop_count"},
      {with("}}}", "}},\"signature\":\"00\"}"), "invalid signature"},
      {with("}}}", "}},\"reflex_addr\":\"localhost:1\"}"), "invalid reflex_addr"},
  };
  for (const auto& [document, error] : cases) EXPECT_EQ(error_of(document), prefix + error);
  for (const std::string& document : std::vector<std::string>{
           "", "{}", "[]", "null", std::string(kSpecText) + "x", std::string(kSpecText) + "{}",
           with("gpu", "\xff"), with("gpu", "\x01"), with("gpu", "\\ud800"),
           std::string(2000, '[')}) {
    EXPECT_NE(error_of(document), "") << document;
  }
  EXPECT_EQ(error_of(std::string(70'000, ' ')), prefix + "70000 bytes exceed the limit of 65536");
}

TEST(AnnouncementParser, RefusesADocumentCutAnywhere) {
  const std::string whole = spec_announcement().encode();
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_NE(error_of(std::string_view(whole).substr(0, size)), "") << size;
}

TEST(AnnouncementParser, BoundsTheNumberOfTags) {
  Announcement a = spec_announcement();
  for (std::size_t i = a.capabilities.tags.size(); i < kMaxAnnouncementTags; ++i)
    a.capabilities.add_tag("t" + std::to_string(i));
  EXPECT_EQ(error_of(a.encode()), "");
  a.capabilities.add_tag("one more");
  EXPECT_EQ(error_of(a.encode()), "capability: announcement: invalid capabilities");
}

TEST(Announcement, LosesNoLifeByReplayAndGainsNoneByAClockAhead) {
  const Announcement a = spec_announcement();
  EXPECT_EQ(a.remaining_secs(kStartNs), 300u);
  EXPECT_EQ(a.remaining_secs(kStartNs + 299'000'000'000), 1u);
  EXPECT_EQ(a.remaining_secs(kStartNs + 300'000'000'000), 0u);
  EXPECT_EQ(a.remaining_secs(kStartNs - 1'000'000'000'000), 300u);
  EXPECT_EQ(a.remaining_secs(std::numeric_limits<std::int64_t>::min()), 300u);
}

}  // namespace
}  // namespace netmesh::capability
