// Event metadata, postcard, snapshots and bundles, against the vectors of spec 42 §6, §7 and §9.

#include <gtest/gtest.h>

#include <random>

#include "cortex/cortex_testing.h"
#include "cortex/memories.h"
#include "cortex/snapshot.h"
#include "cortex/tasks.h"
#include "crypto/hash.h"

namespace netmesh::cortex {
namespace {

using testing::Body;
using testing::hex;
using testing::sealed;

constexpr std::uint64_t kOrigin = 0xABCDEF01;

const auto kNoTouch = [](const auto&) {};

Task task(std::uint64_t id, std::string title, TaskStatus status, std::uint64_t created,
          std::uint64_t updated) {
  Task out;
  out.id = id;
  out.title.assign(title);
  out.status = status;
  out.created_ns = created;
  out.updated_ns = updated;
  return out;
}

TEST(EventMeta, SealsTheEventsOfTheSpecByteForByte) {
  EXPECT_EQ(to_hex(sealed({0x01, 0, kOrigin, 0}, Body().u64(1).text("write docs").u64(100))),
            "0100000001efcdab0000000000000000000000006c72f9f6010a777269746520646f637364");
  EXPECT_EQ(to_hex(sealed({0x03, 0, kOrigin, 1}, Body().u64(1).u64(150))),
            "0300000001efcdab000000000100000000000000daffcd31019601");
  EXPECT_EQ(to_hex(sealed({0x04, 0, kOrigin, 2}, Body().u64(1))),
            "0400000001efcdab000000000200000000000000b47ac64d01");
  EXPECT_EQ(to_hex(sealed({0x10, 0, kOrigin, 0},
                          Body().u64(1).text("hello").texts({"x"}).text("alice").u64(100))),
            "1000000001efcdab000000000000000000000000d1c2db40010568656c6c6f01017805616c69636564");
}

TEST(EventMeta, ReadsBackWhatItSealed) {
  const EventMeta meta{0x7F, 0x03, 0x0102030405060708, ~std::uint64_t{0}};
  const Bytes payload = sealed(meta, as_byte_span("body"));
  EventReader reader;
  const auto event = reader.read(payload);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->meta, meta);
  EXPECT_TRUE(std::ranges::equal(event->body, as_byte_span("body")));
}

TEST(EventMeta, AcceptsTheFirstVersionOfTheChecksum) {
  Bytes payload = sealed({0x01, 0, kOrigin, 0}, as_byte_span("tail"));
  store_le(payload.data() + 20,
           static_cast<std::uint32_t>(crypto::xxh3_64(ByteSpan(payload).subspan(24))));
  EXPECT_TRUE(EventReader().read(payload));
}

TEST(EventMeta, IgnoresThePadInTheChecksum) {
  Bytes payload = sealed({0x01, 0, kOrigin, 0}, as_byte_span("tail"));
  payload[2] = std::byte{0xAA};
  payload[3] = std::byte{0xBB};
  EXPECT_TRUE(EventReader().read(payload));
}

TEST(EventMeta, RefusesEveryOtherFlippedBitAndEveryShortPayload) {
  const Bytes payload = sealed({0x01, 0, kOrigin, 0}, as_byte_span("tail"));
  EventReader reader;
  for (std::size_t bit = 0; bit < payload.size() * 8; ++bit) {
    if (bit / 8 == 2 || bit / 8 == 3) continue;
    Bytes flipped = payload;
    flipped[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    EXPECT_FALSE(reader.read(flipped)) << "bit " << bit;
    EXPECT_EQ(reader.defect(), EventDefect::kChecksum);
  }
  for (std::size_t size = 0; size < payload.size(); ++size) {
    EXPECT_FALSE(reader.read(ByteSpan(payload).first(size))) << size;
    EXPECT_EQ(reader.defect(), size < 24 ? EventDefect::kTooShort : EventDefect::kChecksum);
  }
}

TEST(Postcard, VarintsAreOfTheSpecAndReadBack) {
  std::byte buffer[kMaxVarintBytes];
  const auto encode = [&](std::uint64_t value) {
    std::byte* const end = put_varint(buffer, value);
    const ByteSpan out(buffer, end);
    EXPECT_EQ(out.size(), varint_bytes(value));
    EXPECT_EQ(PostcardReader(out).u64(), value);
    return to_hex(out);
  };
  EXPECT_EQ(encode(0), "00");
  EXPECT_EQ(encode(100), "64");
  EXPECT_EQ(encode(127), "7f");
  EXPECT_EQ(encode(150), "9601");
  EXPECT_EQ(encode(~std::uint64_t{0}), "ffffffffffffffffff01");
  for (unsigned bit = 0; bit < 64; ++bit) {
    encode(std::uint64_t{1} << bit);
    encode((std::uint64_t{1} << bit) - 1);
  }
}

TEST(Postcard, TakesLongFormsAndRefusesOverflow) {
  const auto value = [](std::string_view text) {
    const Bytes bytes = hex(text);
    PostcardReader in(bytes);
    const std::uint64_t number = in.u64();
    return in.ok() ? std::optional(number) : std::nullopt;
  };
  EXPECT_EQ(value("8000"), 0U);
  EXPECT_EQ(value("e400"), 100U);
  EXPECT_EQ(value("ffffffffffffffffff02"), std::nullopt);
  EXPECT_EQ(value("ffffffffffffffffff8101"), std::nullopt);
  EXPECT_EQ(value("80"), std::nullopt);
  EXPECT_EQ(value(""), std::nullopt);
}

TEST(Postcard, RefusesWhatIsNoBoolNoVariantAndNoUtf8) {
  const auto ok = [](std::string_view text, auto read) {
    const Bytes bytes = hex(text);
    PostcardReader in(bytes);
    read(in);
    return in.ok();
  };
  const auto boolean = [](PostcardReader& in) { in.boolean(); };
  const auto variant = [](PostcardReader& in) { in.variant(2); };
  const auto text = [](PostcardReader& in) { in.string(); };
  EXPECT_TRUE(ok("01", boolean));
  EXPECT_FALSE(ok("02", boolean));
  EXPECT_TRUE(ok("01", variant));
  EXPECT_FALSE(ok("02", variant));
  EXPECT_FALSE(ok("ffffffff1f", variant));
  EXPECT_TRUE(ok("04f09f9880", text));
  for (const char* bad : {"01ff", "02c080", "03eda080", "04f4908080", "02e282", "03e08080",
                          "0161ff", "04f0808080", "0180", "05616263", "ffffffffffffffffff01"}) {
    EXPECT_EQ(ok(bad, text), std::string_view(bad) == "0161ff") << bad;
  }
}

TEST(Snapshot, OfOneTaskIsTheVectorOfTheSpec) {
  TasksModel::State state;
  state.put(1, [](Task& row, bool) { row = task(1, "alpha", TaskStatus::kCompleted, 100, 150); });
  const Snapshot snapshot = encode_snapshot<TasksModel>(state, 2, 1);
  EXPECT_EQ(to_hex(snapshot.bytes()), "020d01010105616c70686101649601");

  const Bundle bundle{BundleEntry{Bytes(snapshot.bytes().begin(), snapshot.bytes().end()), 1},
                      std::nullopt};
  EXPECT_EQ(to_hex(encode_bundle(bundle)), "010f020d01010105616c70686101649601010100");
  const Bundle both{bundle.tasks, BundleEntry{hex("000100"), std::nullopt}};
  EXPECT_EQ(to_hex(encode_bundle(both)),
            "010f020d01010105616c7068610164960101010103"
            "00010000");
}

TEST(Snapshot, OfNothingIsTheVectorOfTheSpec) {
  EXPECT_EQ(to_hex(encode_snapshot<TasksModel>({}, 0, std::nullopt).bytes()), "000100");
  EXPECT_EQ(to_hex(encode_snapshot<MemoriesModel>({}, 0, std::nullopt).bytes()), "000100");
}

TEST(Snapshot, TakesRowsInAnyOrderAndTheLastOfSeveralOfOneId) {
  const Bytes row2 = Body().u64(2).u64(2).text("b").u64(0).u64(5).u64(6).bytes();
  const Bytes row1 = Body().u64(1).u64(1).text("old").u64(0).u64(1).u64(1).bytes();
  const Bytes again = Body().u64(1).u64(1).text("new").u64(1).u64(1).u64(9).bytes();
  Bytes rows = hex("03");
  for (const Bytes& row : {row2, row1, again}) rows.insert(rows.end(), row.begin(), row.end());
  Bytes bytes = Body().u64(7).u64(rows.size()).bytes();
  bytes.insert(bytes.end(), rows.begin(), rows.end());
  bytes.push_back(std::byte{0xEE});  // trailing bytes are no matter

  TasksModel::State state;
  EXPECT_EQ(decode_snapshot<TasksModel>(bytes, state), 7U);
  ASSERT_EQ(state.size(), 2U);
  EXPECT_EQ(state.find(1)->title.text(), "new");
  EXPECT_EQ(state.find(1)->updated_ns, 9U);
  EXPECT_EQ(state.find(2)->title.text(), "b");
}

template <typename Model>
Bytes snapshot_of(const typename Model::State& state, std::uint64_t app_seq) {
  const Snapshot snapshot = encode_snapshot<Model>(state, app_seq, std::nullopt);
  return {snapshot.bytes().begin(), snapshot.bytes().end()};
}

TEST(Snapshot, OfManyMemoriesReadsBackAndCutAnywhereIsRefused) {
  MemoriesModel::State state;
  EventReader reader;
  const auto apply = [&](std::uint8_t dispatch, const Body& body) {
    const Bytes payload = sealed({dispatch, 0, kOrigin, 0}, body);
    const auto event = reader.read(payload);
    ASSERT_TRUE(event);
    ASSERT_TRUE(MemoriesModel::apply(state, *event, kNoTouch));
  };
  for (std::uint64_t id = 0; id < 20; ++id) {
    const std::uint64_t wide = id * 0x0101010101010101;
    apply(0x10, Body()
                    .u64(wide)
                    .text("content " + std::to_string(id))
                    .texts({"a", "ü", "a"})
                    .text("källa")
                    .u64(wide));
    if (id % 3 == 0) apply(0x12, Body().u64(wide).u64(wide + 1));
  }
  const Bytes bytes = snapshot_of<MemoriesModel>(state, 20);
  MemoriesModel::State again;
  EXPECT_EQ(decode_snapshot<MemoriesModel>(bytes, again), 20U);
  EXPECT_EQ(snapshot_of<MemoriesModel>(again, 20), bytes);
  EXPECT_TRUE(again.find(3 * 0x0101010101010101)->pinned);

  for (std::size_t size = 0; size < bytes.size(); ++size) {
    MemoriesModel::State cut;
    const auto result = decode_snapshot<MemoriesModel>(ByteSpan(bytes).first(size), cut);
    ASSERT_FALSE(result) << size;
    EXPECT_EQ(result.error().message.substr(0, 39), "encode failed: memories snapshot unwrap");
  }
}

TEST(Snapshot, WithARowUnderAnotherIdIsRefused) {
  const Bytes bytes = Body().u64(0).u64(7).u64(1).u64(2).u64(1).u64(0).u64(0).u64(0).u64(0).bytes();
  TasksModel::State state;
  const auto result = decode_snapshot<TasksModel>(bytes, state);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message,
            "encode failed: deserialize snapshot: a row stands under the id of another");
}

TEST(Bundle, CutAnywhereIsRefused) {
  const Bytes bytes = encode_bundle({BundleEntry{hex("020d01010105616c70686101649601"), 1},
                                     BundleEntry{hex("000100"), ~std::uint64_t{0}}});
  EXPECT_TRUE(decode_bundle(bytes));
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto result = decode_bundle(ByteSpan(bytes).first(size));
    ASSERT_FALSE(result) << size;
    EXPECT_EQ(result.error().message.substr(0, 41), "netdb: decode snapshot bundle: snapshot: ");
  }
}

TEST(Bundle, ReadsBackWhateverItHolds) {
  std::mt19937_64 random(1);
  const auto entry = [&]() -> std::optional<BundleEntry> {
    if (random() % 3 == 0) return std::nullopt;
    BundleEntry out;
    out.state.resize(random() % 300);
    for (std::byte& byte : out.state) byte = static_cast<std::byte>(random());
    if (random() % 2 == 0) out.last_seq = random() >> (random() % 64);
    return out;
  };
  for (int i = 0; i < 200; ++i) {
    const Bundle bundle{entry(), entry()};
    EXPECT_EQ(decode_bundle(encode_bundle(bundle)), bundle);
  }
}

TEST(LowerCase, FollowsTheFullMappings) {
  EXPECT_EQ(to_lower("HeLLo 123"), "hello 123");
  EXPECT_EQ(to_lower("ÄÖÜ ẞ"), "äöü ß");
  EXPECT_EQ(to_lower("İstanbul"), "i̇stanbul");
  EXPECT_EQ(to_lower("ΟΔΥΣΣΕΥΣ"), "οδυσσευς");
  EXPECT_EQ(to_lower("ΑΣ ΣΑ Σ"), "ας σα σ");
  EXPECT_EQ(to_lower("ΑΣ."), "ας.");
  EXPECT_EQ(to_lower("Α.Σ.Β"), "α.σ.β");
  EXPECT_EQ(to_lower("ДЖ ǅ Ⅷ Ⓐ"), "дж ǆ ⅷ ⓐ");
}

}  // namespace
}  // namespace netmesh::cortex
