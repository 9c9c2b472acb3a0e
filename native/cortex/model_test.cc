// The folds of tasks and memories, and their queries, against plain models of both.

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "cortex/cortex_testing.h"
#include "cortex/memories.h"
#include "cortex/tasks.h"

namespace netmesh::cortex {
namespace {

using testing::Body;

const auto kNoTouch = [](const auto&) {};

template <typename Model>
bool apply(typename Model::State& state, std::uint8_t dispatch, const Body& body) {
  return Model::apply(state, Event{{dispatch, 0, 1, 0}, body}, kNoTouch);
}

template <typename Row>
std::vector<std::uint64_t> ids(const std::vector<const Row*>& rows) {
  std::vector<std::uint64_t> out;
  for (const Row* row : rows) out.push_back(row->id);
  return out;
}

TEST(Tasks, FollowTheirEvents) {
  TasksModel::State state;
  EXPECT_TRUE(apply<TasksModel>(state, 0x01, Body().u64(1).text("one").u64(10)));
  EXPECT_TRUE(apply<TasksModel>(state, 0x02, Body().u64(1).text("uno").u64(20)));
  EXPECT_EQ(state.find(1)->title.text(), "uno");
  EXPECT_EQ(state.find(1)->created_ns, 10U);
  EXPECT_EQ(state.find(1)->updated_ns, 20U);
  EXPECT_TRUE(apply<TasksModel>(state, 0x03, Body().u64(1).u64(30)));
  EXPECT_EQ(state.find(1)->status, TaskStatus::kCompleted);
  // Creating it again starts it anew.
  EXPECT_TRUE(apply<TasksModel>(state, 0x01, Body().u64(1).text("again").u64(5)));
  EXPECT_EQ(state.find(1)->status, TaskStatus::kPending);
  EXPECT_EQ(state.find(1)->created_ns, 5U);
  EXPECT_TRUE(apply<TasksModel>(state, 0x04, Body().u64(1)));
  EXPECT_EQ(state.size(), 0U);
}

TEST(Tasks, IgnoreEventsOfUnknownIdsAndUnknownTypes) {
  TasksModel::State state;
  EXPECT_TRUE(apply<TasksModel>(state, 0x02, Body().u64(9).text("x").u64(1)));
  EXPECT_TRUE(apply<TasksModel>(state, 0x03, Body().u64(9).u64(1)));
  EXPECT_TRUE(apply<TasksModel>(state, 0x04, Body().u64(9)));
  EXPECT_TRUE(apply<TasksModel>(state, 0x05, Body()));
  EXPECT_TRUE(apply<TasksModel>(state, 0x00, Body()));
  EXPECT_TRUE(apply<TasksModel>(state, 0x80, Body()));
  EXPECT_EQ(state.size(), 0U);
}

TEST(Tasks, AreNotTouchedByABodyThatDoesNotDecode) {
  TasksModel::State state;
  ASSERT_TRUE(apply<TasksModel>(state, 0x01, Body().u64(1).text("one").u64(10)));
  for (std::uint8_t dispatch = 1; dispatch <= 4; ++dispatch)
    EXPECT_FALSE(apply<TasksModel>(state, dispatch, Body()));
  EXPECT_FALSE(apply<TasksModel>(state, 0x02, Body().u64(1).text("cut")));
  EXPECT_FALSE(apply<TasksModel>(state, 0x02, Body().u64(1).text("\xFF").u64(1)));
  EXPECT_EQ(state.find(1)->title.text(), "one");
  EXPECT_EQ(state.find(1)->updated_ns, 10U);
}

TEST(Memories, StoredAgainKeepTheirAgeAndPin) {
  MemoriesModel::State state;
  const auto stored = [](std::string_view content, std::uint64_t now) {
    return Body().u64(1).text(content).texts({"t"}).text("s").u64(now);
  };
  EXPECT_TRUE(apply<MemoriesModel>(state, 0x10, stored("one", 10)));
  EXPECT_FALSE(state.find(1)->pinned);
  EXPECT_TRUE(apply<MemoriesModel>(state, 0x12, Body().u64(1).u64(20)));
  EXPECT_TRUE(apply<MemoriesModel>(state, 0x10, stored("two", 30)));
  const Memory& memory = *state.find(1);
  EXPECT_EQ(memory.content.text(), "two");
  EXPECT_TRUE(memory.pinned);
  EXPECT_EQ(memory.created_ns, 10U);
  EXPECT_EQ(memory.updated_ns, 30U);
  EXPECT_TRUE(apply<MemoriesModel>(state, 0x11, Body().u64(1).texts({"b", "a", "b"}).u64(40)));
  EXPECT_EQ(memory.tags, (std::vector<std::string>{"b", "a", "b"}));
  EXPECT_TRUE(apply<MemoriesModel>(state, 0x13, Body().u64(1).u64(50)));
  EXPECT_FALSE(memory.pinned);
  EXPECT_TRUE(apply<MemoriesModel>(state, 0x14, Body().u64(1)));
  EXPECT_EQ(state.size(), 0U);
}

TEST(Queries, BreakTiesByAscendingIdInBothDirections) {
  TasksModel::State state;
  for (const std::uint64_t id : {5, 1, 4, 2, 3})
    ASSERT_TRUE(apply<TasksModel>(state, 0x01, Body().u64(id).text("t").u64(id <= 2 ? 7 : 9)));
  TaskFilter filter;
  using Ids = std::vector<std::uint64_t>;
  EXPECT_EQ(ids(TasksModel::select(state, filter)), (Ids{1, 2, 3, 4, 5}));
  filter.common.order = {OrderKey::kCreated, true};
  EXPECT_EQ(ids(TasksModel::select(state, filter)), (Ids{3, 4, 5, 1, 2}));
  filter.common.limit = 4;
  EXPECT_EQ(ids(TasksModel::select(state, filter)), (Ids{3, 4, 5, 1}));
  filter.common.order = {OrderKey::kUpdated, false};
  EXPECT_EQ(ids(TasksModel::select(state, filter)), (Ids{1, 2, 3, 4}));
  filter.common.limit = 0;
  EXPECT_EQ(ids(TasksModel::select(state, filter)), Ids{});
}

/// All rows in ascending order of ids, filtered, sorted and cut the slow way.
template <typename Model>
std::vector<std::uint64_t> scan(const typename Model::State& state,
                                const typename Model::Filter& filter) {
  std::vector<const typename Model::Row*> rows;
  for (const auto& [id, row] : state.rows()) {
    if (filter.matches(row)) rows.push_back(&row);
  }
  const auto key = [&](const typename Model::Row* row) {
    switch (filter.common.order.key) {
      case OrderKey::kCreated:
        return row->created_ns;
      case OrderKey::kUpdated:
        return row->updated_ns;
      case OrderKey::kId:
        break;
    }
    return row->id;
  };
  std::stable_sort(rows.begin(), rows.end(), [&](const auto* a, const auto* b) {
    return filter.common.order.descending ? key(a) > key(b) : key(a) < key(b);
  });
  if (filter.common.limit && rows.size() > *filter.common.limit) rows.resize(*filter.common.limit);
  return ids(rows);
}

CommonFilter random_common(std::mt19937_64& random, std::uint64_t times) {
  CommonFilter common;
  const auto range = [&]() -> Range {
    Range out;
    if (random() % 3 == 0) out.first = random() % times;
    if (random() % 3 == 0) out.last = random() % times;
    return out;
  };
  common.created = range();
  common.updated = range();
  common.order = {static_cast<OrderKey>(random() % 3), random() % 2 == 0};
  if (random() % 2 == 0) common.limit = random() % 30;
  return common;
}

TEST(Queries, FindWhatAScanFindsWhileTasksComeChangeAndGo) {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    std::mt19937_64 random(seed);
    TasksModel::State state;
    // Few ids make many updates, many ids make indices worth their while.
    const std::uint64_t id_count = seed % 2 == 0 ? 60 : 3000;
    const std::uint64_t times = seed % 3 == 0 ? 5 : 1000;
    const std::vector<std::string> titles = {"Ship it", "SHIP that", "write", "Straße", ""};
    for (int step = 0; step < 4000; ++step) {
      const std::uint64_t id = random() % id_count;
      const std::uint64_t now = random() % times;
      const std::string& title = titles[random() % titles.size()];
      switch (random() % 8) {
        case 0:
          ASSERT_TRUE(apply<TasksModel>(state, 0x02, Body().u64(id).text(title).u64(now)));
          break;
        case 1:
          ASSERT_TRUE(apply<TasksModel>(state, 0x03, Body().u64(id).u64(now)));
          break;
        case 2:
          ASSERT_TRUE(apply<TasksModel>(state, 0x04, Body().u64(id)));
          break;
        default:
          ASSERT_TRUE(apply<TasksModel>(state, 0x01, Body().u64(id).text(title).u64(now)));
      }
      if (step % 10 != 0) continue;
      TaskFilter filter;
      filter.common = random_common(random, times);
      if (random() % 2 == 0) filter.status = static_cast<TaskStatus>(random() % 2);
      if (random() % 3 == 0) filter.lower_title_part = random() % 2 == 0 ? "ship" : "straße";
      ASSERT_EQ(ids(TasksModel::select(state, filter)), scan<TasksModel>(state, filter))
          << "seed " << seed << " step " << step;
    }
  }
}

TEST(Queries, FindWhatAScanFindsWhileMemoriesComeChangeAndGo) {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    std::mt19937_64 random(seed);
    MemoriesModel::State state;
    const std::uint64_t id_count = seed % 2 == 0 ? 60 : 3000;
    const std::uint64_t times = 500;
    const std::vector<std::string> words = {"red", "green", "blue", "rare", "Über", ""};
    const auto word = [&] { return words[random() % words.size()]; };
    const auto some = [&](std::size_t most) {
      std::vector<std::string> out(random() % (most + 1));
      for (std::string& each : out) each = word();
      return out;
    };
    for (int step = 0; step < 4000; ++step) {
      const std::uint64_t id = random() % id_count;
      const std::uint64_t now = random() % times;
      switch (random() % 8) {
        case 0:
          ASSERT_TRUE(apply<MemoriesModel>(state, 0x11, Body().u64(id).texts(some(3)).u64(now)));
          break;
        case 1:
          ASSERT_TRUE(apply<MemoriesModel>(state, static_cast<std::uint8_t>(0x12 + random() % 2),
                                           Body().u64(id).u64(now)));
          break;
        case 2:
          ASSERT_TRUE(apply<MemoriesModel>(state, 0x14, Body().u64(id)));
          break;
        default:
          ASSERT_TRUE(apply<MemoriesModel>(
              state, 0x10,
              Body().u64(id).text(word() + " thing").texts(some(3)).text(word()).u64(now)));
      }
      if (step % 10 != 0) continue;
      MemoryFilter filter;
      filter.common = random_common(random, times);
      if (random() % 3 == 0) filter.source = word();
      if (random() % 3 == 0) filter.tag = word();
      if (random() % 3 == 0) filter.any_tag = some(3);
      if (random() % 3 == 0) filter.all_tags = some(2);
      if (random() % 3 == 0) filter.pinned = random() % 2 == 0;
      if (random() % 4 == 0) filter.lower_content_part = "über";
      ASSERT_EQ(ids(MemoriesModel::select(state, filter)), scan<MemoriesModel>(state, filter))
          << "seed " << seed << " step " << step;
    }
  }
}

}  // namespace
}  // namespace netmesh::cortex
