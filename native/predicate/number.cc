#include "predicate/number.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>

namespace netmesh::predicate {
namespace {

/// Beyond any exponent of a double, and far from overflow when lengths of texts are added.
constexpr std::int64_t kExponentLimit = 1'000'000'000'000;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool same_word(std::string_view text, std::string_view lower_case) {
  return std::equal(
      text.begin(), text.end(), lower_case.begin(), lower_case.end(), [](char a, char b) {
        const char lower = a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a;
        return lower == b;
      });
}

/// The parts of a decimal number without its sign.
struct Decimal {
  std::string_view whole;
  std::string_view fraction;
  std::int64_t exponent = 0;
};

std::string_view take_digits(std::string_view& text) {
  const auto end = std::find_if_not(text.begin(), text.end(), is_digit);
  const auto count = static_cast<std::size_t>(end - text.begin());
  const std::string_view digits = text.substr(0, count);
  text.remove_prefix(count);
  return digits;
}

std::optional<Decimal> split(std::string_view text) {
  Decimal out;
  out.whole = take_digits(text);
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    out.fraction = take_digits(text);
  }
  if (out.whole.empty() && out.fraction.empty()) return std::nullopt;
  if (text.empty()) return out;
  if (text.front() != 'e' && text.front() != 'E') return std::nullopt;
  text.remove_prefix(1);
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  const std::string_view digits = take_digits(text);
  if (digits.empty() || !text.empty()) return std::nullopt;
  for (const char c : digits) {
    out.exponent = std::min(out.exponent * 10 + (c - '0'), kExponentLimit);
  }
  if (negative) out.exponent = -out.exponent;
  return out;
}

/// What a number that no double can hold becomes: infinite or 0, as its first digit lies.
double out_of_range(const Decimal& decimal) {
  const std::size_t in_whole = decimal.whole.find_first_not_of('0');
  const std::size_t in_fraction = decimal.fraction.find_first_not_of('0');
  std::int64_t scale = decimal.exponent;
  if (in_whole != std::string_view::npos) {
    scale += static_cast<std::int64_t>(decimal.whole.size() - in_whole);
  } else if (in_fraction != std::string_view::npos) {
    scale -= static_cast<std::int64_t>(in_fraction);
  } else {
    return 0;
  }
  return scale > 0 ? std::numeric_limits<double>::infinity() : 0;
}

}  // namespace

std::optional<double> parse_float64(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  if (same_word(text, "inf") || same_word(text, "infinity")) {
    value = std::numeric_limits<double>::infinity();
  } else if (same_word(text, "nan")) {
    value = std::numeric_limits<double>::quiet_NaN();
  } else {
    const auto decimal = split(text);
    if (!decimal) return std::nullopt;
    const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
    if (result.ec != std::errc{}) value = out_of_range(*decimal);
  }
  return negative ? -value : value;
}

std::string number_label(double number) {
  if (std::isnan(number)) return "NaN";
  if (number == 0) return "0";
  if (std::isinf(number)) return number < 0 ? "-Infinity" : "Infinity";
  // The shortest digits that read back as the same number, and where the decimal point goes.
  std::array<char, 32> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), std::abs(number),
                                 std::chars_format::scientific)
                       .ptr;
  const std::string_view text(buffer.data(), static_cast<std::size_t>(end - buffer.data()));
  const std::size_t mark = text.find('e');
  std::string digits(text.substr(0, mark));
  std::erase(digits, '.');
  int point = 0;
  const char* exponent = text.data() + mark + 1;
  std::from_chars(*exponent == '+' ? exponent + 1 : exponent, text.data() + text.size(), point);
  ++point;

  // ECMA-262, Number::toString.
  const auto count = static_cast<int>(digits.size());
  std::string out = number < 0 ? "-" : "";
  if (count <= point && point <= 21) {
    return out + digits + std::string(static_cast<std::size_t>(point - count), '0');
  }
  if (0 < point && point <= 21) {
    return out + digits.insert(static_cast<std::size_t>(point), 1, '.');
  }
  if (-6 < point && point <= 0) {
    return out + "0." + std::string(static_cast<std::size_t>(-point), '0') + digits;
  }
  if (count > 1) digits.insert(1, 1, '.');
  return out + digits + (point > 0 ? "e+" : "e-") + std::to_string(std::abs(point - 1));
}

}  // namespace netmesh::predicate
