#include "bus/bus.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

#include "bus/entry.h"
#include "bus/json.h"
#include "bus/legacy_link.h"
#include "crypto/curve.h"
#include "crypto/system_random.h"

namespace netmesh::bus {
namespace {

std::string text_of(ByteSpan bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(Bus, ChoosesTheShardsOfTheSpecification) {
  BusOptions options;
  options.shards = 4;
  options.ring_capacity = 1024;
  auto bus = Bus::create(options, [] {}).value();
  EXPECT_EQ(bus->ingest(as_byte_span("{\"a\":1}")).shard, 3);
  EXPECT_EQ(bus->ingest(as_byte_span("{\"a\":2}")).shard, 0);
  EXPECT_EQ(bus->ingest(as_byte_span("null")).shard, 2);
  EXPECT_EQ(hash_payload(as_byte_span("{\"a\":1}")), 0xc5e3762ffc8453c6ULL);
}

TEST(Bus, RefusesOptionsWithTheirRule) {
  const auto rule = [](auto&& change) {
    BusOptions options;
    change(options);
    return Bus::create(options, [] {}).error().message;
  };
  EXPECT_EQ(rule([](BusOptions& o) { o.shards = 0; }),
            "invalid configuration: num_shards must be > 0");
  EXPECT_EQ(rule([](BusOptions& o) { o.ring_capacity = 1000; }),
            "invalid configuration: ring_buffer_capacity must be a power of 2");
  EXPECT_EQ(rule([](BusOptions& o) { o.sample_rate = 0; }),
            "invalid configuration: BackpressureMode::Sample.rate must be > 0");
}

TEST(Bus, StoresABatchLargerThanItsRings) {
  BusOptions options;
  options.ring_capacity = 1024;
  options.backpressure = Backpressure::kFailProducer;
  auto bus = Bus::create(options, [] {}).value();
  std::vector<std::string> texts;
  for (int n = 0; n < 5000; ++n) texts.push_back(std::to_string(n));
  std::vector<ByteSpan> payloads;
  for (const auto& text : texts) payloads.push_back(as_byte_span(text));
  EXPECT_EQ(bus->ingest_all(payloads), 5000u);
  PollRequest request;
  request.limit = 10'000;
  const auto page = bus->poll(request).value();
  ASSERT_EQ(page.events.size(), 5000u);
  for (std::size_t n = 0; n < 5000; ++n) EXPECT_EQ(text_of(page.events[n].payload), texts[n]);
}

// --- merging ---

TEST(Poll, KeepsShardsWholeWhenTimestampsOfSeveralProducersRunBackwards) {
  // Two producers wrote into one shard: the later entry has the smaller timestamp.
  const std::vector<ShardId> shards{0, 1};
  std::map<ShardId, std::vector<std::pair<std::string, std::uint64_t>>> stored{
      {0, {{"1", 50}, {"2", 10}, {"3", 60}, {"4", 5}}}, {1, {{"1", 20}, {"2", 55}}}};
  std::multiset<std::string> seen;
  PollRequest request;
  request.limit = 1;
  request.ordering = Ordering::kInsertionTs;
  for (;;) {
    const auto plan = plan_poll(request, shards).value();
    std::vector<ShardPage> pages;
    for (const auto& asked : plan.shards) {
      ShardPage page;
      page.shard = asked.shard;
      for (const auto& [id, timestamp] : stored[asked.shard]) {
        if (asked.after && compare_positions(id, *asked.after) <= 0) continue;
        if (page.events.size() == plan.per_shard) {
          page.has_more = true;
          break;
        }
        page.events.push_back({id, {}, timestamp});
        page.next_id = id;
      }
      pages.push_back(page);
    }
    const auto result = merge_pages(request, plan, pages);
    for (const auto& pick : result.events)
      seen.insert(std::to_string(pages[pick.page].shard) + ':' +
                  pages[pick.page].events[pick.event].id);
    request.cursor = result.next_id;
    if (!result.has_more) break;
  }
  EXPECT_EQ(seen, (std::multiset<std::string>{"0:1", "0:2", "0:3", "0:4", "1:1", "1:2"}));
}

TEST(Poll, GetsPastAPageInWhichNothingCanBeRead) {
  PollRequest request;
  request.limit = 5;
  const auto plan = plan_poll(request, {0}).value();
  ShardPage page;
  page.next_id = "7-0";
  page.has_more = true;
  const auto result = merge_pages(request, plan, {page});
  EXPECT_TRUE(result.has_more);
  EXPECT_EQ(result.next_id, encode_cursor({{0, "7-0"}}));
}

TEST(Cursor, SurvivesTheWayIntoTextAndBack) {
  std::mt19937 random(1);
  for (int round = 0; round < 500; ++round) {
    Cursor cursor;
    for (std::size_t n = random() % 6; n > 0; --n) {
      std::string position;
      for (std::size_t c = random() % 12; c > 0; --c)
        position += static_cast<char>(1 + random() % 126);
      cursor[static_cast<ShardId>(random())] = position;
    }
    EXPECT_EQ(decode_cursor(encode_cursor(cursor)).value(), cursor);
  }
  EXPECT_EQ(encode_cursor({}), "e30=");
  EXPECT_EQ(encode_cursor({{0, "1702123456789-0"}, {1, "1702123456790-0"}}),
            "eyIwIjoiMTcwMjEyMzQ1Njc4OS0wIiwiMSI6IjE3MDIxMjM0NTY3OTAtMCJ9");
}

TEST(Cursor, RefusesWhatIsNone) {
  for (const char* text : {"e30", "e30*", "====", "e3=0", "", "bnVsbA==", "eyIwIjo1fQ=="})
    EXPECT_FALSE(decode_cursor(text)) << text;
}

// --- entries ---

TEST(Entry, IsReadAsItWasWritten) {
  for (const char* payload : {"{\"a\":1}", "null", " [1, 2] ", "\"x,\\\"t\\\":5\"", "1.0",
                              "123456789012345678901234567890"}) {
    std::vector<std::byte> bytes(200);
    bytes.resize(write_entry(as_byte_span(payload), 42, 7, bytes.data()));
    const auto entry = read_entry(bytes);
    ASSERT_TRUE(entry) << payload;
    EXPECT_EQ(text_of(entry->payload), payload);
    EXPECT_EQ(entry->timestamp, 42u);
    EXPECT_EQ(entry->shard, 7);
  }
}

TEST(Entry, IsUnderstoodInOtherForms) {
  const auto read = [](std::string_view text) { return read_entry(as_byte_span(text)); };
  EXPECT_EQ(
      text_of(read(" { \"t\" : 5 , \"s\":1, \"r\" : [ 1 , {\"x\":null} ] , \"z\":0 } ")->payload),
      "[ 1 , {\"x\":null} ]");
  EXPECT_EQ(text_of(read("{\"r\":true }")->payload), "true");
  EXPECT_EQ(read("{\"r\":1}")->timestamp, 0u);
  for (const char* text : {"", "x", "[1]", "{}", "{\"t\":1}", "{\"r\":}", "{\"r\":1", "{\"r\":01}",
                           "{\"r\":1,\"t\":-1}", "{\"r\":1,\"s\":\"0\"}", "{\"r\":\"\xff\"}"}) {
    EXPECT_EQ(read(text).error(), EntryProblem::kUnreadable) << text;
  }
  EXPECT_EQ(read("{\"r\":1,\"s\":65536}").error(), EntryProblem::kCorrupt);
}

TEST(Entry, HasTheDedupIdOfTheSpecification) {
  EXPECT_EQ(dedup_prefix(0xdeadbeefcafef00dULL, 0, 0) + "2", "deadbeefcafef00d:0:0:2");
  EXPECT_EQ(dedup_prefix(0x0a, 65534, 123), "a:65534:123:");
}

// --- the link of net-mesh 0.19 ---

struct Ends {
  std::unique_ptr<LegacyLink> initiator, responder;
};

Ends linked() {
  crypto::SystemRandom random;
  const auto pair = crypto::X25519KeyPair::generate(random);
  const Bytes psk(32, std::byte{0x42});
  Ends ends{LegacyLink::create(true, psk, pair.public_key).value(),
            LegacyLink::create(false, psk, pair.secret.bytes()).value()};
  return ends;
}

/// As an initiator of 0.19 would: the mark that ours leaves is answered by nobody.
TEST(LegacyLink, OfTwoNetmeshBusesIsNotMade) {
  Ends ends = linked();
  Bytes message1 = ends.initiator->begin();
  EXPECT_EQ(ends.responder->handle(message1).kind, LegacyLink::Kind::kIgnored);
  EXPECT_FALSE(ends.responder->established());
}

TEST(LegacyLink, NoticesAnInitiatorThatSpeaksTheMeshProtocol) {
  Ends ends = linked();
  Bytes message1 = ends.initiator->begin();
  message1[80] ^= std::byte{1};
  EXPECT_EQ(ends.responder->handle(message1).kind, LegacyLink::Kind::kModernPeer);
}

TEST(LegacyLink, SurvivesGarbage) {
  Ends ends = linked();
  std::mt19937 random(3);
  for (int round = 0; round < 3000; ++round) {
    Bytes datagram(random() % 300);
    for (std::byte& byte : datagram) byte = static_cast<std::byte>(random());
    if (datagram.size() > 4 && round % 2 == 0) {
      const Bytes real = ends.initiator->begin();
      std::copy_n(real.begin(), std::min(real.size(), datagram.size()), datagram.begin());
      datagram[random() % datagram.size()] ^= std::byte{1};
    }
    const auto kind = ends.responder->handle(datagram).kind;
    EXPECT_NE(kind, LegacyLink::Kind::kEstablished);
    EXPECT_NE(kind, LegacyLink::Kind::kEvents);
  }
}

}  // namespace
}  // namespace netmesh::bus
