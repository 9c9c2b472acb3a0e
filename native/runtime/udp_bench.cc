// What a socket moves over loopback: segmented, in batches, or datagram by datagram.

#include <benchmark/benchmark.h>
#include <poll.h>

#include <thread>

#include "runtime/udp_socket.h"

namespace netmesh::runtime {
namespace {

std::unique_ptr<UdpSocket> open_socket(const benchmark::State& state) {
  UdpOptions options;
  options.bind_to = Endpoint::ipv4(127, 0, 0, 1, 0);
  options.offload = state.range(0) == 2;
  options.batch_calls = state.range(0) >= 1;
  return std::move(*UdpSocket::open(options));
}

/// Receives until told to stop; counts bytes.
class Drain {
 public:
  explicit Drain(UdpSocket& socket) : thread_([this, &socket] { run(socket); }) {}
  ~Drain() {
    stop_ = true;
    thread_.join();
  }
  std::uint64_t bytes() const { return bytes_; }

 private:
  void run(UdpSocket& socket) {
    while (!stop_) {
      pollfd ready{socket.descriptor(), POLLIN, 0};
      if (::poll(&ready, 1, 10) <= 0) continue;
      UdpSocket::ReceiveResult result{{}, false};
      do {
        result = socket.receive();
        for (const auto& received : result.datagrams) bytes_ += received.bytes.size();
      } while (!result.exhausted);
    }
  }
  std::atomic<bool> stop_{false};
  std::atomic<std::uint64_t> bytes_{0};
  std::thread thread_;
};

/// Arguments: path (0 plain, 1 batched calls, 2 offload), bytes per datagram.
void udp_one_way(benchmark::State& state) {
  const auto sender = open_socket(state);
  const auto receiver = open_socket(state);
  const auto length = static_cast<std::size_t>(state.range(1));
  mesh::TransmitBatch batch;
  std::size_t count = 0;
  while (!batch.begin(length).empty()) {
    batch.commit(receiver->local(), length);
    ++count;
  }
  std::uint64_t sent = 0;
  std::uint64_t arrived = 0;
  {
    const Drain drain(*receiver);
    for (auto _ : state) {
      std::size_t next = 0;
      while (next < count) next = sender->send(batch, next);
      sent += count * length;
      // Not faster than the reader, or most of it would be dropped.
      while (drain.bytes() + (2u << 20) < sent) {
        const std::uint64_t before = drain.bytes();
        std::this_thread::yield();
        if (drain.bytes() == before) break;
      }
    }
    arrived = drain.bytes();
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(sent));
  state.SetItemsProcessed(static_cast<std::int64_t>(sent / length));
  state.counters["arrived"] = static_cast<double>(arrived) / static_cast<double>(sent);
}

BENCHMARK(udp_one_way)
    ->ArgNames({"path", "bytes"})
    ->ArgsProduct({{0, 1, 2}, {200, 1200, 8192}})
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace netmesh::runtime
