#pragma once
// Whose turn it is: strict priority between classes, deficit round robin within one (Shreedhar and
// Varghese, 1995).

#include <algorithm>
#include <array>

#include "base/assert.h"
#include "session/send_stream.h"

namespace netmesh::session {

/// Streams that have something to send, once each. Within a class every round gives a stream
/// `fairness_weight` quanta of bytes; what it overdraws it pays in its next round.
class StreamScheduler {
 public:
  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }

  void add(SendStream& stream) {
    if (stream.scheduled) return;
    stream.scheduled = true;
    stream.deficit = 0;
    list_of(stream).push_back(stream);
    ++size_;
  }
  void remove(SendStream& stream) {
    if (!stream.scheduled) return;
    list_of(stream).erase(stream);
    stream.scheduled = false;
    --size_;
  }
  void clear() {
    while (!empty()) remove(*first().head);
  }

  /// The stream that sends next; there must be one. `quantum`: bytes per round and weight.
  SendStream& front(std::size_t quantum) {
    List& list = first();
    while (list.head->deficit <= 0) {
      SendStream& stream = *list.head;
      const std::uint32_t weight = std::max(1u, stream.gate().config.fairness_weight);
      stream.deficit += static_cast<std::int64_t>(quantum * weight);
      if (stream.deficit > 0) break;
      // An event of several packets overdrew more than one round: the others go first.
      list.erase(stream);
      list.push_back(stream);
    }
    return *list.head;
  }
  /// The front stream sent `bytes`; its turn ends when its share is used up.
  void charge(SendStream& stream, std::size_t bytes) {
    stream.deficit -= static_cast<std::int64_t>(bytes);
    if (stream.deficit > 0) return;
    List& list = list_of(stream);
    list.erase(stream);
    list.push_back(stream);
  }

 private:
  /// Linked through the streams themselves: an idle session owns nothing for it.
  struct List {
    SendStream* head = nullptr;
    SendStream* tail = nullptr;

    void push_back(SendStream& stream) {
      stream.next_scheduled = nullptr;
      (tail == nullptr ? head : tail->next_scheduled) = &stream;
      tail = &stream;
    }
    void erase(SendStream& stream) {
      SendStream* before = nullptr;
      for (SendStream* at = head; at != &stream; at = at->next_scheduled) before = at;
      (before == nullptr ? head : before->next_scheduled) = stream.next_scheduled;
      if (tail == &stream) tail = before;
    }
  };
  List& list_of(const SendStream& stream) {
    return classes_[static_cast<std::size_t>(stream.gate().config.priority)];
  }
  List& first() {
    for (List& list : classes_) {
      if (list.head != nullptr) return list;
    }
    NM_ASSERT(false);
    return classes_.back();
  }

  std::array<List, kPriorityClasses> classes_;
  std::size_t size_ = 0;
};

}  // namespace netmesh::session
