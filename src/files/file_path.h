// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

namespace websockets {

// Where the target of a request leads within a directory of files. Nothing is looked up.
struct FilePath {
  int status = 0;             // 400, 404: nowhere; 0: to `path`
  std::string path;           // decoded, without a "/" at its begin and end; "": that directory itself
  bool is_directory = false;  // the target ends with "/"
};

// What names no file in any directory leads nowhere, instead of being made to mean something: empty names, "." and
// "..", backslashes and control characters, however they are encoded. Names with a dot in front are hidden unless
// `shows_hidden`, but for /.well-known (RFC 8615).
FilePath resolve_file_path(std::string_view target, bool shows_hidden);

// The relative reference (RFC 3986 4.2) from such a target without a "/" at its end to the same one with it. Its query
// string stays, but for what no URI has.
std::string directory_reference(std::string_view target);

}  // namespace websockets
