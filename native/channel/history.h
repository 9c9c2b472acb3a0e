#pragma once
// The last payloads of a channel, for subscribers to come.

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "base/bytes.h"

namespace netmesh::channel {

/// Shared by the history and by everybody whom it is being sent to.
using Payload = std::shared_ptr<const Bytes>;

/// Bounded in number and in bytes; the oldest payloads go first. There is never a gap in it: a
/// payload that alone exceeds the bounds leaves it empty.
class History {
 public:
  struct Limits {
    std::size_t payloads = 0;
    std::size_t bytes = 0;
  };

  void add(Payload payload, Limits limits) {
    bytes_ += payload->size();
    payloads_.push_back(std::move(payload));
    trim(limits);
  }
  void trim(Limits limits) {
    while (size() > 0 && (size() > limits.payloads || bytes_ > limits.bytes)) {
      bytes_ -= payloads_[first_]->size();
      payloads_[first_++].reset();
    }
    // Moved up only once half of it is free: constant work per payload.
    if (2 * first_ < payloads_.size()) return;
    payloads_.erase(payloads_.begin(), payloads_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
  /// At most so many, the newest ones, oldest first.
  std::vector<Payload> last(std::size_t count) const {
    return {payloads_.end() - static_cast<std::ptrdiff_t>(std::min(count, size())),
            payloads_.end()};
  }

  std::size_t size() const { return payloads_.size() - first_; }
  std::size_t bytes() const { return bytes_; }

 private:
  std::vector<Payload> payloads_;
  std::size_t first_ = 0;  ///< those before it are gone
  std::size_t bytes_ = 0;
};

}  // namespace netmesh::channel
