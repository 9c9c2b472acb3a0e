#pragma once
// How much may be in flight on one path.

#include <algorithm>
#include <cstdint>

#include "base/time.h"

namespace netmesh::session {

/// One per path. The session counts bytes in flight itself and asks `window()` before each packet.
class CongestionController {
 public:
  virtual ~CongestionController() = default;
  /// `bytes` sent at `sent_at` were acknowledged; `limited`: the window was what held sending back.
  virtual void on_acknowledged(std::uint64_t bytes, TimePoint sent_at, bool limited) = 0;
  /// A packet sent at `sent_at` is lost; losses of one round trip count once.
  virtual void on_lost(TimePoint now, TimePoint sent_at) = 0;
  /// Nothing got through for several probe timeouts.
  virtual void on_persistent_congestion() = 0;
  virtual std::uint64_t window() const = 0;
};

/// NewReno as in RFC 9002 §7.
class NewReno final : public CongestionController {
 public:
  static constexpr std::uint64_t kMaxWindowBytes = 8u << 20;

  explicit NewReno(std::size_t datagram_bytes)
      : datagram_(datagram_bytes), window_(10 * datagram_bytes) {}

  void on_acknowledged(std::uint64_t bytes, TimePoint sent_at, bool limited) override {
    if (!limited || sent_at <= recovery_start_) return;
    if (window_ < threshold_) {
      window_ += bytes;
    } else {
      acknowledged_ += bytes;
      if (acknowledged_ >= window_) {
        acknowledged_ -= window_;
        window_ += datagram_;
      }
    }
    window_ = std::min(window_, kMaxWindowBytes);
  }

  void on_lost(TimePoint now, TimePoint sent_at) override {
    if (sent_at <= recovery_start_) return;
    recovery_start_ = now;
    window_ = std::max(window_ / 2, minimum());
    threshold_ = window_;
    acknowledged_ = 0;
  }

  void on_persistent_congestion() override {
    window_ = minimum();
    recovery_start_ = TimePoint::min();
  }

  std::uint64_t window() const override { return window_; }

 private:
  std::uint64_t minimum() const { return 2 * datagram_; }

  std::uint64_t datagram_;
  std::uint64_t window_;
  std::uint64_t threshold_ = ~std::uint64_t{0};
  std::uint64_t acknowledged_ = 0;
  TimePoint recovery_start_ = TimePoint::min();
};

}  // namespace netmesh::session
