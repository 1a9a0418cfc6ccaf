// SPDX-License-Identifier: MIT
#include "files/serve_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/bytes.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "files/directory.h"
#include "files/sizeless_file.h"
#include "http/responder.h"

namespace websockets {
namespace {

// Opens a regular file; O_NONBLOCK, so that a FIFO of that name is not waited for.
UniqueFd open_file(const char* path, struct stat& info) {
  UniqueFd file(::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file || ::fstat(file.get(), &info) != 0) return {};
  if (S_ISREG(info.st_mode)) return file;
  errno = ENOENT;
  return {};
}

bool refuse(Responder& responder, ResponseHead head, std::string_view text) {
  responder.respond_line(head, text);
  return false;
}

}  // namespace

bool serve_file(Responder& responder, const char* path, std::string_view content_type) {
  const std::string_view method = responder.request().method();
  if (method != "GET" && method != "HEAD") {
    return refuse(responder, {.status = 405, .headers = {{"Allow", "GET, HEAD"}}},
                  "Only GET and HEAD are allowed here.");
  }
  struct stat info {};
  UniqueFd file = open_file(path, info);
  const Result<std::optional<std::string>> content =
      file ? read_sizeless(file.get(), info.st_size) : system_error("no file");
  if (!content && is_shortage(content.error().code)) return refuse(responder, {.status = 503}, "The server is busy.");
  if (!content) return refuse(responder, {.status = 404}, "There is nothing here.");
  ResponseHead head;
  head.content_type = content_type;
  if (*content) {
    responder.respond(head, as_bytes(**content));
    return true;
  }
  const Responder::FilePart whole{{}, 0, static_cast<std::uint64_t>(info.st_size)};
  responder.respond_with_file(head, std::make_shared<const UniqueFd>(std::move(file)), {&whole, 1}, {});
  return true;
}

}  // namespace websockets
