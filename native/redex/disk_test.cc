// Logs on disk: their bytes, recovery, syncing, compaction.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <map>
#include <random>
#include <thread>

#include "crypto/hash.h"
#include "redex/redex_testing.h"
#include "redex/storage.h"

namespace netmesh::redex {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::all_payloads;
using testing::from_digits;
using testing::read_file;
using testing::record_bytes;
using testing::TemporaryDirectory;
using testing::u64_bytes;
using testing::write_file;
using Strings = std::vector<std::string>;

const std::string kManifest1 = "5245444d01010000000000003ee1c150";
const std::string kManifest2 = "5245444d01020000000000007e225a93";

class DiskTest : public ::testing::Test {
 protected:
  fs::path channel() const { return root.path() / "test/log"; }
  fs::path generation(int number) const {
    char name[16];
    std::snprintf(name, sizeof(name), "v%010d", number);
    return channel() / name;
  }

  Expected<std::shared_ptr<File>> try_open(FileConfig config = {}) {
    config.persistent = true;
    manager = std::make_unique<Redex>(RedexOptions{.persistent_dir = root.path().string()});
    return manager->open_file("test/log", config);
  }
  std::shared_ptr<File> open(const FileConfig& config = {}) {
    auto file = try_open(config);
    if (!file) throw std::runtime_error(file.error().message);
    return *file;
  }
  static std::uint32_t checksum(const std::string& payload) {
    return static_cast<std::uint32_t>(crypto::xxh3_64(as_byte_span(payload))) & 0x0FFFFFFF;
  }

  /// A log written from the byte tables of the specification.
  void write_log(const fs::path& directory, const Strings& events, std::uint64_t first_seq = 0) {
    std::string idx;
    std::string dat;
    std::string ts;
    for (const std::string& event : events) {
      idx += record_bytes(first_seq, static_cast<std::uint32_t>(dat.size()),
                          static_cast<std::uint32_t>(event.size()), checksum(event));
      ts += u64_bytes(1'700'000'000'000'000'000 + first_seq);
      dat += event;
      ++first_seq;
    }
    write_file(directory / "idx", idx);
    write_file(directory / "dat", dat);
    write_file(directory / "ts", ts);
  }

  TemporaryDirectory root;
  std::unique_ptr<Redex> manager;
};

TEST_F(DiskTest, WritesTheDocumentedBytes) {
  auto file = open();
  EXPECT_EQ(*file->append(as_byte_span("hello")), 0u);
  for (int i = 1; i < 7; ++i) ASSERT_TRUE(file->append({}));
  ASSERT_TRUE(file->append_inline(as_byte_span("abcd1234").first<8>()));
  const std::string idx = read_file(generation(1) / "idx");
  ASSERT_EQ(idx.size(), 8 * 20u);
  EXPECT_EQ(idx.substr(0, 20), from_digits("0000000000000000 00000000 05000000 fddc620c"));
  EXPECT_EQ(idx.substr(140), from_digits("0700000000000000 61626364 31323334 95b97f83"));
  EXPECT_EQ(read_file(generation(1) / "dat"), "hello");
  EXPECT_EQ(read_file(generation(1) / "ts").size(), 8 * 8u);
  EXPECT_EQ(read_file(channel() / "manifest"), from_digits(kManifest1));
  EXPECT_FALSE(fs::exists(channel() / "manifest.tmp"));
}

TEST_F(DiskTest, WritesTheSameBytesUnderLoadAndOneByOne) {
  auto file = open();
  std::string dat;
  std::string idx;
  for (std::uint64_t i = 0; i < 20000; ++i) {
    const std::string payload = "event " + std::to_string(i * i);
    idx += record_bytes(i, static_cast<std::uint32_t>(dat.size()),
                        static_cast<std::uint32_t>(payload.size()), checksum(payload));
    dat += payload;
    ASSERT_EQ(*file->append(as_byte_span(payload)), i);
  }
  ASSERT_TRUE(file->sync());
  EXPECT_EQ(read_file(generation(1) / "idx"), idx);
  EXPECT_EQ(read_file(generation(1) / "dat"), dat);
  EXPECT_EQ(read_file(generation(1) / "ts").size(), 20000 * 8u);
  EXPECT_EQ(file->stats().synced_seq, 20000u);
}

TEST_F(DiskTest, WritesTheSameBytesWhileAHelperPreparesTheFilesAhead) {
  auto file = open();
  std::string dat;
  std::string idx;
  std::uint64_t seq = 0;
  std::mt19937 random(7);
  while (dat.size() < 48 << 20) {
    std::vector<std::string> texts;
    for (std::size_t i = random() % 100; i > 0; --i)
      texts.emplace_back(random() % 1500, static_cast<char>('a' + random() % 26));
    std::vector<ByteSpan> views;
    for (const std::string& text : texts) {
      idx += record_bytes(seq + views.size(), static_cast<std::uint32_t>(dat.size()),
                          static_cast<std::uint32_t>(text.size()), checksum(text));
      dat += text;
      views.push_back(as_byte_span(text));
    }
    ASSERT_EQ(*file->append_batch(views), seq);
    seq += views.size();
  }
  ASSERT_TRUE(file->sync());
  EXPECT_TRUE(read_file(generation(1) / "idx") == idx);
  EXPECT_TRUE(read_file(generation(1) / "dat") == dat);
  EXPECT_EQ(read_file(generation(1) / "ts").size(), seq * 8u);
}

TEST_F(DiskTest, GivesReservedSpaceBackWhenTheBurstIsOver) {
  auto file = open();
  for (int i = 0; i < 5000; ++i) ASSERT_TRUE(file->append(as_byte_span("0123456789")));
  const auto until = std::chrono::steady_clock::now() + 10s;
  while (fs::file_size(generation(1) / "dat") != 50000 && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(5ms);
  EXPECT_EQ(fs::file_size(generation(1) / "dat"), 50000u);
  EXPECT_EQ(fs::file_size(generation(1) / "idx"), 100000u);
  ASSERT_TRUE(file->append(as_byte_span("more")));
  EXPECT_EQ(file->length(), 5001u);
}

TEST_F(DiskTest, OpensALogWrittenFromTheByteTables) {
  write_log(generation(1), {"hello", "", "world"});
  write_file(channel() / "manifest", from_digits(kManifest1));
  auto file = open();
  EventBatch batch;
  file->read_range(0, 10, batch);
  EXPECT_EQ(testing::payloads(batch), (Strings{"hello", "", "world"}));
  EXPECT_EQ(batch[2].seq, 2u);
  EXPECT_EQ(batch[2].timestamp, 1'700'000'000'000'000'002);
  EXPECT_EQ(*file->append(as_byte_span("!")), 3u);
  EXPECT_EQ(read_file(generation(1) / "dat"), "helloworld!");
}

TEST_F(DiskTest, ReadsInlineEventsOfOtherWriters) {
  write_file(generation(1) / "idx", record_bytes(0, 0, 2, checksum("ab")) +
                                        from_digits("0700000000000000 61626364 31323334 95b97f83"));
  write_file(generation(1) / "dat", "ab");
  auto file = open();
  EventBatch batch;
  file->read_range(0, 10, batch);
  EXPECT_EQ(testing::payloads(batch), (Strings{"ab", "abcd1234"}));
  EXPECT_TRUE(batch[1].is_inline);
  EXPECT_EQ(file->next_seq(), 8u);
}

TEST_F(DiskTest, ReopensWithWhatWasAppendedWithoutAClose) {
  auto first = open();
  for (const char* text : {"a", "b", "c"}) ASSERT_TRUE(first->append(as_byte_span(text)));
  auto second_manager =
      std::make_unique<Redex>(RedexOptions{.persistent_dir = root.path().string()});
  auto second = *second_manager->open_file("test/log", {.persistent = true});
  EXPECT_EQ(all_payloads(*second), (Strings{"a", "b", "c"}));
  ASSERT_TRUE(second->append(as_byte_span("d")));
  EXPECT_EQ(all_payloads(*first), (Strings{"a", "b", "c", "d"}));
  ASSERT_TRUE(first->close());
  EXPECT_TRUE(second->append(as_byte_span("e")));
  first.reset();
  second.reset();
  second_manager.reset();
  EXPECT_EQ(all_payloads(*open()), (Strings{"a", "b", "c", "d", "e"}));
}

TEST_F(DiskTest, ReopensAfterACloseOnTheSameManager) {
  auto file = open();
  ASSERT_TRUE(file->append(as_byte_span("a")));
  file->close([](Expected<void>) {});
  auto again = *manager->open_file("test/log", {.persistent = true});
  EXPECT_NE(again, file);
  EXPECT_EQ(*again->append(as_byte_span("b")), 1u);
  EXPECT_EQ(all_payloads(*again), (Strings{"a", "b"}));
  // The closed handle keeps what it had; it may share the log with the new one while it ends.
  EXPECT_EQ(all_payloads(*file).front(), "a");
}

TEST_F(DiskTest, PrefersTheGenerationOfTheManifest) {
  write_log(generation(1), {"one"});
  write_log(generation(2), {"two"});
  write_log(generation(3), {"three"});
  write_file(channel() / "manifest", from_digits(kManifest2));
  EXPECT_EQ(all_payloads(*open()), (Strings{"two"}));
  EXPECT_FALSE(fs::exists(generation(1)));
  EXPECT_FALSE(fs::exists(generation(3)));
}

TEST_F(DiskTest, TakesTheHighestCompleteGenerationWithoutAValidManifest) {
  for (const std::string& manifest : Strings{"", "garbage", from_digits(kManifest1) + "x",
                                             from_digits("5245444d0105000000000000") + "abcd"}) {
    fs::remove_all(channel());
    write_log(generation(2), {"two"});
    write_log(generation(3), {"three"});
    fs::create_directories(generation(4));
    write_file(generation(4) / "idx", "");
    if (!manifest.empty()) write_file(channel() / "manifest", manifest);
    write_file(channel() / "manifest.tmp", "left over");
    auto file = open();
    EXPECT_EQ(all_payloads(*file), (Strings{"three"})) << manifest;
    EXPECT_EQ(read_file(channel() / "manifest").substr(0, 6), from_digits("5245444d0103"));
    EXPECT_FALSE(fs::exists(channel() / "manifest.tmp"));
    EXPECT_FALSE(fs::exists(generation(2)));
    EXPECT_FALSE(fs::exists(generation(4)));
    ASSERT_TRUE(file->close());
  }
}

TEST_F(DiskTest, MigratesTheFlatLayout) {
  write_log(channel(), {"old", "times"});
  auto file = open();
  EXPECT_EQ(all_payloads(*file), (Strings{"old", "times"}));
  EXPECT_FALSE(fs::exists(channel() / "idx"));
  EXPECT_EQ(read_file(generation(1) / "dat"), "oldtimes");
  EXPECT_EQ(read_file(channel() / "manifest"), from_digits(kManifest1));
}

TEST_F(DiskTest, LeavesANestedChannelThatIsCalledLikeAGenerationAlone) {
  write_log(generation(1), {"mine"});
  write_file(channel() / "manifest", from_digits(kManifest1));
  write_log(generation(2) / "v0000000001", {"theirs"});
  write_file(generation(2) / "manifest", from_digits(kManifest1));
  EXPECT_EQ(all_payloads(*open()), (Strings{"mine"}));
  EXPECT_EQ(read_file(generation(2) / "v0000000001/dat"), "theirs");
  manager = std::make_unique<Redex>(RedexOptions{.persistent_dir = root.path().string()});
  for (const char* name : {"a/v0000000002", "a/manifest", "a/idx/b"})
    EXPECT_FALSE(manager->open_file(name, {.persistent = true})) << name;
  EXPECT_TRUE(manager->open_file("v0000000002/a", {.persistent = true}));
}

TEST_F(DiskTest, CutsATornTailAndAppendsWhereItWas) {
  write_log(generation(1), {"whole", "torn"});
  const std::string dat = read_file(generation(1) / "dat");
  write_file(generation(1) / "dat", dat.substr(0, 7));  // "to" of "torn"
  const std::string tail = record_bytes(2, 0x64636261, 0x34333231, 0x837fb995);
  write_file(generation(1) / "idx", read_file(generation(1) / "idx") + tail + "partial");
  auto file = open();
  EXPECT_EQ(all_payloads(*file), (Strings{"whole"}));
  EXPECT_EQ(fs::file_size(generation(1) / "idx"), 20u);
  EXPECT_EQ(read_file(generation(1) / "dat"), "whole");
  EXPECT_EQ(*file->append(as_byte_span("next")), 1u);
  EXPECT_EQ(read_file(generation(1) / "dat"), "wholenext");
}

TEST_F(DiskTest, CutsGarbageAfterTheLastPayload) {
  write_log(generation(1), {"a", "b"});
  write_file(generation(1) / "dat", "abgarbage");
  auto file = open();
  ASSERT_TRUE(file->append(as_byte_span("c")));
  EXPECT_EQ(read_file(generation(1) / "dat"), "abc");
}

TEST_F(DiskTest, CutsTheZerosThatACrashUnderLoadLeaves) {
  write_log(generation(1), {"a", "b"});
  for (const char* name : {"idx", "dat", "ts"}) {
    const fs::path path = generation(1) / name;
    fs::resize_file(path, fs::file_size(path) + 20 * 8 * 100);
  }
  auto file = open();
  EXPECT_EQ(all_payloads(*file), (Strings{"a", "b"}));
  EXPECT_EQ(fs::file_size(generation(1) / "idx"), 40u);
  EXPECT_EQ(fs::file_size(generation(1) / "ts"), 16u);
  EXPECT_EQ(file->next_seq(), 2u);
}

TEST_F(DiskTest, LeavesDamagedRecordsOutOfANewGeneration) {
  write_log(generation(1), {"first", "second", "third"});
  std::string dat = read_file(generation(1) / "dat");
  dat[6] = static_cast<char>(dat[6] ^ 1);
  write_file(generation(1) / "dat", dat);
  write_file(channel() / "manifest", from_digits(kManifest1));
  {
    auto file = open();
    EventBatch batch;
    file->read_range(0, 10, batch);
    EXPECT_EQ(testing::payloads(batch), (Strings{"first", "third"}));
    EXPECT_EQ(batch[1].seq, 2u);
    EXPECT_EQ(batch[1].timestamp, 1'700'000'000'000'000'002);
    EXPECT_EQ(*file->append(as_byte_span("fourth")), 3u);
  }
  EXPECT_EQ(read_file(channel() / "manifest"), from_digits(kManifest2));
  EXPECT_FALSE(fs::exists(generation(1)));
  EXPECT_EQ(read_file(generation(2) / "dat"), "firstthirdfourth");
  EXPECT_EQ(fs::file_size(generation(2) / "ts"), 24u);
  EXPECT_EQ(all_payloads(*open()), (Strings{"first", "third", "fourth"}));
}

TEST_F(DiskTest, FillsMissingTimestampsAndKeepsTheOthers) {
  write_log(generation(1), {"a", "b", "c"});
  fs::resize_file(generation(1) / "ts", 12);
  {
    auto file = open();
    EventBatch batch;
    file->read_range(0, 10, batch);
    EXPECT_EQ(batch[0].timestamp, 1'700'000'000'000'000'000);
    EXPECT_GT(batch[1].timestamp, 1'700'000'000'000'000'002);
    ASSERT_TRUE(file->append(as_byte_span("d")));
  }
  EXPECT_EQ(fs::file_size(generation(1) / "ts"), 32u);
  fs::remove(generation(1) / "ts");
  EXPECT_EQ(all_payloads(*open()), (Strings{"a", "b", "c", "d"}));
  EXPECT_EQ(fs::file_size(generation(1) / "ts"), 32u);
}

TEST_F(DiskTest, SurvivesAFlippedBitAnywhere) {
  Strings events;
  for (int i = 0; i < 3; ++i) events.push_back("event " + std::to_string(i));
  write_log(generation(1), events);
  write_file(channel() / "manifest", from_digits(kManifest1));
  const fs::path files[] = {generation(1) / "idx", generation(1) / "dat", generation(1) / "ts",
                            channel() / "manifest"};
  std::map<fs::path, std::string> sound;
  for (const fs::path& path : files) sound[path] = read_file(path);
  for (const fs::path& damaged : files) {
    for (std::size_t bit = 0; bit < sound[damaged].size() * 8; ++bit) {
      fs::remove_all(channel());
      for (const auto& [path, bytes] : sound) write_file(path, bytes);
      std::string bytes = sound[damaged];
      bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
      write_file(damaged, bytes);
      auto file = open();
      const Strings read = all_payloads(*file);
      // At most one event is lost, and none is wrong.
      ASSERT_GE(read.size() + 1, events.size()) << damaged << " bit " << bit;
      auto expected = events.begin();
      for (const std::string& payload : read) {
        expected = std::find(expected, events.end(), payload);
        ASSERT_NE(expected, events.end()) << damaged << " bit " << bit << ": " << payload;
      }
      ASSERT_TRUE(file->append(as_byte_span("more"))) << damaged << " bit " << bit;
      ASSERT_TRUE(file->close());
    }
  }
}

TEST_F(DiskTest, OpensWhateverItsFilesHoldAndReturnsOnlySoundEvents) {
  std::mt19937 random(20261121);
  for (int round = 0; round < 300; ++round) {
    fs::remove_all(channel());
    write_log(generation(1), {"alpha", "beta", "gamma", "delta"});
    for (const char* name : {"idx", "dat", "ts"}) {
      std::string bytes = read_file(generation(1) / name);
      for (unsigned i = random() % 4; i > 0 && !bytes.empty(); --i)
        bytes[random() % bytes.size()] = static_cast<char>(random());
      if (random() % 3 == 0) bytes.resize(random() % (bytes.size() + 1));
      if (random() % 3 == 0) bytes.append(random() % 60, static_cast<char>(random()));
      write_file(generation(1) / name, bytes);
    }
    auto file = open();
    for (const std::string& payload : all_payloads(*file)) {
      const bool known = payload == "alpha" || payload == "beta" || payload == "gamma" ||
                         payload == "delta" || payload.empty();
      ASSERT_TRUE(known) << "round " << round;
    }
    const std::uint64_t before = file->length();
    ASSERT_TRUE(file->append(as_byte_span("epsilon")));
    ASSERT_TRUE(file->close());
    file = open();
    ASSERT_EQ(file->length(), before + 1) << "round " << round;
    ASSERT_TRUE(file->close());
  }
}

TEST_F(DiskTest, DoesNotReturnWhatWasDamagedWhileOpen) {
  auto file = open();
  for (const char* text : {"one", "two", "three"}) ASSERT_TRUE(file->append(as_byte_span(text)));
  const fs::path dat = generation(1) / "dat";
  std::fstream(dat, std::ios::in | std::ios::out | std::ios::binary).seekp(4).put('X');
  EXPECT_EQ(all_payloads(*file), (Strings{"one", "three"}));
  EventBatch batch;
  EXPECT_EQ(file->tail(0, {})->take(batch), TailState::kEmpty);
  EXPECT_EQ(testing::payloads(batch), (Strings{"one", "three"}));
  EXPECT_EQ(file->stats().corrupt_reads, 2u);
}

TEST_F(DiskTest, RefusesASecondProcess) {
  auto file = open();
  const pid_t child = fork();
  if (child == 0) {
    // The child of a fork shares the lock and this process's table of logs; what it opens anew does
    // neither.
    const auto lock = Storage::posix()->lock(channel().string());
    _exit(!lock && lock.error().kind == ErrorKind::kRedexInUse ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  const auto lock = Storage::posix()->lock(channel().string());
  ASSERT_FALSE(lock);
  EXPECT_NE(lock.error().message.find("in use by another process"), std::string::npos);
  ASSERT_TRUE(file->append(as_byte_span("readable")));
  ASSERT_TRUE(file->close());
  EXPECT_TRUE(Storage::posix()->lock(channel().string()));
  EXPECT_EQ(all_payloads(*file), (Strings{"readable"}));
  auto dropped = open();
  dropped.reset();
  manager.reset();
  EXPECT_TRUE(Storage::posix()->lock(channel().string()));
}

TEST_F(DiskTest, SyncsByCount) {
  FileConfig config;
  config.fsync.every_n = 10;
  auto file = open(config);
  const Bytes payload(100);
  const std::vector<ByteSpan> batch(7, payload);
  ASSERT_TRUE(file->append_batch(batch));
  EXPECT_EQ(file->stats().synced_seq, 0u);
  ASSERT_TRUE(file->append_batch(batch));
  const auto until = std::chrono::steady_clock::now() + 10s;
  while (file->stats().synced_seq < 14 && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(1ms);
  EXPECT_EQ(file->stats().synced_seq, 14u);
}

TEST_F(DiskTest, SyncsByInterval) {
  FileConfig config;
  config.fsync.interval = 20ms;
  auto file = open(config);
  for (std::uint64_t i = 1; i <= 3; ++i) {
    ASSERT_TRUE(file->append(as_byte_span("x")));
    const auto until = std::chrono::steady_clock::now() + 10s;
    while (file->stats().synced_seq < i && std::chrono::steady_clock::now() < until)
      std::this_thread::sleep_for(1ms);
    EXPECT_EQ(file->stats().synced_seq, i);
  }
}

TEST_F(DiskTest, CompactsByItselfWhileItIsAppendedToAndRead) {
  FileConfig config;
  config.retention.max_events = 1000;
  auto file = open(config);
  TailSignal signal;
  std::atomic<std::uint64_t> next{0};
  std::thread reader([&, tail = file->tail(0, signal.callback())] {
    EventBatch batch;
    for (TailState state = TailState::kMore; state != TailState::kEnded;) {
      state = tail->take(batch);
      if (state == TailState::kLagged) {
        next = ~std::uint64_t{0};
        return;
      }
      for (const EventView& event : batch) {
        const bool right =
            event.seq == next && testing::text(event.payload).substr(0, 20) ==
                                     std::to_string(next).append(20, '.').substr(0, 20);
        if (!right) return;
        ++next;
      }
      if (state == TailState::kEmpty) signal.wait();
    }
  });
  constexpr std::uint64_t kEvents = 30000;
  for (std::uint64_t i = 0; i < kEvents; ++i) {
    ASSERT_TRUE(file->append(as_byte_span(std::to_string(i).append(400, '.').substr(0, 400))));
    // The reader stays within the grace that retention gives it.
    while (next + 1500 < i) std::this_thread::yield();
  }
  EXPECT_EQ(file->length(), 1000u);
  const auto until = std::chrono::steady_clock::now() + 10s;
  while (file->stats().compactions == 0 && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(1ms);
  EXPECT_GE(file->stats().compactions, 1u);
  ASSERT_TRUE(file->close());
  reader.join();
  EXPECT_EQ(next, kEvents);
  file.reset();
  file = open(config);
  EXPECT_EQ(file->length(), 1000u);
  EXPECT_EQ(file->stats().first_seq, kEvents - 1000);
  ASSERT_TRUE(file->close());  // no compaction is under way any more
  const auto only = std::distance(fs::directory_iterator(channel()), fs::directory_iterator());
  EXPECT_EQ(only, 2);  // the manifest and one generation
}

TEST_F(DiskTest, SkipsAheadAndRemembersItFromTheNextEventOn) {
  auto file = open();
  ASSERT_TRUE(file->append(as_byte_span("old")));
  ASSERT_TRUE(file->skip_to(100));
  EXPECT_EQ(file->length(), 0u);
  EXPECT_EQ(*file->append(as_byte_span("new")), 100u);
  file->sweep_retention();
  const auto until = std::chrono::steady_clock::now() + 10s;
  while (file->stats().compactions == 0 && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(1ms);
  file.reset();
  file = open();
  EXPECT_EQ(all_payloads(*file), (Strings{"new"}));
  EXPECT_EQ(file->next_seq(), 101u);
}

TEST_F(DiskTest, FailsCleanlyWhenAFileCannotGrow) {
  const pid_t child = fork();
  if (child == 0) {
    // A limit of the process stands for a full disk; it would outlast this test.
    auto file = open();
    rlimit limit{4096, RLIM_INFINITY};
    setrlimit(RLIMIT_FSIZE, &limit);
    const Bytes payload(1000);
    int appended = 0;
    Expected<std::uint64_t> last;
    while (appended < 100 && (last = file->append(payload))) ++appended;
    bool right = appended == 4 && last.error().kind == ErrorKind::kRedexIo &&
                 last.error().message.find("io: File too large") == 0;
    right = right && file->length() == 4 && file->append(as_byte_span("small")).has_value();
    right = right && fs::file_size(generation(1) / "dat") == 4005;
    limit.rlim_cur = RLIM_INFINITY;
    setrlimit(RLIMIT_FSIZE, &limit);
    right = right && *file->append(payload) == 5u;
    _exit(right ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(open()->length(), 6u);
}

TEST_F(DiskTest, SaysWhenTheDirectoryCannotBeUsed) {
  write_file(root.path() / "test", "a file where a directory should be");
  const auto file = try_open();
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().kind, ErrorKind::kRedexIo);
  EXPECT_EQ(file.error().message, "io: Not a directory: " + (root.path() / "test").string());
  EXPECT_EQ(manager->names(), Strings{});
}

/// The process that is killed: it appends, alone and in batches, and counts in
/// shared memory what it has appended.
struct Progress {
  std::atomic<std::uint64_t> appended;
};

std::string numbered(std::uint64_t seq) {
  std::string text = std::to_string(seq) + ":";
  text.append(seq * 7919 % 300, static_cast<char>('a' + seq % 26));
  return text;
}

[[noreturn]] void write_until_killed(File& file, Progress& progress, unsigned seed) {
  std::mt19937 random(seed);
  for (;;) {
    const std::size_t count = random() % 4 == 0 ? random() % 40 + 1 : 1;
    std::vector<std::string> texts;
    std::vector<ByteSpan> views;
    const std::uint64_t first = file.next_seq();
    for (std::size_t i = 0; i < count; ++i) texts.push_back(numbered(first + i));
    for (const std::string& text : texts) views.push_back(as_byte_span(text));
    if (!file.append_batch(views)) _exit(3);
    progress.appended = first + count;
    if (random() % 2000 == 0) {
      if (!file.sync()) _exit(4);
    }
  }
}

/// What a process finds that opens the log after the one before it was killed; empty when all is
/// well. Sets `appended` to where the log is now.
std::string check_after_kill(File& file, Progress& progress, std::uint64_t retained) {
  const FileStats stats = file.stats();
  const std::uint64_t appended = progress.appended.exchange(stats.next_seq);
  // The events that were being appended may be there as well.
  if (stats.next_seq < appended || stats.next_seq > appended + 40)
    return "next is " + std::to_string(stats.next_seq) + ", not " + std::to_string(appended);
  EventBatch batch;
  file.read_range(0, ~std::uint64_t{0}, batch);
  if (stats.events != std::min(stats.next_seq, retained) || batch.size() != stats.events)
    return std::to_string(batch.size()) + " of " + std::to_string(stats.events) + " events read";
  for (const EventView& event : batch) {
    if (testing::text(event.payload) != numbered(event.seq))
      return "wrong payload of " + std::to_string(event.seq);
  }
  return "";
}

TEST_F(DiskTest, LosesNothingThatWasAppendedWhenTheProcessIsKilled) {
  const char* wanted = std::getenv("NETMESH_REDEX_KILLS");
  const int kills = wanted != nullptr ? std::atoi(wanted) : 100;
  auto* progress = static_cast<Progress*>(
      mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(progress, MAP_FAILED);
  FileConfig config;
  config.retention.max_events = 3000;
  std::mt19937 random(std::random_device{}());
  for (int round = 0; round < kills; ++round) {
    // With syncs in the background, or a helper that prepares the files ahead.
    config.fsync.every_n = round % 2 == 0 ? std::optional<std::uint64_t>(500) : std::nullopt;
    const auto seed = static_cast<unsigned>(random());
    const auto delay = std::chrono::microseconds(random() % 25000);
    const std::uint64_t before = progress->appended;
    // This process opens nothing: a fork must not inherit a log.
    const pid_t writer = fork();
    if (writer == 0) write_until_killed(*open(config), *progress, seed);
    while (progress->appended == before) std::this_thread::yield();
    std::this_thread::sleep_for(delay);
    kill(writer, SIGKILL);
    int status = 0;
    waitpid(writer, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "round " << round << " seed " << seed;

    const pid_t checker = fork();
    if (checker == 0) {
      const std::string problem = check_after_kill(*open(config), *progress, 3000);
      if (!problem.empty()) std::fprintf(stderr, "%s\n", problem.c_str());
      _exit(problem.empty() ? 0 : 1);
    }
    waitpid(checker, &status, 0);
    ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0)
        << "round " << round << " seed " << seed;
  }
  munmap(progress, sizeof(Progress));
}

}  // namespace
}  // namespace netmesh::redex
