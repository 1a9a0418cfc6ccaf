// SPDX-License-Identifier: MIT
#include "files/file_path.h"

#include <algorithm>

#include "base/http_text.h"
#include "http/url.h"

namespace websockets {
namespace {

// RFC 3986 2.1; false when a "%" has no two digits behind it.
bool percent_decode_strictly(std::string_view text, std::string& decoded) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    if (text.size() - i < 3) return false;
    const int high = http_text::hexadecimal_value(text[i + 1]);
    const int low = http_text::hexadecimal_value(text[i + 2]);
    if (high < 0 || low < 0) return false;
    decoded += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return true;
}

// 0, or the status that says why it is not.
int check_name(std::string_view name, bool is_first, bool shows_hidden) {
  if (name.find('\0') != std::string_view::npos) return 400;
  const auto is_strange = [](char c) { return c == '/' || c == '\\' || http_text::is_control(c); };
  if (name.empty() || name == "." || name == ".." || std::any_of(name.begin(), name.end(), is_strange)) return 404;
  const bool is_hidden = name.front() == '.' && !(is_first && name == ".well-known");
  return is_hidden && !shows_hidden ? 404 : 0;
}

void append_encoded(std::string& text, char c) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  const auto byte = static_cast<unsigned char>(c);
  text += '%';
  text += kHex[byte / 16U];
  text += kHex[byte % 16U];
}

}  // namespace

FilePath resolve_file_path(std::string_view target, bool shows_hidden) {
  std::string_view rest = split_target(target).path;
  if (!rest.starts_with('/')) return {400, {}, false};
  rest.remove_prefix(1);

  FilePath result;
  while (!rest.empty()) {
    const std::size_t slash = std::min(rest.find('/'), rest.size());
    std::string name;
    if (!percent_decode_strictly(rest.substr(0, slash), name)) return {400, {}, false};
    const int status = check_name(name, result.path.empty(), shows_hidden);
    if (status != 0) return {status, {}, false};
    if (!result.path.empty()) result.path += '/';
    result.path += name;
    result.is_directory = slash < rest.size();
    rest.remove_prefix(std::min(slash + 1, rest.size()));
  }
  result.is_directory = result.is_directory || result.path.empty();
  return result;
}

std::string directory_reference(std::string_view target) {
  const std::size_t query = std::min(target.find('?'), target.size());
  const std::string_view path = target.substr(0, query);
  std::string reference;
  for (const char c : path.substr(path.rfind('/') + 1)) {
    if (http_text::is_alphanumeric(c) || std::string_view("-._~!$&'()*+,;=@%").find(c) != std::string_view::npos) {
      reference += c;
    } else {
      append_encoded(reference, c);
    }
  }
  reference += '/';
  for (const char c : target.substr(query)) {
    if (c > ' ' && c < '\x7f') {
      reference += c;
    } else {
      append_encoded(reference, c);
    }
  }
  return reference;
}

}  // namespace websockets
