// SPDX-License-Identifier: MIT
// A client and a server of this library, each on a loop of its own.
#include "client/client_dials.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "client_fixture.h"
#include "context_fixture.h"
#include "dial/tls_client_contexts.h"
#include "made_certificate.h"
#include "temporary_folder.h"

namespace websockets {
namespace {

class ClientDialsTest : public ContextFixture {
 protected:
  ClientDialsTest() {
    const Error error = loop.open();
    EXPECT_FALSE(error) << error.text;
    tasks.emplace(loop);
    contexts.emplace(*tasks);
    dials.emplace(DialServices{loop, *tasks, *contexts});
    clients.emplace(loop, *dials, client_handler, static_cast<SessionHandler&>(client_handler));
    client_options.opening.protocols = {"chat"};
    client_options.proxy_use = ClientOptions::ProxyUse::kNone;
  }
  ~ClientDialsTest() override {
    client_handler.action = [](Client&, const std::string&) {};
    {
      const Loop::Round round(loop);
      clients->destroy();
    }
    loop.service(0);
    clients.reset();
    contexts.reset();
    tasks.reset();
  }

  std::string url(const std::string& scheme) const {
    return scheme + "://127.0.0.1:" + std::to_string(context->address(0).port()) + "/feed";
  }
  Client& connect() {
    Client& client = clients->connect(client_options, nullptr);
    client.set_user(&client);
    return client;
  }
  // Both of them, until this has happened to the client.
  void await(const std::string& event) {
    while (client_log.empty() || client_log.back() != event) {
      loop.service(1);
      context->service(1);
    }
  }

  FakeLoopOwner owner;
  Loop loop{{}, owner};
  std::optional<BackgroundTasks> tasks;
  std::optional<TlsClientContexts> contexts;
  std::optional<NetworkDials> dials;
  Log client_log;
  FakeClientHandler client_handler{client_log};
  ClientOptions client_options;
  std::optional<Clients> clients;
};

TEST_F(ClientDialsTest, AWebsocketOverTcp) {
  create();
  client_options.url = url("ws");
  Client& client = connect();
  client.send(Opcode::kText, true, as_bytes("hello"));
  await("message:hello");
  EXPECT_EQ(client.response()->protocol(), "chat");
  {
    const Loop::Round round(loop);
    client.close(CloseCode::kNormal, "bye");
  }
  await("freed");
  while (log.back() != "freed") context->service(1);
  EXPECT_EQ(log, (Log{"open", "message:hello", "closed 1000:bye", "freed"}));
  EXPECT_EQ(client_log, (Log{"open", "message:hello", "closed 1000 bye", "freed"}));
}

TEST_F(ClientDialsTest, AWebsocketOverTls) {
  const TemporaryFolder folder;
  const MadeCertificate certificate({.name = "server", .alternatives = "IP:127.0.0.1"});
  options.tls.files = {folder.path() + "/server.pem", folder.path() + "/server.pem"};
  certificate.write(options.tls.files.certificate);
  create();
  client_options.url = url("wss");
  client_options.tls.ca_path = folder.path() + "/trusted.pem";
  certificate.write(client_options.tls.ca_path, false);
  Client& client = connect();
  client.send(Opcode::kText, true, as_bytes("hello"));
  await("message:hello");
  EXPECT_EQ(client.certificate().describe().subject, "CN=server");
  {
    const Loop::Round round(loop);
    client.close(CloseCode::kNormal, {});
  }
  await("freed");
}

TEST_F(ClientDialsTest, ARefusal) {
  create();
  client_options.url = url("ws");
  context.reset();
  connect();
  while (client_log.empty()) loop.service(-1);
  EXPECT_EQ(client_log, (Log{"closed 1006 refused tcp", "freed"}));
  EXPECT_EQ(client_handler.failure.address, client_options.url.substr(5, client_options.url.rfind('/') - 5));
}

TEST_F(ClientDialsTest, ManyRoundsOfMessages) {
  create();
  client_options.url = url("ws");
  Client& client = connect();
  int rounds = 0;
  client_handler.action = [&](Client& its, const std::string& event) {
    if (event.rfind("message:", 0) != 0) return;
    client_log.clear();
    if (++rounds < 100) {
      its.send(Opcode::kText, true, as_bytes(std::to_string(rounds)));
    } else {
      its.close(CloseCode::kNormal, {});
    }
  };
  client.send(Opcode::kText, true, as_bytes("0"));
  await("freed");
  EXPECT_EQ(rounds, 100);
}

}  // namespace
}  // namespace websockets
