#pragma once
// The vectors that every implementation of the protocol shares, as C++ values.

#include <gtest/gtest.h>
#include <simdjson.h>

#include <string>
#include <vector>

#include "predicate/capability_view.h"

namespace netmesh::predicate::testing {

using simdjson::dom::element;

/// A file of test/fixtures/cross_lang_capability; checks its version and its number of cases.
class Fixture {
 public:
  Fixture(const std::string& name, std::int64_t abi, std::size_t cases) {
    const std::string path =
        std::string(NETMESH_SOURCE_DIR) + "/test/fixtures/cross_lang_capability/" + name + ".json";
    document_ = parser_.load(path);
    EXPECT_EQ(std::int64_t(document_["abi_version_expected"]), abi);
    EXPECT_EQ(this->cases().size(), cases);
  }
  simdjson::dom::array cases() const { return document_["cases"]; }

 private:
  simdjson::dom::parser parser_;
  element document_;
};

inline std::string text(const element& value) {
  return std::string(std::string_view(value.get_string()));
}

inline std::vector<std::string> texts(const element& list) {
  std::vector<std::string> out;
  for (const element each : list.get_array()) out.push_back(text(each));
  return out;
}

inline Metadata metadata(const element& object) {
  Metadata out;
  for (const auto& [key, value] : object.get_object()) {
    out.insert_or_assign(std::string(key), text(value));
  }
  return out;
}

}  // namespace netmesh::predicate::testing
