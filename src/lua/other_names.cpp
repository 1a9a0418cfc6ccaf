// SPDX-License-Identifier: MIT
#include "lua/other_names.h"

#include <algorithm>
#include <cstddef>
#include <iterator>

#include "lua/near_miss.h"

namespace websockets::lua {
namespace {

struct Name {
  const char* name;
  const char* ours;
};

constexpr const char* kReceive = "ws:on_receive(fn)";
constexpr const char* kOpen = "the function of its protocol, which is called when it opens";
constexpr const char* kClosed = "ws:on_closed(fn)";
constexpr const char* kDrained = "ws:on_server_writeable(fn)";

// Events, also ours.
constexpr Name kEvents[] = {
    {"on_message", kReceive},
    {"on_data", kReceive},
    {"on_text", kReceive},
    {"on_binary", kReceive},
    {"on_receive", kReceive},
    {"on_receive_chunk", "ws:on_receive_chunk(fn)"},
    {"on_open", kOpen},
    {"on_opened", kOpen},
    {"on_connect", kOpen},
    {"on_connected", kOpen},
    {"on_connection", kOpen},
    {"on_close", kClosed},
    {"on_closed", kClosed},
    {"on_disconnect", kClosed},
    {"on_disconnected", kClosed},
    {"on_end", kClosed},
    {"on_error", "on_error of websockets.context"},
    {"on_broadcast", "ws:on_broadcast(fn)"},
    {"on_retry", "ws:on_retry(fn)"},
    {"on_reconnect", "ws:on_retry(fn)"},
    {"on_reconnecting", "ws:on_retry(fn)"},
    {"on_ping", "ws:on_pong(fn), as pings are answered without a word"},
    {"on_pong", "ws:on_pong(fn)"},
    {"on_drain", kDrained},
    {"on_drained", kDrained},
    {"on_writable", kDrained},
    {"on_writeable", kDrained},
    {"on_server_writeable", kDrained},
};

constexpr const char* kListen = "'listen' or, with 'port', 'interf'";
constexpr const char* kCertificate = "'ssl_cert_path'";
constexpr const char* kPrivateKey = "'ssl_private_key_path'";
constexpr const char* kTls = "'ssl_cert_path' and 'ssl_private_key_path'";
constexpr const char* kRate = "'max_message_rate'";

constexpr Name kOptions[] = {
    {"host", kListen},
    {"hostname", kListen},
    {"address", kListen},
    {"addr", kListen},
    {"bind", kListen},
    {"ssl_certificate", kCertificate},
    {"ssl_cert", kCertificate},
    {"certificate", kCertificate},
    {"cert", kCertificate},
    {"ssl_certificate_key", kPrivateKey},
    {"ssl_key", kPrivateKey},
    {"ssl_key_path", kPrivateKey},
    {"private_key", kPrivateKey},
    {"key", kPrivateKey},
    {"tls", kTls},
    {"ssl", kTls},
    {"allowed_origins", "'origins'"},
    {"cors", "'origins'"},
    {"trusted_proxy", "'trusted_proxies'"},
    {"max_payload", "'max_message_size'"},
    {"max_clients", "'max_connections'"},
    {"max_connections_ip", "'max_connections_per_ip'"},
    {"rate_limit", kRate},
    {"message_rate", kRate},
    {"max_rate", kRate},
    {"on_request", "'on_http'"},
    // The module, or that of an adapter, is in the place of the config.
    {"context", "to call context(config) with '.', not with ':'"},
};

constexpr const char* kVerify = "'ssl_verify'";
constexpr const char* kConnectTimeout = "'connect_timeout'";

constexpr Name kConnectOptions[] = {
    {"subprotocols", "'protocols'"},
    {"subprotocol", "'protocols'"},
    {"timeout", kConnectTimeout},
    {"open_timeout", kConnectTimeout},
    {"handshake_timeout", kConnectTimeout},
    {"rejectUnauthorized", kVerify},
    {"verify", kVerify},
    {"insecure", kVerify},
    {"ca", "'ssl_ca_path'"},
    {"ca_file", "'ssl_ca_path'"},
    {"ssl_certificate", kCertificate},
    {"certificate", kCertificate},
    {"cert", kCertificate},
    {"ssl_key", kPrivateKey},
    {"private_key", kPrivateKey},
    {"key", kPrivateKey},
    {"sni", "'ssl_server_name'"},
    {"servername", "'ssl_server_name'"},
    {"http_proxy", "'proxy'"},
    {"follow_redirects", "'redirects'"},
    {"max_payload", "'max_message_size'"},
    {"max_size", "'max_message_size'"},
    {"perMessageDeflate", "'compression'"},
    {"auto_reconnect", "'reconnect'"},
    {"retry", "'reconnect'"},
    {"interface", "'interf'"},
    {"local_address", "'interf'"},
};

template <std::size_t Count>
const char* find(const Name (&names)[Count], std::string_view name) {
  const auto* const found = std::find_if(std::begin(names), std::end(names),
                                         [&](const Name& other) { return is_same_name(name, other.name); });
  return found == std::end(names) ? nullptr : found->ours;
}

}  // namespace

const char* find_event(std::string_view name) { return find(kEvents, name); }

const char* find_client_event(std::string_view name) {
  const char* const event = find_event(name);
  return event == kOpen ? "ws:on_open(fn)" : event;
}

const char* find_connect_option(std::string_view name) {
  const char* const option = find(kConnectOptions, name);
  return option != nullptr ? option : find_client_event(name);
}

const char* find_option(std::string_view name) {
  const char* const option = find(kOptions, name);
  return option != nullptr ? option : find_event(name);
}

}  // namespace websockets::lua
