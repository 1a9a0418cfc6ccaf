// SPDX-License-Identifier: MIT
#include "lua/near_miss.h"

#include <algorithm>
#include <array>

#include "base/http_text.h"

namespace websockets::lua {
namespace {

constexpr std::size_t kMaxLetters = 64;  // longer than any name; of a longer key its beginning is compared
constexpr std::size_t kShortLetters = 4;

struct Letters {
  explicit Letters(std::string_view text) {
    for (const char c : text) {
      if (c != '_' && c != '-' && size < kMaxLetters) letters[size++] = http_text::to_lower(c);
    }
  }
  std::string_view view() const { return {letters.data(), size}; }

  std::array<char, kMaxLetters> letters;
  std::size_t size = 0;
};

// The distance of Damerau and Levenshtein, in which no part is edited twice.
std::size_t distance(std::string_view one, std::string_view other) {
  using Row = std::array<std::size_t, kMaxLetters + 1>;
  std::array<Row, 3> rows{};  // rows[i % 3][j]: from the first i letters of `one` to the first j of `other`
  for (std::size_t j = 0; j <= other.size(); ++j) rows[0][j] = j;
  for (std::size_t i = 1; i <= one.size(); ++i) {
    const Row& above = rows[(i - 1) % 3];
    Row& row = rows[i % 3];
    row[0] = i;
    for (std::size_t j = 1; j <= other.size(); ++j) {
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (one[i - 1] == other[j - 1] ? 0 : 1)});
      const bool are_exchanged = i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1];
      if (are_exchanged) row[j] = std::min(row[j], rows[(i - 2) % 3][j - 2] + 1);
    }
  }
  return rows[one.size() % 3][other.size()];
}

}  // namespace

std::optional<std::size_t> near_miss(std::string_view key, std::string_view name) {
  const Letters of_key(key);
  const Letters of_name(name);
  const std::size_t shorter = std::min(of_key.size, of_name.size);
  if (shorter == 0) return std::nullopt;
  const std::size_t edits = distance(of_key.view(), of_name.view());
  const std::size_t most = std::max(of_key.size, of_name.size) <= kShortLetters ? 1 : 2;
  const bool is_beginning = of_key.view().substr(0, shorter) == of_name.view().substr(0, shorter);
  if (edits > most && !is_beginning) return std::nullopt;
  return edits;
}

bool is_same_name(std::string_view one, std::string_view other) { return Letters(one).view() == Letters(other).view(); }

}  // namespace websockets::lua
