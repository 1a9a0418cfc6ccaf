// SPDX-License-Identifier: MIT
#include "files/file_server.h"

#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <memory>

#include "base/bytes.h"
#include "base/http_text.h"
#include "files/byte_ranges.h"
#include "files/content_encodings.h"
#include "files/content_types.h"
#include "files/file_path.h"
#include "files/preconditions.h"
#include "files/sizeless_file.h"
#include "http/responder.h"
#include "http/response.h"

namespace websockets {

// A file, on its way to be an answer.
struct StaticAnswer {
  Directory::Found found;
  std::string_view content_type;
  std::string_view encoding;  // "": none
  Validators validators;
  std::time_t now;
  std::optional<std::string> content;  // of a file that does not tell its size

  std::uint64_t size() const { return static_cast<std::uint64_t>(found.info.st_size); }
};

namespace {

constexpr std::string_view kNothing = "There is nothing here.";
constexpr std::string_view kUnknownType = "application/octet-stream";

Validators validators_of(const struct stat& info) {
#ifdef __APPLE__
  const timespec& modified = info.st_mtimespec;
#else
  const timespec& modified = info.st_mtim;
#endif
  return make_validators(modified.tv_sec, modified.tv_nsec, static_cast<std::uint64_t>(info.st_size), info.st_ino);
}

// What does not stand in any file that was there before.
std::string make_boundary() {
  std::array<unsigned char, 16> random{};
  RAND_bytes(random.data(), static_cast<int>(random.size()));
  std::string boundary;
  for (const unsigned char byte : random) {
    boundary += static_cast<char>('a' + byte / 16);
    boundary += static_cast<char>('a' + byte % 16);
  }
  return boundary;
}

// The body for what was selected, and what the head says of it. `text` is what `head` points to.
std::vector<Responder::FilePart> make_parts(const RangeSelection& selection, const StaticAnswer& answer,
                                            ResponseHead& head, std::string& text, std::string& end) {
  if (selection.status == RangeSelection::Status::kWhole) return {{{}, 0, answer.size()}};
  head.status = 206;
  if (selection.ranges.size() == 1) {
    const ByteRange& range = selection.ranges.front();
    text = content_range(range, answer.size());
    head.headers.emplace_back("Content-Range", text);
    return {{{}, range.first, range.bytes}};
  }
  const std::string boundary = make_boundary();
  text.append("multipart/byteranges; boundary=").append(boundary);
  head.content_type = text;
  end = range_parts_end(boundary);
  std::vector<Responder::FilePart> parts;
  for (const ByteRange& range : selection.ranges) {
    parts.push_back({range_part_head(boundary, answer.content_type, range, answer.size()), range.first, range.bytes});
  }
  return parts;
}

}  // namespace

Error FileServer::open(const std::string& root) {
  Result<Directory> directory = Directory::open(root);
  if (!directory) return directory.error();
  directory_ = std::move(*directory);
  return {};
}

bool FileServer::answer(Responder& responder, std::string_view target) const {
  const Request& request = responder.request();
  if (request.method() != "GET" && request.method() != "HEAD") {
    return refuse(responder, 405, "Only GET and HEAD are allowed here.", "GET, HEAD");
  }
  FilePath where = resolve_file_path(target, options.shows_hidden);
  if (where.status == 400) return refuse(responder, 400, "The path of the request is malformed.");
  if (where.status != 0) return refuse(responder, where.status, kNothing);

  StaticAnswer answer;
  answer.found = find(where.path, where.is_directory);
  if (!answer.found.file) {
    if (is_shortage(answer.found.error)) return refuse(responder, 503, "The server is busy.");
    return refuse(responder, 404, kNothing);
  }
  if (answer.found.is_directory()) {
    redirect(responder, target);
    return true;
  }
  answer.content_type = type_of(where.path);
  if (options.has_compressed) choose_encoding(request.joined("Accept-Encoding"), where.path, answer);
  Result<std::optional<std::string>> content = read_sizeless(answer.found.file.get(), answer.found.info.st_size);
  if (!content) return refuse(responder, 404, kNothing);
  answer.content = std::move(*content);
  answer.validators = validators_of(answer.found.info);
  answer.now = std::time(nullptr);
  answer.content ? send_content(responder, answer) : send(responder, answer);
  return true;
}

// What the path leads to; of a directory its index, whose path it is then.
Directory::Found FileServer::find(std::string& path, bool is_directory) const {
  if (!is_directory) return directory_->open_beneath(path, links());
  for (const std::string& name : options.index) {
    std::string in_directory = path;
    if (!path.empty()) in_directory += '/';
    in_directory += name;
    Directory::Found found = directory_->open_beneath(in_directory, links());
    const bool is_there = found.file && !found.is_directory();
    if (!is_there && !is_shortage(found.error)) continue;
    path = std::move(in_directory);
    return found;
  }
  return {{}, ENOENT, {}};
}

// One that is older than the file was forgotten when the file was changed.
void FileServer::choose_encoding(std::string_view accept_encoding, const std::string& path,
                                 StaticAnswer& answer) const {
  for (const ContentEncoding& encoding : accepted_encodings(accept_encoding)) {
    Directory::Found found = directory_->open_beneath(path + std::string(encoding.suffix), links());
    if (!found.file || found.is_directory() || found.info.st_mtime < answer.found.info.st_mtime) continue;
    answer.found = std::move(found);
    answer.encoding = encoding.name;
    return;
  }
}

std::string_view FileServer::type_of(std::string_view path) const {
  const std::string_view suffix = suffix_of(path);
  for (const auto& [name, type] : options.types) {
    if (http_text::equals_ignoring_case(name, suffix)) return type;
  }
  const std::string_view known = content_type_of(suffix);
  return known.empty() ? kUnknownType : known;
}

// 405, 416: with the value of the header that belongs to it.
bool FileServer::refuse(Responder& responder, int status, std::string_view text, std::string_view header_value) const {
  if (options.falls_through && (status == 400 || status == 404 || status == 405)) return false;
  ResponseHead head;
  head.status = status;
  head.header_lines = options.header_lines;
  if (!header_value.empty()) head.headers.emplace_back(status == 405 ? "Allow" : "Content-Range", header_value);
  responder.respond_line(head, text);
  return true;
}

// By a relative reference: who calls may have taken something off the front of the target.
void FileServer::redirect(Responder& responder, std::string_view target) const {
  const std::string location = directory_reference(target);
  ResponseHead head;
  head.status = 301;
  head.header_lines = options.header_lines;
  head.headers.emplace_back("Location", location);
  responder.respond(head, {});
}

ResponseHead FileServer::make_head() const {
  ResponseHead head;
  head.header_lines = options.header_lines;
  if (!options.cache_control.empty()) head.headers.emplace_back("Cache-Control", options.cache_control);
  if (options.has_compressed) head.headers.emplace_back("Vary", "Accept-Encoding");
  return head;
}

// What was made up when it was read has neither a time of change nor parts.
void FileServer::send_content(Responder& responder, const StaticAnswer& answer) const {
  ResponseHead head = make_head();
  head.content_type = answer.content_type;
  if (!answer.encoding.empty()) head.headers.emplace_back("Content-Encoding", answer.encoding);
  responder.respond(head, as_bytes(*answer.content));
}

void FileServer::send(Responder& responder, StaticAnswer& answer) const {
  const Request& request = responder.request();
  const Precondition precondition = check_preconditions(request, answer.validators, answer.now);
  if (precondition == Precondition::kFailed) {
    refuse(responder, 412, "The file is in another state.");
    return;
  }
  ResponseHead head = make_head();
  head.headers.emplace_back("ETag", answer.validators.etag);
  if (precondition == Precondition::kHolds) return send_file(responder, answer, head);
  head.status = 304;
  responder.respond(head, {});
}

void FileServer::send_file(Responder& responder, StaticAnswer& answer, ResponseHead& head) const {
  const Request& request = responder.request();
  RangeSelection selection;
  // RFC 9110 14.2: for GET only.
  if (request.method() == "GET" && range_is_current(request, answer.validators, answer.now)) {
    selection = select_ranges(request.header("Range"), answer.size());
  }
  if (selection.status == RangeSelection::Status::kUnsatisfiable) {
    refuse(responder, 416, "The file has no such bytes.", unsatisfied_range(answer.size()));
    return;
  }
  // RFC 9110 8.8.2.1: not later than now.
  const std::string modified = http_date(std::min(answer.validators.modified, answer.now));
  head.content_type = answer.content_type;
  head.headers.emplace_back("Last-Modified", modified);
  head.headers.emplace_back("Accept-Ranges", "bytes");
  if (!answer.encoding.empty()) head.headers.emplace_back("Content-Encoding", answer.encoding);

  const auto file = std::make_shared<const UniqueFd>(std::move(answer.found.file));
  std::string text;  // what views in `head` point to
  std::string end;
  const std::vector<Responder::FilePart> parts = make_parts(selection, answer, head, text, end);
  responder.respond_with_file(head, file, parts, end);
}

}  // namespace websockets
