// SPDX-License-Identifier: MIT
#include "lua/client_tls_options.h"

#include "lua/option_reader.h"
#include "net/public_key_pins.h"

namespace websockets::lua {

void read_client_tls(OptionReader& reader, TlsClientOptions& tls) {
  reader.read_boolean("ssl_verify", tls.verify);
  reader.read_text("ssl_ca_filepath", tls.ca_path);
  reader.read_text("ssl_ca_path", tls.ca_path);
  reader.read_text("ssl_server_name", tls.server_name);
  reader.read_text("ssl_cert_filepath", tls.files.certificate);
  reader.read_text("ssl_cert_path", tls.files.certificate);
  reader.read_text("ssl_private_key_filepath", tls.files.private_key);
  reader.read_text("ssl_private_key_path", tls.files.private_key);
  reader.read_texts("ssl_pinned_keys", "a list of pins: 'sha256//' and a digest in base64", [&](const char* text) {
    tls.pinned_keys.emplace_back(text);
    return static_cast<bool>(PublicKeyPins::parse({text}));
  });
}

void check_client_tls(OptionReader& reader, const TlsClientOptions& tls) {
  if (!tls.files.private_key.empty() && tls.files.certificate.empty()) {
    reader.raise_text("ssl_private_key_path needs ssl_cert_path");
  }
}

}  // namespace websockets::lua
