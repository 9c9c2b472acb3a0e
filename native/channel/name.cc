#include "channel/name.h"

#include <algorithm>

#include "base/channel_name.h"
#include "channel/errors.h"
#include "crypto/hash.h"

namespace netmesh::channel {

Expected<ChannelName> ChannelName::parse(std::string_view text) {
  if (auto valid = check_channel_name(text); !valid)
    return tl::unexpected(invalid_name(valid.error().message));
  return ChannelName(text, ChannelHash(crypto::xxh3_64(as_byte_span(text))));
}

unsigned ChannelName::depth() const {
  return 1 + static_cast<unsigned>(std::count(text_.begin(), text_.end(), '/'));
}

bool ChannelName::is_within(const ChannelName& ancestor) const {
  if (!text_.starts_with(ancestor.text_)) return false;
  return text_.size() == ancestor.text_.size() || text_[ancestor.text_.size()] == '/';
}

}  // namespace netmesh::channel
