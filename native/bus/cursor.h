#pragma once
// The composite cursor: where a consumer stands in every shard (spec 40 §4.2).

#include <map>
#include <string>
#include <string_view>

#include "base/error.h"
#include "bus/position.h"

namespace netmesh::bus {

/// Positions by shard; each is the id of the last event that was consumed.
using Cursor = std::map<ShardId, std::string>;

/// Base64 of JSON. Fails with kInvalidArgument and `invalid cursor: …`.
Expected<Cursor> decode_cursor(std::string_view text);
std::string encode_cursor(const Cursor& cursor);

}  // namespace netmesh::bus
