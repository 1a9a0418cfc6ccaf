// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "files/directory.h"

namespace websockets {

class Responder;
struct ResponseHead;
struct StaticAnswer;

struct StaticOptions {
  bool shows_hidden = false;                               // names with a dot in front
  bool follows_links = false;                              // beneath the directory
  bool falls_through = false;                              // what is not there is left to the caller
  bool has_compressed = true;                              // FILE.br and FILE.gz beside FILE are sent in its place
  std::vector<std::string> index = {"index.html"};         // what stands for a directory: the first that is there
  std::vector<std::pair<std::string, std::string>> types;  // suffix, Content-Type; before those that are known
  std::string header_lines;                                // of every answer: see ResponseHead
  std::string cache_control;                               // of those that are a file, or stand for it; "": none
};

// Serves the files of one directory over HTTP: GET and HEAD (RFC 9110).
class FileServer {
 public:
  StaticOptions options;  // until open()

  Error open(const std::string& root);
  // Answers the request as if it were for this target. False: it did not, as there is no such file and the options say
  // so.
  bool answer(Responder& responder, std::string_view target) const;

 private:
  Directory::Found find(std::string& path, bool is_directory) const;
  void choose_encoding(std::string_view accept_encoding, const std::string& path, StaticAnswer& answer) const;
  std::string_view type_of(std::string_view path) const;
  bool refuse(Responder& responder, int status, std::string_view text, std::string_view header_value = {}) const;
  void redirect(Responder& responder, std::string_view target) const;
  ResponseHead make_head() const;
  void send_content(Responder& responder, const StaticAnswer& answer) const;
  void send(Responder& responder, StaticAnswer& answer) const;
  void send_file(Responder& responder, StaticAnswer& answer, ResponseHead& head) const;
  Directory::Links links() const {
    return options.follows_links ? Directory::Links::kFollowed : Directory::Links::kRefused;
  }

  std::optional<Directory> directory_;
};

}  // namespace websockets
