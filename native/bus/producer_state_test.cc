#include "bus/producer_state.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

namespace netmesh::bus {
namespace {

class ProducerState : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = std::filesystem::temp_directory_path() / "netmesh-producer-XXXXXX";
    folder_ = mkdtemp(pattern.data());
    path_ = folder_ + "/nonce";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  static void write(const std::string& path, const std::string& content) {
    std::ofstream(path, std::ios::binary) << content;
  }
  static std::string read(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static EncodedBatch batch(ShardId shard, std::uint64_t start,
                            const std::vector<std::string>& events, std::uint64_t nonce = 7) {
    EncodedBatch out;
    out.shard = shard;
    out.nonce = nonce;
    out.sequence_start = start;
    std::size_t size = 1;
    for (const auto& event : events) size += event.size();
    out.bytes = Slab(size);
    for (const auto& event : events) {
      if (!event.empty()) std::memcpy(out.bytes.extend(event.size()), event.data(), event.size());
      out.ends.push_back(static_cast<std::uint32_t>(out.bytes.size()));
    }
    return out;
  }
  static std::string text(const EncodedBatch& batch) {
    const ByteSpan bytes = batch.bytes.bytes();
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  std::unique_ptr<ProducerJournal> open(std::uint64_t nonce = 7) {
    auto journal = ProducerJournal::open(path_, nonce);
    EXPECT_TRUE(journal) << (journal ? "" : journal.error().message);
    return journal ? std::move(*journal) : nullptr;
  }

  std::string folder_, path_;
};

TEST_F(ProducerState, ReadsTheNonceOfTheSpecification) {
  write(path_, std::string("\x01\x0d\xf0\xfe\xca\xef\xbe\xad\xde", 9));
  EXPECT_EQ(load_or_create_nonce(path_).value(), 0xdeadbeefcafef00dULL);
}

TEST_F(ProducerState, MakesANonceOnceAndKeepsIt) {
  const std::uint64_t nonce = load_or_create_nonce(path_).value();
  EXPECT_NE(nonce, 0u);
  EXPECT_EQ(load_or_create_nonce(path_).value(), nonce);
  EXPECT_EQ(read(path_).size(), 9u);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
}

TEST_F(ProducerState, RefusesNonceFilesOfAnotherShape) {
  write(path_, "12345");
  EXPECT_EQ(load_or_create_nonce(path_).error().message,
            "producer-nonce file at " + path_ + " has length 5 (expected 9 for v1)");
  write(path_, std::string("\x02xxxxxxxx", 9));
  EXPECT_EQ(
      load_or_create_nonce(path_).error().message,
      "producer-nonce file at " + path_ + " has unknown version byte 0x02 (expected 0x01 for v1)");
  EXPECT_EQ(load_or_create_nonce(folder_ + "/missing/nonce").error().message,
            "No such file or directory");
}

TEST_F(ProducerState, GoesOnBehindEverySequenceThatWasUsed) {
  {
    auto journal = open();
    ASSERT_TRUE(journal->record(batch(0, 0, {"a", "b"})));
    ASSERT_TRUE(journal->record(batch(3, 0, {"c"})));
    ASSERT_TRUE(journal->settle(0, 0));
    ASSERT_TRUE(journal->record(batch(0, 2, {"d"})));
    ASSERT_TRUE(journal->settle(0, 2));
  }
  auto journal = open();
  EXPECT_EQ(journal->next_sequence(0), 3u);
  EXPECT_EQ(journal->next_sequence(3), 1u);
  EXPECT_EQ(journal->next_sequence(1), 0u);
}

TEST_F(ProducerState, RecoversWhatWasNotSettledInItsOrderAndBytes) {
  {
    auto journal = open();
    ASSERT_TRUE(journal->record(batch(0, 0, {"a", "bb"})));
    ASSERT_TRUE(journal->record(batch(1, 0, {"c"})));
    ASSERT_TRUE(journal->record(batch(0, 2, {"", "dd"})));
    ASSERT_TRUE(journal->settle(1, 0));
  }
  const auto recovered = open()->take_recovered();
  ASSERT_EQ(recovered.size(), 2u);
  EXPECT_EQ(text(recovered[0]), "abb");
  EXPECT_EQ(recovered[0].ends, (std::vector<std::uint32_t>{1, 3}));
  EXPECT_EQ(recovered[1].sequence_start, 2u);
  EXPECT_EQ(recovered[1].ends, (std::vector<std::uint32_t>{0, 2}));
}

TEST_F(ProducerState, DropsARecordThatWasCutShortAndKeepsThoseBefore) {
  std::uintmax_t first = 0;
  {
    auto journal = open();
    ASSERT_TRUE(journal->record(batch(0, 0, {"first"})));
    first = std::filesystem::file_size(path_ + ".journal");
    ASSERT_TRUE(journal->record(batch(0, 1, {"second"})));
  }
  const std::string whole = read(path_ + ".journal");
  for (std::size_t size = static_cast<std::size_t>(first); size < whole.size(); ++size) {
    write(path_ + ".journal", whole.substr(0, size));
    auto journal = open();
    EXPECT_EQ(journal->next_sequence(0), 1u);
    EXPECT_EQ(journal->take_recovered().size(), 1u);
    // What follows is appended behind the last whole record.
    ASSERT_TRUE(journal->record(batch(0, 1, {"again"})));
    journal.reset();
    EXPECT_EQ(open()->take_recovered().size(), 2u);
  }
}

TEST_F(ProducerState, NeverTakesDamagedRecordsForGoodOnes) {
  {
    auto journal = open();
    ASSERT_TRUE(journal->record(batch(0, 0, {"payload"})));
  }
  const std::string whole = read(path_ + ".journal");
  for (std::size_t at = 16; at < whole.size(); ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    write(path_ + ".journal", damaged);
    EXPECT_TRUE(open()->take_recovered().empty()) << at;
  }
  write(path_ + ".journal", "something else entirely");
  EXPECT_FALSE(ProducerJournal::open(path_, 7));
}

TEST_F(ProducerState, StaysSmallWhileBatchesComeAndGo) {
  const std::string event(40'000, 'x');
  auto journal = open();
  for (std::uint64_t n = 0; n < 500; ++n) {
    ASSERT_TRUE(journal->record(batch(static_cast<ShardId>(n % 2), n / 2, {event})));
    if (n > 0) ASSERT_TRUE(journal->settle(static_cast<ShardId>((n - 1) % 2), (n - 1) / 2));
  }
  EXPECT_LT(std::filesystem::file_size(path_ + ".journal"), 6u << 20);
  journal.reset();
  journal = open();
  EXPECT_EQ(journal->next_sequence(0), 250u);
  EXPECT_EQ(journal->next_sequence(1), 250u);
  const auto recovered = journal->take_recovered();
  ASSERT_EQ(recovered.size(), 1u);
  EXPECT_EQ(text(recovered[0]), event);
}

TEST_F(ProducerState, BelongsToOneProcessAtATime) {
  const auto journal = open();
  EXPECT_EQ(ProducerJournal::open(path_, 7).error().message, "in use by another process");
}

TEST_F(ProducerState, StartsAnewUnderAnotherNonceButSendsWhatIsLeftUnderItsOwn) {
  {
    auto journal = open(7);
    ASSERT_TRUE(journal->record(batch(0, 0, {"old"})));
  }
  auto journal = open(8);
  EXPECT_EQ(journal->next_sequence(0), 0u);
  const auto recovered = journal->take_recovered();
  ASSERT_EQ(recovered.size(), 1u);
  EXPECT_EQ(recovered[0].nonce, 7u);
}

}  // namespace
}  // namespace netmesh::bus
