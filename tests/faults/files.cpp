// SPDX-License-Identifier: MIT
// Files, and the contents of requests.
#include <fstream>
#include <sstream>

#include "scenarios.h"

namespace websockets::faults {
namespace {

std::string request(std::string_view target, std::string_view headers = {}) {
  return std::string("GET ").append(target).append(" HTTP/1.1\r\nHost: x\r\n").append(headers).append("\r\n");
}

void act(Play& play) {
  std::stringstream file;
  file << std::ifstream(SERVERS "/files.lua").rdbuf();
  const std::string all = file.str();
  Client& files = play.connect();
  files.expect({"200:" + all, "200:" + all, "206:" + all.substr(5, 10)});
  files.send(request("/file"));
  files.send(request("/files.lua"));
  play.serve();
  files.send(request("/files.lua", "Range: bytes=5-14\r\n"));
  play.serve();

  Client& bodies = play.connect();
  const std::string body(9000, 'x');
  bodies.expect({"200:" + body, "200:one two"});
  bodies.send("POST /body HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9000\r\n\r\n");
  play.serve(3);
  bodies.send(body.substr(0, 4000));
  play.serve(3);
  bodies.send(body.substr(4000));
  play.serve(3);
  bodies.send("POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none \r\n");
  play.serve(3);
  bodies.send(std::string_view("3\r\ntwo\r\n0\r\n\r\n"));
  play.serve(3);
}

}  // namespace

const Scenario kFiles = {"files", "files", act, {{"request", 5}}};

}  // namespace websockets::faults
