#include "capability/pattern.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

namespace netmesh::capability {
namespace {

constexpr char32_t kLastCodePoint = 0x10FFFF;
/// Stands for a byte that is no UTF-8; no pattern names it, and `.` takes it.
constexpr char32_t kBroken = 0x110000;

/// The code points of a text.
std::u32string decode(std::string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const auto lead = static_cast<unsigned char>(text[at]);
    const std::size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    char32_t c = lead < 0x80 ? lead : lead & (0x7FU >> length);
    bool whole = (lead < 0x80 || lead >= 0xC2) && lead < 0xF5 && at + length <= text.size();
    for (std::size_t i = 1; whole && i < length; ++i) {
      const auto next = static_cast<unsigned char>(text[at + i]);
      whole = (next & 0xC0) == 0x80;
      c = (c << 6) | (next & 0x3FU);
    }
    out += whole ? c : kBroken;
    at += whole ? length : 1;
  }
  return out;
}

bool is_digit(char32_t c) { return c >= U'0' && c <= U'9'; }
bool is_word(char32_t c) {
  return is_digit(c) || c == U'_' || (c >= U'a' && c <= U'z') || (c >= U'A' && c <= U'Z');
}
bool is_line_break(char32_t c) { return c == U'\n' || c == U'\r' || c == 0x2028 || c == 0x2029; }

int hex_digit(char32_t c) {
  if (is_digit(c)) return static_cast<int>(c - U'0');
  if (c >= U'a' && c <= U'f') return static_cast<int>(c - U'a') + 10;
  if (c >= U'A' && c <= U'F') return static_cast<int>(c - U'A') + 10;
  return -1;
}

}  // namespace

/// Recursive descent; the recursion is as deep as groups are nested, at most `kMaxBytes`.
class PatternCompiler {
 public:
  explicit PatternCompiler(std::u32string text) : text_(std::move(text)) {}

  std::optional<Pattern> compile() {
    Code code = alternatives();
    if (at_ != text_.size()) failed_ = true;  // a parenthesis too many
    if (failed_) return std::nullopt;
    code.push_back({Op::kMatch, 0});
    Pattern out;
    out.steps_ = std::move(code);
    out.classes_ = std::move(classes_);
    return out;
  }

 private:
  using Op = Pattern::Op;
  using Step = Pattern::Step;
  using Class = Pattern::Class;
  using Range = Pattern::Range;
  using Code = std::vector<Step>;
  static constexpr std::size_t kUnbounded = std::numeric_limits<std::size_t>::max();

  static std::int32_t distance(std::size_t steps) { return static_cast<std::int32_t>(steps); }

  bool more() const { return at_ < text_.size() && !failed_; }
  bool take(char32_t c) {
    if (!more() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  Code fail() {
    failed_ = true;
    return {};
  }
  void append(Code& code, const Code& rest) {
    if (code.size() + rest.size() > Pattern::kMaxSteps) {
      failed_ = true;
      return;
    }
    code.insert(code.end(), rest.begin(), rest.end());
  }

  Code alternatives() {
    Code left = sequence();
    while (take(U'|')) {
      const Code right = sequence();
      Code both{{Op::kSplit, distance(left.size() + 2)}};
      append(both, left);
      both.push_back({Op::kJump, distance(right.size() + 1)});
      append(both, right);
      left = std::move(both);
    }
    return left;
  }

  Code sequence() {
    Code out;
    while (more() && text_[at_] != U'|' && text_[at_] != U')') append(out, repeated(atom()));
    return out;
  }

  Code repeated(Code code) {
    std::size_t least = 1, most = 1;
    if (take(U'*')) {
      least = 0, most = kUnbounded;
    } else if (take(U'+')) {
      most = kUnbounded;
    } else if (take(U'?')) {
      least = 0;
    } else if (take(U'{')) {
      const auto low = number();
      least = low.value_or(0);
      most = least;
      if (take(U',')) most = number().value_or(kUnbounded);
      if (!low || !take(U'}') || most < least) return fail();
    } else {
      return code;
    }
    if (repeats_nothing_) return fail();  // `^*`, `\b+`
    take(U'?');                           // lazy: it matches the same texts
    return times(code, least, most);
  }

  /// At most four digits: more repetitions are no use.
  std::optional<std::size_t> number() {
    const std::size_t begin = at_;
    std::size_t value = 0;
    while (more() && is_digit(text_[at_])) value = value * 10 + (text_[at_++] - U'0');
    if (at_ == begin) return std::nullopt;
    if (at_ - begin > 4) failed_ = true;
    return value;
  }

  Code times(const Code& code, std::size_t least, std::size_t most) {
    Code out;
    for (std::size_t i = 0; i < least && !failed_; ++i) append(out, code);
    if (most == kUnbounded) {
      Code loop{{Op::kSplit, distance(code.size() + 2)}};
      append(loop, code);
      loop.push_back({Op::kJump, -distance(code.size() + 1)});
      append(out, loop);
      return out;
    }
    Code maybe{{Op::kSplit, distance(code.size() + 1)}};
    append(maybe, code);
    for (std::size_t i = least; i < most && !failed_; ++i) append(out, maybe);
    return out;
  }

  Code atom() {
    repeats_nothing_ = false;
    const char32_t c = text_[at_++];
    switch (c) {
      case U'(': {
        if (take(U'?') && !take(U':')) return fail();
        Code group = alternatives();
        if (!take(U')')) return fail();
        repeats_nothing_ = false;
        return group;
      }
      case U'[':
        return char_class();
      case U'.':
        return {{Op::kAny, 0}};
      case U'^':
        return edge(Op::kBegin);
      case U'$':
        return edge(Op::kEnd);
      case U'\\':
        return escape();
      case U'*':
      case U'+':
      case U'?':
      case U'{':
      case U'}':
      case U']':
        return fail();
      default:
        return {{Op::kChar, static_cast<std::int32_t>(c)}};
    }
  }

  Code edge(Op op) {
    repeats_nothing_ = true;
    return {{op, 0}};
  }

  Code of(Class set) {
    classes_.push_back(std::move(set));
    return {{Op::kClass, distance(classes_.size() - 1)}};
  }

  Code escape() {
    if (take(U'b')) return edge(Op::kWordEdge);
    if (take(U'B')) return edge(Op::kNoWordEdge);
    Class set;
    if (shorthand(set)) return of(std::move(set));
    const auto c = escaped();
    return c ? Code{{Op::kChar, static_cast<std::int32_t>(*c)}} : fail();
  }

  /// `\d`, `\W` and so on, after the backslash.
  bool shorthand(Class& set) {
    if (!more()) return false;
    const char32_t letter = text_[at_];
    switch (letter | 0x20) {
      case U'd':
        set.ranges = {{U'0', U'9'}};
        break;
      case U'w':
        set.ranges = {{U'0', U'9'}, {U'A', U'Z'}, {U'_', U'_'}, {U'a', U'z'}};
        break;
      case U's':
        set.ranges = {{U'\t', U'\r'},   {U' ', U' '},     {0x85, 0x85},     {0xA0, 0xA0},
                      {0x1680, 0x1680}, {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F},
                      {0x205F, 0x205F}, {0x3000, 0x3000}};
        break;
      default:
        return false;
    }
    set.negated = letter < U'a';
    ++at_;
    return true;
  }

  /// The code point of an escape, after the backslash.
  std::optional<char32_t> escaped() {
    if (!more()) return std::nullopt;
    const char32_t c = text_[at_++];
    switch (c) {
      case U'n':
        return U'\n';
      case U't':
        return U'\t';
      case U'r':
        return U'\r';
      case U'f':
        return U'\f';
      case U'v':
        return U'\v';
      case U'x':
        return hex(2);
      case U'u':
        return hex(4);
      default:
        // What is no letter or digit stands for itself; `\1` would be a back reference.
        return is_word(c) && c != U'_' ? std::nullopt : std::optional(c);
    }
  }

  std::optional<char32_t> hex(int digits) {
    char32_t value = 0;
    for (; digits > 0; --digits) {
      const int digit = more() ? hex_digit(text_[at_++]) : -1;
      if (digit < 0) return std::nullopt;
      value = value * 16 + static_cast<char32_t>(digit);
    }
    return value;
  }

  Code char_class() {
    Class out;
    out.negated = take(U'^');
    while (more() && text_[at_] != U']') {
      Class set;
      const auto first = class_member(set);
      if (!first) {
        if (failed_) return {};
        add(out, set);
        continue;
      }
      char32_t last = *first;
      if (at_ + 1 < text_.size() && text_[at_] == U'-' && text_[at_ + 1] != U']') {
        ++at_;
        const auto end = class_member(set);
        if (!end || *end < *first) return fail();
        last = *end;
      }
      out.ranges.push_back({*first, last});
    }
    if (!take(U']')) return fail();
    return of(std::move(out));
  }

  /// A code point, or nothing and `set` filled, or nothing and `failed_`.
  std::optional<char32_t> class_member(Class& set) {
    const char32_t c = text_[at_++];
    if (c != U'\\') return c;
    if (shorthand(set)) return std::nullopt;
    if (take(U'b')) return U'\b';
    const auto literal = escaped();
    if (!literal) failed_ = true;
    return literal;
  }

  /// Adds a shorthand to a class; of a negated one what it leaves out.
  static void add(Class& out, const Class& set) {
    if (!set.negated) {
      out.ranges.insert(out.ranges.end(), set.ranges.begin(), set.ranges.end());
      return;
    }
    char32_t next = 0;
    for (const Range& range : set.ranges) {  // ascending
      if (range.first > next) out.ranges.push_back({next, range.first - 1});
      next = range.last + 1;
    }
    out.ranges.push_back({next, kBroken});
  }

  std::u32string text_;
  std::size_t at_ = 0;
  std::vector<Class> classes_;
  bool repeats_nothing_ = false;
  bool failed_ = false;
};

std::optional<Pattern> Pattern::compile(std::string_view text) {
  if (text.size() > kMaxBytes) return std::nullopt;
  std::u32string code_points = decode(text);
  if (code_points.find(kBroken) != std::u32string::npos) return std::nullopt;
  return PatternCompiler(std::move(code_points)).compile();
}

bool Pattern::Class::contains(char32_t c) const {
  const bool listed = std::any_of(ranges.begin(), ranges.end(), [c](const Range& range) {
    return c >= range.first && c <= range.last;
  });
  return listed != negated;
}

/// One search: all states that the automaton may be in, side by side.
class Pattern::Run {
 public:
  Run(const Pattern& pattern, std::u32string text)
      : pattern_(pattern), text_(std::move(text)), seen_at_(pattern.steps_.size(), kNever) {}

  bool find() {
    std::vector<std::size_t> here, next;
    for (std::size_t at = 0; at <= text_.size(); ++at) {
      enter(0, at, here);  // it may begin anywhere
      if (matched_) return true;
      if (at == text_.size()) break;
      next.clear();
      for (const std::size_t step : here) {
        if (takes(pattern_.steps_[step], text_[at])) enter(step + 1, at + 1, next);
      }
      here.swap(next);
    }
    return matched_;
  }

 private:
  static constexpr std::size_t kNever = std::numeric_limits<std::size_t>::max();

  bool takes(const Step& step, char32_t c) const {
    switch (step.op) {
      case Op::kChar:
        return c == static_cast<char32_t>(step.a);
      case Op::kAny:
        return !is_line_break(c);
      case Op::kClass:
        return pattern_.classes_[static_cast<std::size_t>(step.a)].contains(c);
      default:
        return false;
    }
  }

  bool at_word_edge(std::size_t at) const {
    const bool before = at > 0 && is_word(text_[at - 1]);
    const bool after = at < text_.size() && is_word(text_[at]);
    return before != after;
  }

  /// Adds a state, and those that it leads to without taking anything; each once per place.
  void enter(std::size_t first, std::size_t at, std::vector<std::size_t>& states) {
    pending_.push_back(first);
    while (!pending_.empty()) {
      const std::size_t index = pending_.back();
      pending_.pop_back();
      if (seen_at_[index] == at) continue;
      seen_at_[index] = at;
      const Step& step = pattern_.steps_[index];
      const auto target = static_cast<std::size_t>(static_cast<std::int64_t>(index) + step.a);
      switch (step.op) {
        case Op::kJump:
          pending_.push_back(target);
          break;
        case Op::kSplit:
          pending_.push_back(target);
          pending_.push_back(index + 1);
          break;
        case Op::kBegin:
          if (at == 0) pending_.push_back(index + 1);
          break;
        case Op::kEnd:
          if (at == text_.size()) pending_.push_back(index + 1);
          break;
        case Op::kWordEdge:
          if (at_word_edge(at)) pending_.push_back(index + 1);
          break;
        case Op::kNoWordEdge:
          if (!at_word_edge(at)) pending_.push_back(index + 1);
          break;
        case Op::kMatch:
          matched_ = true;
          break;
        case Op::kChar:
        case Op::kAny:
        case Op::kClass:
          states.push_back(index);
          break;
      }
    }
  }

  const Pattern& pattern_;
  const std::u32string text_;
  /// By step: the last place at which it was entered.
  std::vector<std::size_t> seen_at_;
  std::vector<std::size_t> pending_;
  bool matched_ = false;
};

bool Pattern::found_in(std::string_view text) const { return Run(*this, decode(text)).find(); }

}  // namespace netmesh::capability
