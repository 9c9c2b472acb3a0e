// Adapters over real logs: folding, waiting, watching, snapshots.

#include "cortex/adapter.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <random>

#include "cortex/cortex_testing.h"

namespace netmesh::cortex {
namespace {

using testing::Body;
using testing::sealed;
using Tasks = Adapter<TasksModel>;
using Memories = Adapter<MemoriesModel>;
using Ids = std::vector<std::uint64_t>;

constexpr std::uint64_t kOrigin = 0xABCDEF01;

/// Counts calls of `ready` and waits for the next.
class Bell {
 public:
  Fold::Ready ring() {
    return [this] {
      const std::lock_guard lock(mutex_);
      ++rung_;
      changed_.notify_all();
    };
  }
  /// Returns when it has rung since the last call, or at the time-out, which only a failing test
  /// sees.
  bool wait() {
    std::unique_lock lock(mutex_);
    const bool rang =
        changed_.wait_for(lock, std::chrono::seconds(20), [this] { return rung_ > heard_; });
    heard_ = rung_;
    return rang;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int rung_ = 0;
  int heard_ = 0;
};

template <typename Model>
struct Opened {
  Bell bell;
  std::unique_ptr<Adapter<Model>> adapter;
  std::uint32_t waiters = 0;

  Opened(redex::Redex& redex, std::uint64_t origin = kOrigin,
         std::optional<SnapshotView> snapshot = std::nullopt) {
    auto opened = Adapter<Model>::open(redex, {origin, {}, snapshot}, bell.ring());
    EXPECT_TRUE(opened) << opened.error().message;
    adapter = std::move(*opened);
    if (adapter->opened_at()) EXPECT_TRUE(wait(*adapter->opened_at()));
  }
  Adapter<Model>* operator->() { return adapter.get(); }

  bool settled(WaitState state, std::uint32_t waiter) {
    while (state == WaitState::kPending) {
      if (!bell.wait()) return false;
      for (const Settled& each : adapter->take_news().settled) {
        if (each.waiter == waiter) return each.reached;
      }
    }
    return state == WaitState::kReached;
  }
  bool wait(std::uint64_t seq) {
    const std::uint32_t waiter = ++waiters;
    return settled(adapter->wait_for_seq(seq, waiter), waiter);
  }

  std::uint64_t create(std::uint64_t id, std::string_view title, std::uint64_t now) {
    return adapter
        ->append(
            "create failed", 0x01, 64 + title.size(),
            [&](std::byte* at) { return put_varint(put_counted(put_varint(at, id), title), now); })
        .value();
  }
  std::uint64_t complete(std::uint64_t id, std::uint64_t now) {
    return adapter
        ->append("complete failed", 0x03, 64,
                 [&](std::byte* at) { return put_varint(put_varint(at, id), now); })
        .value();
  }
};

/// The ids of a block.
Ids ids(const RowBlock& block) {
  Ids out;
  for (std::size_t i = 0; i < block.count; ++i)
    out.push_back(load_le<std::uint64_t>(block.bytes.data() + 8 + i * 24));
  return out;
}

Bytes bytes_of(const Snapshot& snapshot) {
  return {snapshot.bytes().begin(), snapshot.bytes().end()};
}

TEST(AdapterTest, SeesItsOwnWritesAfterWaitingForThem) {
  redex::Redex redex;
  Opened<TasksModel> tasks(redex);
  EXPECT_EQ(tasks.create(1, "write docs", 100), 0U);
  EXPECT_EQ(tasks.create(2, "ship", 110), 1U);
  const std::uint64_t last = tasks.complete(1, 150);
  EXPECT_TRUE(tasks.wait(last));
  EXPECT_EQ(tasks->count(), 2U);
  TaskFilter filter;
  filter.status = TaskStatus::kCompleted;
  EXPECT_EQ(ids(tasks->list(filter)), Ids{1});
  EXPECT_EQ(ids(tasks->get(2)), Ids{2});
  EXPECT_EQ(ids(tasks->get(3)), Ids{});
}

TEST(AdapterTest, WritesTheBytesOfTheSpecIntoItsLog) {
  redex::Redex redex;
  Opened<TasksModel> tasks(redex);
  tasks.create(1, "write docs", 100);
  tasks.complete(1, 150);
  redex::EventBatch batch;
  redex.find("cortex/tasks")->read_range(0, 2, batch);
  ASSERT_EQ(batch.size(), 2U);
  EXPECT_EQ(to_hex(batch[0].payload),
            "0100000001efcdab0000000000000000000000006c72f9f6010a777269746520646f637364");
  EXPECT_EQ(batch[0].checksum, 0x0eb8c329U);
  EXPECT_EQ(to_hex(batch[1].payload), "0300000001efcdab000000000100000000000000daffcd31019601");
}

TEST(AdapterTest, FoldsABurstOfAnySizeWithoutStopping) {
  redex::Redex redex;
  Opened<TasksModel> tasks(redex);
  std::uint64_t last = 0;
  for (std::uint64_t id = 0; id < 50'000; ++id) last = tasks.create(id, "burst", id);
  EXPECT_TRUE(tasks.wait(last));
  EXPECT_TRUE(tasks->running());
  EXPECT_EQ(tasks->count(), 50'000U);
}

TEST(AdapterTest, SkipsARecordThatIsNoEventAndFoldsOn) {
  redex::Redex redex;
  auto file = redex.open_file("cortex/tasks", {}).value();
  const auto event = [](std::uint64_t app_seq, std::uint64_t id) {
    return sealed({0x01, 0, kOrigin, app_seq}, Body().u64(id).text("t").u64(1));
  };
  Bytes broken = event(1, 2);
  broken.back() ^= std::byte{1};
  file->append(event(0, 1)).value();
  file->append(broken).value();
  file->append(as_byte_span("short")).value();
  file->append(event(2, 3)).value();

  Opened<TasksModel> tasks(redex);
  EXPECT_EQ(ids(tasks->list({})), (Ids{1, 3}));
  const Watermarks marks = tasks->watermarks();
  EXPECT_EQ(marks.folded, 3U);
  EXPECT_EQ(marks.applied, 0U);
  EXPECT_EQ(marks.errors, 2U);
  EXPECT_EQ(tasks->snapshot().last_seq, 0U);
  // Reading one's own writes is not possible behind the gap, so the wait says so in time.
  EXPECT_EQ(tasks->wait_for_token(kOrigin, 3, 77).value(), WaitState::kPending);
  EXPECT_TRUE(tasks->cancel_wait(77));
  EXPECT_FALSE(tasks->cancel_wait(77));
}

TEST(AdapterTest, SharesALogWithOthersAndCountsOnlyItsOwnEvents) {
  redex::Redex redex;
  Opened<TasksModel> a(redex, 1);
  Opened<TasksModel> b(redex, 2);
  a.create(1, "a", 1);
  a.create(2, "a", 1);
  const std::uint64_t last = b.create(3, "b", 1);
  EXPECT_TRUE(a.wait(last));
  EXPECT_TRUE(b.wait(last));
  EXPECT_EQ(ids(a->list({})), (Ids{1, 2, 3}));
  EXPECT_EQ(ids(b->list({})), (Ids{1, 2, 3}));
  // Its first byte is the counter of the writer's own events.
  EXPECT_EQ(to_hex(a->snapshot().bytes().first(1)), "02");
  EXPECT_EQ(to_hex(b->snapshot().bytes().first(1)), "01");
}

TEST(AdapterTest, CountsOnFromItsEarlierEvents) {
  redex::Redex redex;
  {
    Opened<TasksModel> first(redex);
    first.create(1, "a", 1);
    first.create(2, "b", 1);
  }
  Opened<TasksModel> second(redex);
  EXPECT_EQ(second->count(), 2U);
  second.create(3, "c", 1);
  redex::EventBatch batch;
  redex.find("cortex/tasks")->read_range(2, 3, batch);
  ASSERT_EQ(batch.size(), 1U);
  EXPECT_EQ(EventReader().read(batch[0].payload)->meta.app_seq, 2U);
}

TEST(AdapterTest, AnswersWaitsByTheirWatermark) {
  redex::Redex redex;
  Opened<TasksModel> tasks(redex);
  const auto wrong = tasks->wait_for_token(0xEE, 0, 1);
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().message,
            "cortex: wait_for_token: token origin 00000000000000ee != adapter origin "
            "00000000abcdef01");
  for (std::uint32_t waiter = 1; waiter <= kMaxTokenWaits; ++waiter)
    EXPECT_EQ(tasks->wait_for_token(kOrigin, 5, waiter).value(), WaitState::kPending);
  const auto full = tasks->wait_for_token(kOrigin, 5, 5000);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().message,
            "cortex: wait_for_token: read-your-writes wait-queue saturated; retry later");
  EXPECT_EQ(tasks->wait_for_seq(5, 6000), WaitState::kPending);
  for (std::uint64_t id = 0; id < 6; ++id) tasks.create(id, "t", 1);
  std::size_t settled = 0;
  while (settled < kMaxTokenWaits + 1 && tasks.bell.wait()) {
    for (const Settled& each : tasks->take_news().settled) settled += each.reached ? 1 : 0;
  }
  EXPECT_EQ(settled, kMaxTokenWaits + 1);
}

TEST(AdapterTest, ClosedRefusesWritesEndsWaitsAndStillAnswersQueries) {
  redex::Redex redex;
  Opened<TasksModel> tasks(redex);
  EXPECT_TRUE(tasks.wait(tasks.create(1, "a", 1)));
  EXPECT_EQ(tasks->wait_for_seq(9, 42), WaitState::kPending);
  tasks->close();
  tasks->close();
  const std::vector<Settled> settled = tasks->take_news().settled;
  ASSERT_EQ(settled.size(), 1U);
  EXPECT_EQ(settled[0].waiter, 42U);
  EXPECT_FALSE(settled[0].reached);
  EXPECT_EQ(tasks->wait_for_seq(9, 43), WaitState::kStopped);
  EXPECT_EQ(tasks->stopped_error(WaitFor::kFolded).message,
            "cortex: wait_for_seq: fold task stopped; folded_through=Some(0)");
  const auto refused = tasks->append("create failed", 1, 10, [](std::byte* at) { return at; });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "cortex: create failed: adapter closed");
  EXPECT_EQ(ids(tasks->list({})), Ids{1});
  EXPECT_EQ(redex.find("cortex/tasks")->length(), 1U);
}

TEST(AdapterTest, StopsWhenItsLogIsClosed) {
  redex::Redex redex;
  Opened<TasksModel> tasks(redex);
  tasks.create(1, "a", 1);
  EXPECT_EQ(tasks->wait_for_seq(9, 42), WaitState::kPending);
  ASSERT_TRUE(redex.find("cortex/tasks")->close());
  while (tasks->running()) ASSERT_TRUE(tasks.bell.wait());
  EXPECT_EQ(tasks->count(), 1U);
  const auto refused = tasks->append("create failed", 1, 10, [](std::byte* at) { return at; });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "cortex: create failed: redex: file closed");
}

TEST(Watches, StartWithTheRowsOfNowAndTellOfRelevantChangesOnly) {
  using State = WatchResult::State;
  redex::Redex redex;
  Opened<TasksModel> tasks(redex);
  TaskFilter pending;
  pending.status = TaskStatus::kPending;
  tasks->watch(1, pending, nullptr);
  WatchResult result = tasks->watch_next(1);
  EXPECT_EQ(result.state, State::kRows);
  EXPECT_EQ(result.rows.count, 0U);
  EXPECT_EQ(tasks->watch_next(1).state, State::kNothing);

  tasks.wait(tasks.create(1, "a", 1));
  result = tasks->watch_next(1);
  ASSERT_EQ(result.state, State::kRows);
  EXPECT_EQ(ids(result.rows), Ids{1});
  tasks.wait(tasks.complete(1, 2));
  result = tasks->watch_next(1);
  ASSERT_EQ(result.state, State::kRows);
  EXPECT_EQ(result.rows.count, 0U);
  // Of a task that is completed already, completing it again is no news here.
  tasks.wait(tasks.complete(1, 3));
  EXPECT_EQ(tasks->watch_next(1).state, State::kNothing);
  // Changes that cancel each other between two looks are none.
  tasks.create(2, "b", 1);
  tasks.wait(tasks.complete(2, 1));
  EXPECT_EQ(tasks->watch_next(1).state, State::kNothing);

  tasks->unwatch(1);
  EXPECT_EQ(tasks->watch_next(1).state, State::kEnded);
}

TEST(Watches, DeliverWhatTheyOweAndEndWhenTheAdapterCloses) {
  using State = WatchResult::State;
  redex::Redex redex;
  Opened<TasksModel> tasks(redex);
  RowBlock first;
  tasks->watch(1, {}, &first);
  EXPECT_EQ(first.count, 0U);
  tasks.wait(tasks.create(1, "a", 1));
  tasks->close();
  EXPECT_EQ(tasks->take_news().watches, std::vector<std::uint32_t>{1});
  EXPECT_EQ(tasks->watch_next(1).state, State::kRows);
  EXPECT_EQ(tasks->watch_next(1).state, State::kEnded);
}

TEST(Watches, NeitherMissNorRepeatAStateHoweverTheWritesFall) {
  using State = WatchResult::State;
  redex::Redex redex;
  Opened<TasksModel> tasks(redex);
  constexpr std::uint64_t kWrites = 20'000;
  for (std::uint64_t id = 0; id < 10; ++id) tasks.create(id, "before", id);
  RowBlock snapshot;
  tasks->watch(7, {}, &snapshot);

  std::thread writer([&] {
    auto file = redex.find("cortex/tasks");
    std::mt19937_64 random(3);
    for (std::uint64_t i = 0; i < kWrites; ++i) {
      const Bytes payload =
          sealed({0x01, 0, 99, i}, Body().u64(100 + random() % 50).text("t").u64(i));
      EXPECT_TRUE(file->append(payload));
    }
    EXPECT_TRUE(file->append(sealed({0x01, 0, 99, kWrites}, Body().u64(9999).text("end").u64(1))));
  });
  Bytes last(snapshot.bytes.bytes().begin(), snapshot.bytes.bytes().end());
  std::size_t emissions = 0;
  for (bool end = false; !end;) {
    WatchResult result = tasks->watch_next(7);
    if (result.state == State::kNothing) {
      ASSERT_TRUE(tasks.bell.wait());
      tasks->take_news();
      continue;
    }
    ASSERT_EQ(result.state, State::kRows);
    const ByteSpan now = result.rows.bytes.bytes();
    EXPECT_FALSE(std::equal(now.begin(), now.end(), last.begin(), last.end()));
    last.assign(now.begin(), now.end());
    ++emissions;
    const Ids found = ids(result.rows);
    end = !found.empty() && found.back() == 9999;
  }
  writer.join();
  EXPECT_GE(emissions, 1U);
  const RowBlock all = tasks->list({});
  EXPECT_TRUE(
      std::equal(all.bytes.bytes().begin(), all.bytes.bytes().end(), last.begin(), last.end()));
}

TEST(Snapshots, AndTheTailOfTheLogAreTheFullReplay) {
  std::mt19937_64 random(11);
  for (int round = 0; round < 20; ++round) {
    redex::Redex redex;
    Opened<TasksModel> tasks(redex);
    const std::size_t writes = 1 + random() % 300;
    const std::size_t cut = random() % writes;
    std::uint64_t last = 0;
    std::optional<Snapshot> taken;
    for (std::size_t i = 0; i < writes; ++i) {
      if (i == cut) {
        if (i > 0) tasks.wait(last);
        taken = tasks->snapshot();
      }
      const std::uint64_t id = random() % 20;
      last = random() % 3 == 0 ? tasks.complete(id, i) : tasks.create(id, "task", i);
    }
    tasks.wait(last);
    const Bytes state = bytes_of(*taken);
    Opened<TasksModel> restored(redex, kOrigin, SnapshotView{state, taken->last_seq});
    EXPECT_EQ(bytes_of(restored->snapshot()), bytes_of(tasks->snapshot()));
    EXPECT_EQ(restored->snapshot().last_seq, last);
    EXPECT_EQ(restored->watermarks().start_seq, cut);
  }
}

TEST(Snapshots, RestoredOntoAnEmptyLogShowNewWrites) {
  redex::Redex old_log;
  Opened<TasksModel> before(old_log);
  std::uint64_t last = 0;
  for (std::uint64_t id = 0; id < 5; ++id) last = before.create(id, "old", id);
  before.wait(last);
  const Snapshot snapshot = before->snapshot();
  const Bytes state = bytes_of(snapshot);

  redex::Redex new_log;
  Opened<TasksModel> after(new_log, kOrigin, SnapshotView{state, snapshot.last_seq});
  EXPECT_EQ(after->count(), 5U);
  const std::uint64_t next = after.create(77, "new", 1);
  EXPECT_EQ(next, last + 1);
  EXPECT_TRUE(after.wait(next));
  EXPECT_EQ(after->count(), 6U);
  EXPECT_EQ(after->snapshot().last_seq, next);
}

TEST(Snapshots, RestoredOntoAShorterLogShowNewWrites) {
  redex::Redex old_log;
  Opened<TasksModel> before(old_log);
  std::uint64_t last = 0;
  for (std::uint64_t id = 0; id < 5; ++id) last = before.create(id, "old", id);
  before.wait(last);
  const Snapshot snapshot = before->snapshot();
  const Bytes state = bytes_of(snapshot);

  redex::Redex other_log;
  {
    Opened<TasksModel> writer(other_log, 5);
    writer.create(50, "other", 1);
    writer.create(51, "other", 1);
  }
  Opened<TasksModel> after(other_log, kOrigin, SnapshotView{state, snapshot.last_seq});
  EXPECT_EQ(ids(after->list({})), (Ids{0, 1, 2, 3, 4}));
  const std::uint64_t next = after.create(77, "new", 1);
  EXPECT_TRUE(after.wait(next));
  EXPECT_EQ(ids(after->list({})), (Ids{0, 1, 2, 3, 4, 77}));
  EXPECT_EQ(after->wait_for_token(kOrigin, next, 1).value(), WaitState::kReached);
}

TEST(Snapshots, ThatAreBadOpenNothing) {
  redex::Redex redex;
  const Bytes bad = testing::hex("0205ff");
  const auto opened = Tasks::open(redex, {kOrigin, {}, SnapshotView{bad, 1}}, [] {});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().message.substr(0, 84),
            "cortex: TasksAdapter open_from_snapshot failed: redex: encode failed: tasks "
            "snapshot");
  const Bytes empty = testing::hex("000100");
  const auto at_end =
      Memories::open(redex, {kOrigin, {}, SnapshotView{empty, ~std::uint64_t{0}}}, [] {});
  ASSERT_FALSE(at_end);
  EXPECT_EQ(at_end.error().message,
            "cortex: MemoriesAdapter open_from_snapshot failed: snapshot last_seq at u64::MAX; "
            "cannot resume");
  EXPECT_TRUE(redex.names().empty());
}

TEST(AdapterTest, BeginsAtTheHeadOfALogThatHasLostItsBeginning) {
  redex::Redex redex;
  redex::FileConfig config;
  config.retention.max_events = 3;
  auto file = redex.open_file("cortex/tasks", config).value();
  for (std::uint64_t i = 0; i < 10; ++i)
    file->append(sealed({0x01, 0, kOrigin, i}, Body().u64(i).text("t").u64(1))).value();
  Opened<TasksModel> tasks(redex);
  EXPECT_EQ(ids(tasks->list({})), (Ids{7, 8, 9}));
  EXPECT_EQ(tasks->watermarks().applied, 9U);
  EXPECT_TRUE(tasks.wait(tasks.create(20, "t", 1)));
}

}  // namespace
}  // namespace netmesh::cortex
