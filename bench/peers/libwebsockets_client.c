// SPDX-License-Identifier: MIT
//
// Usage: libwebsockets_client PORT CONNECTIONS SIZE
//
// bench/client.lua by libwebsockets.

#include <libwebsockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kMostOpening = 64 };

static struct lws_context* context;
static int port;
static size_t connections;
static size_t size;

static unsigned char* payload;  // LWS_PRE bytes of room, then the message
static struct lws** opened;     // those whose first message is back
static size_t asked;
static size_t open_count;
static size_t unsent;
static size_t awaited;

static void* check(void* pointer) {
  if (pointer == NULL) {
    fputs("libwebsockets_client failed\n", stderr);
    exit(1);
  }
  return pointer;
}

static void send_one(struct lws* wsi) {
  if (unsent == 0) return;
  --unsent;
  lws_callback_on_writable(wsi);
}

static void exchange_more(void) {
  puts("done");
  fflush(stdout);
  if (scanf("%zu", &unsent) != 1) exit(0);
  awaited = unsent;
  for (size_t i = 0; i < open_count; ++i) send_one(opened[i]);
}

static void connect_one(void) {
  ++asked;
  struct lws_client_connect_info info = {0};
  info.context = context;
  info.address = "127.0.0.1";
  info.host = info.address;
  info.port = port;
  info.path = "/";
  info.protocol = "bench";
  check(lws_client_connect_via_info(&info));
}

static void on_message(struct lws* wsi) {
  if (awaited > 0) {
    --awaited;
    send_one(wsi);
  } else {
    opened[open_count++] = wsi;
    if (asked < connections) connect_one();
  }
  if (awaited == 0 && open_count == connections) exchange_more();
}

// The payload is masked where it is, by another key each time: it is filled with what is to be sent before.
static int write_one(struct lws* wsi) {
  memset(payload + LWS_PRE, 'x', size);
  return lws_write(wsi, payload + LWS_PRE, size, LWS_WRITE_BINARY) < (int)size ? -1 : 0;
}

static int on_event(struct lws* wsi, enum lws_callback_reasons reason, void* user, void* bytes, size_t count) {
  (void)user;
  (void)count;
  switch (reason) {
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
      lws_callback_on_writable(wsi);
      return 0;
    case LWS_CALLBACK_CLIENT_RECEIVE:
      if (lws_is_final_fragment(wsi) != 0 && lws_remaining_packet_payload(wsi) == 0) on_message(wsi);
      return 0;
    case LWS_CALLBACK_CLIENT_WRITEABLE:
      return write_one(wsi);
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
    case LWS_CALLBACK_CLIENT_CLOSED:
      fprintf(stderr, "closed: %s\n", bytes != NULL ? (const char*)bytes : "");
      exit(1);
    default:
      return 0;
  }
}

int main(int argc, char** argv) {
  static const struct lws_protocols protocols[] = {{.name = "bench", .callback = on_event}, {0}};
  if (argc < 4) return 2;
  port = atoi(argv[1]);
  connections = (size_t)atol(argv[2]);
  size = (size_t)atol(argv[3]);
  payload = check(malloc(LWS_PRE + size));
  opened = check(calloc(connections, sizeof(struct lws*)));
  lws_set_log_level(LLL_ERR, NULL);
  struct lws_context_creation_info info = {0};
  info.port = CONTEXT_PORT_NO_LISTEN;
  info.protocols = protocols;
  context = check(lws_create_context(&info));
  for (size_t i = 0; i < kMostOpening && i < connections; ++i) connect_one();
  while (lws_service(context, 0) >= 0) {
  }
  lws_context_destroy(context);
  return 0;
}
