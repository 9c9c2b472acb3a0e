// Logs on a disk that loses power at every possible point, and on a full one.

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <set>

#include "redex/disk_log.h"
#include "redex/redex_testing.h"
#include "redex/sim_storage_testing.h"

namespace netmesh::redex {
namespace {

using testing::SimDisk;

/// What a log may and must hold, whatever happened to it.
struct Model {
  std::map<std::uint64_t, std::set<std::string>> appended;
  std::uint64_t synced = 0;      ///< everything before it was acknowledged as synced
  std::uint64_t evicted = 0;     ///< retention had dropped what is before
  std::set<std::uint64_t> lost;  ///< not synced when the power failed, with others behind them
};

struct Scenario {
  std::shared_ptr<SimDisk> disk;
  std::uint64_t retained = ~std::uint64_t{0};
  std::mt19937_64 random;

  Expected<std::shared_ptr<DiskLog>> open() {
    DiskLogOptions options;
    options.storage = disk;
    options.directory = "/log";
    options.config.persistent = true;
    if (retained != ~std::uint64_t{0}) options.config.retention.max_events = retained;
    options.clock = [this] { return clock; };
    return DiskLog::open(std::move(options));
  }

  /// Appends, syncs and compacts until it is done or the power fails.
  void work(DiskLog& log, Model& model, int steps) {
    for (int step = 0; step < steps && !disk->failed(); ++step) {
      // Some appends follow each other closely, so that they go through the reserved space.
      clock += random() % 4 == 0 ? 10'000'000 : 1000;
      const auto kind = random() % 24;
      if (kind == 0) {
        const std::uint64_t upto = log.stats().next_seq;
        bool done = false;
        log.sync([&](Expected<void> result) { done = result.has_value(); });
        if (done) model.synced = std::max(model.synced, upto);
      } else if (kind == 1) {
        (void)log.compact();
      } else if (kind == 2) {
        log.run();
      } else {
        append(log, model, kind < 14 ? 1 : random() % 50 + 1);
      }
      model.evicted = std::max(model.evicted, log.stats().first_seq);
    }
  }

  void append(DiskLog& log, Model& model, std::size_t count) {
    const std::uint64_t first = log.stats().next_seq;
    std::vector<std::string> texts;
    std::vector<ByteSpan> views;
    for (std::size_t i = 0; i < count; ++i) {
      texts.push_back(std::to_string(first + i) + "#" + std::to_string(random() % 1000) +
                      std::string(random() % 200, 'x'));
    }
    for (const std::string& text : texts) views.push_back(as_byte_span(text));
    // What fails may still be on disk when the power was lost in the middle of it.
    for (std::size_t i = 0; i < count; ++i) model.appended[first + i].insert(texts[i]);
    const auto result = log.append({views, false, std::nullopt});
    if (result) {
      ASSERT_EQ(*result, first);
    } else {
      ASSERT_EQ(log.stats().next_seq, first);
    }
  }

  UnixNanos clock = 1'000'000'000;
};

std::vector<std::pair<std::uint64_t, std::string>> contents(DiskLog& log) {
  EventBatch batch;
  log.read_range(0, ~std::uint64_t{0}, batch, {1 << 20, 1 << 30});
  std::vector<std::pair<std::uint64_t, std::string>> out;
  for (const EventView& event : batch) out.emplace_back(event.seq, testing::text(event.payload));
  return out;
}

void check(DiskLog& log, Model& model, std::uint64_t retained, const std::string& where) {
  const auto found = contents(log);
  std::set<std::uint64_t> seqs;
  for (const auto& [seq, text] : found) {
    const auto known = model.appended.find(seq);
    ASSERT_TRUE(known != model.appended.end() && known->second.count(text) == 1)
        << where << ": event " << seq << " was never appended: " << text;
    seqs.insert(seq);
  }
  const std::uint64_t next = log.stats().next_seq;
  ASSERT_GE(next, model.synced) << where;
  // Retention by count starts from what there is now.
  const std::uint64_t from = std::max(model.evicted, next > retained ? next - retained : 0);
  for (std::uint64_t seq = from; seq < model.synced; ++seq) {
    ASSERT_EQ(seqs.count(seq) + model.lost.count(seq), 1u)
        << where << ": event " << seq << " was synced and is gone";
  }
  for (std::uint64_t seq = std::max(from, model.synced); seq < next; ++seq)
    if (seqs.count(seq) == 0) model.lost.insert(seq);
  ASSERT_EQ(log.stats().corrupt_reads, 0u) << where;
}

/// One run with the power failing in operation `at`; returns how many operations a run without
/// failure takes.
std::uint64_t run(std::uint64_t seed, std::uint64_t at, std::uint64_t retained, int steps) {
  Scenario scenario;
  scenario.disk = std::make_shared<SimDisk>(seed);
  scenario.retained = retained;
  scenario.random.seed(seed);
  if (at > 0) scenario.disk->fail_at(at);
  Model model;
  std::uint64_t operations = 0;
  const std::string where = "seed " + std::to_string(seed) + " operation " + std::to_string(at);
  for (int life = 0; life < 3; ++life) {
    {
      auto log = scenario.open();
      if (!log) {
        EXPECT_TRUE(scenario.disk->failed()) << where << ": " << log.error().message;
      } else {
        check(**log, model, retained, where + " life " + std::to_string(life));
        if (::testing::Test::HasFatalFailure()) return 0;
        scenario.work(**log, model, steps);
      }
    }
    if (life == 0) operations = scenario.disk->operations();
    // Numbers of events that are gone altogether are given out again.
    scenario.disk = scenario.disk->restart(seed * 31 + at * 7 + static_cast<std::uint64_t>(life));
  }
  return operations;
}

class PowerLoss : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(PowerLoss, AtAnyPointLosesNothingSyncedAndLeavesNothingCorrupt) {
  const std::uint64_t retained = GetParam();
  const char* wanted = std::getenv("NETMESH_REDEX_POWER_SEEDS");
  const std::uint64_t seeds = wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : 2;
  std::uint64_t points = 0;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    const std::uint64_t operations = run(seed, 0, retained, 60);
    ASSERT_GT(operations, 20u);
    for (std::uint64_t at = 1; at <= operations; ++at, ++points) {
      run(seed, at, retained, 60);
      if (HasFailure()) return;
    }
  }
  RecordProperty("points", static_cast<int>(points));
}

INSTANTIATE_TEST_SUITE_P(Retained, PowerLoss,
                         ::testing::Values(~std::uint64_t{0}, std::uint64_t{40}));

TEST(FullDisk, FailsAppendsCleanlyAndGoesOnWhenThereIsRoomAgain) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    Scenario scenario;
    scenario.disk = std::make_shared<SimDisk>(seed);
    scenario.random.seed(seed);
    Model model;
    {
      auto log = *scenario.open();
      scenario.work(*log, model, 30);
      const auto before = contents(*log);
      scenario.disk->fill(true);
      const std::string text(SimDisk::kFileBytes / 4, 'y');
      const ByteSpan view = as_byte_span(text);
      for (int i = 0; i < 4; ++i) {
        const auto result = log->append({{&view, 1}, false, std::nullopt});
        ASSERT_FALSE(result) << seed;
        ASSERT_EQ(result.error().kind, ErrorKind::kRedexIo);
      }
      ASSERT_FALSE(log->compact()) << seed;
      ASSERT_EQ(contents(*log), before) << seed;
      scenario.disk->fill(false);
      ASSERT_NO_FATAL_FAILURE(scenario.work(*log, model, 30));
      ASSERT_GE(contents(*log).size(), before.size());
      check(*log, model, ~std::uint64_t{0}, "full, seed " + std::to_string(seed));
    }
    auto log = *scenario.open();
    check(*log, model, ~std::uint64_t{0}, "reopened, seed " + std::to_string(seed));
  }
}

TEST(FailedSync, PoisonsTheLogUntilItIsOpenedAgain) {
  Scenario scenario;
  scenario.disk = std::make_shared<SimDisk>(1);
  auto log = *scenario.open();
  const ByteSpan view = as_byte_span("event");
  ASSERT_TRUE(log->append({{&view, 1}, false, std::nullopt}));
  scenario.disk->fail_at(1);
  Expected<void> synced;
  log->sync([&](Expected<void> result) { synced = std::move(result); });
  ASSERT_FALSE(synced);
  const auto appended = log->append({{&view, 1}, false, std::nullopt});
  ASSERT_FALSE(appended);
  EXPECT_EQ(appended.error().message.substr(0, 33), "io: redex segment is poisoned (a ");
  EXPECT_EQ(contents(*log).size(), 1u);
}

}  // namespace
}  // namespace netmesh::redex
