#include "sim/tcp_flow.h"

#include <gtest/gtest.h>

#include "sim/bulk.h"

namespace netmesh::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(TcpFlow, FillsALineWithItsQueueAsCubicDoes) {
  World world(1);
  DumbbellConfig path;
  Dumbbell dumbbell(world, path);
  dumbbell.add_tcp();
  const DumbbellResult result = dumbbell.run(seconds(10), seconds(30));
  EXPECT_GT(result.utilisation, 0.95);
  EXPECT_GT(result.mean_queue_delay, path.round_trip / 4) << "it fills the queue";
  EXPECT_LT(result.repeated, 0.01);
}

TEST(TcpFlow, SharesWithAnother) {
  World world(2);
  Dumbbell dumbbell(world, {});
  dumbbell.add_tcp();
  dumbbell.run(seconds(5), Duration(1));
  dumbbell.add_tcp();
  const DumbbellResult result = dumbbell.run(seconds(30), seconds(90));
  EXPECT_GT(result.jain, 0.9);
}

TEST(TcpFlow, SurvivesLossAndOutages) {
  World world(3);
  DumbbellConfig path;
  path.loss = 0.05;
  path.ack_loss = 0.05;
  path.jitter = milliseconds(5);
  Dumbbell dumbbell(world, path);
  TcpFlow& flow = dumbbell.add_tcp();
  dumbbell.run(seconds(5), Duration(1));
  world.network.set_partitioned(address_of(1), address_of(2), true);
  world.network.run_for(seconds(5));
  const std::uint64_t before = flow.received_bytes();
  world.network.set_partitioned(address_of(1), address_of(2), false);
  world.network.run_for(seconds(30));
  EXPECT_GT(flow.received_bytes(), before + 500'000);
}

}  // namespace
}  // namespace netmesh::sim
