#include "session/ring_queue.h"

#include <gtest/gtest.h>

#include <deque>
#include <random>

namespace netmesh::session {
namespace {

TEST(RingQueue, BehavesLikeADeque) {
  std::mt19937_64 random(1);
  RingQueue<int> ring;
  std::deque<int> model;
  for (int i = 0; i < 200'000; ++i) {
    // Grows and shrinks in long waves.
    const bool growing = (i / 5'000) % 2 == 0;
    switch (random() % (growing ? 4 : 3)) {
      case 0:
        if (const std::size_t count =
                model.empty() ? 0 : random() % std::min<std::size_t>(model.size() + 1, 6);
            count > 0) {
          ring.pop_front(count);
          model.erase(model.begin(), model.begin() + static_cast<std::ptrdiff_t>(count));
        }
        break;
      case 1:
        if (!model.empty() && random() % 2 == 0) {
          ring.pop_back();
          model.pop_back();
        }
        break;
      default:
        ring.push_back(i);
        model.push_back(i);
    }
    ASSERT_EQ(ring.size(), model.size());
    if (model.empty()) continue;
    ASSERT_EQ(ring.front(), model.front());
    ASSERT_EQ(ring.back(), model.back());
    const std::size_t at = random() % model.size();
    ASSERT_EQ(ring[at], model[at]);
  }
}

}  // namespace
}  // namespace netmesh::session
