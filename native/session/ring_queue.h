#pragma once
// A first-in first-out queue in one piece of memory.

#include <cstddef>
#include <memory>
#include <utility>

#include "base/assert.h"

namespace netmesh::session {

/// Grows to what it has to hold and is then used round and round: no allocation per element, which
/// std::deque has for every few. Empty queues that were large give their memory back.
template <typename T>
class RingQueue {
 public:
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T& front() { return (*this)[0]; }
  const T& front() const { return (*this)[0]; }
  T& back() { return (*this)[size_ - 1]; }
  const T& back() const { return (*this)[size_ - 1]; }
  /// `index` counts from the front.
  T& operator[](std::size_t index) {
    NM_ASSERT(index < size_);
    return slots_[(begin_ + index) & (capacity_ - 1)];
  }
  const T& operator[](std::size_t index) const {
    NM_ASSERT(index < size_);
    return slots_[(begin_ + index) & (capacity_ - 1)];
  }

  void push_back(const T& value) {
    if (size_ == capacity_) grow();
    slots_[(begin_ + size_++) & (capacity_ - 1)] = value;
  }
  void pop_front(std::size_t count = 1) {
    NM_ASSERT(count <= size_);
    begin_ += count;
    size_ -= count;
    if (size_ == 0 && capacity_ > kKeptCapacity) clear();
  }
  void pop_back(std::size_t count = 1) {
    NM_ASSERT(count <= size_);
    size_ -= count;
  }
  void clear() {
    slots_.reset();
    begin_ = size_ = capacity_ = 0;
  }

 private:
  static constexpr std::size_t kFirstCapacity = 16;
  /// What an idle peer may keep.
  static constexpr std::size_t kKeptCapacity = 1024;

  void grow() {
    const std::size_t capacity = capacity_ == 0 ? kFirstCapacity : capacity_ * 2;
    auto slots = std::make_unique<T[]>(capacity);
    for (std::size_t i = 0; i < size_; ++i) slots[i] = std::move((*this)[i]);
    slots_ = std::move(slots);
    capacity_ = capacity;
    begin_ = 0;
  }

  std::unique_ptr<T[]> slots_;
  std::size_t begin_ = 0;  ///< modulo the capacity, a power of two
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace netmesh::session
