#pragma once
// Regular expressions over tags, in time linear in the tag: an automaton, no backtracking. What
// they search comes from strangers.

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace netmesh::capability {

/// A compiled pattern, found anywhere in a text unless `^` and `$` say otherwise. Code points,
/// groups, `|`, `* + ? {m,n}` (lazy ones alike), `.`, classes, `\d \w \s \b` and their opposites,
/// `\n \t \r \f \v \xHH \uHHHH`. Look-around and back references have no linear automaton and are
/// no patterns here. (libstdc++'s `std::regex` would bring half a megabyte of locales along.)
class Pattern {
 public:
  /// Bytes of a pattern, and steps of its automaton with all repetitions written out.
  static constexpr std::size_t kMaxBytes = 256;
  static constexpr std::size_t kMaxSteps = 2048;

  /// Nothing for a malformed or too large pattern.
  static std::optional<Pattern> compile(std::string_view text);
  /// Takes at most `kMaxSteps` operations per code point of the text.
  bool found_in(std::string_view text) const;

 private:
  friend class PatternCompiler;
  enum class Op : std::uint8_t {
    kChar,  ///< the code point `a`
    kAny,   ///< all but a line break
    kClass,
    kJump,   ///< by `a`
    kSplit,  ///< on, and by `a`
    kBegin,
    kEnd,
    kWordEdge,
    kNoWordEdge,
    kMatch,
  };
  struct Step {
    Op op = Op::kMatch;
    std::int32_t a = 0;  ///< relative for jumps, so that code can be copied; else as the step says
  };
  struct Range {
    char32_t first = 0, last = 0;
  };
  struct Class {
    bool negated = false;
    std::vector<Range> ranges;
    bool contains(char32_t c) const;
  };
  class Run;

  std::vector<Step> steps_;
  std::vector<Class> classes_;
};

}  // namespace netmesh::capability
