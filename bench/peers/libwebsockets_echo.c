// SPDX-License-Identifier: MIT
//
// Usage: libwebsockets_echo PORT [broadcast | compressed]
//
// Echoes, or with 'broadcast' sends each message to everyone, by libwebsockets. Messages are echoed whole, as a server
// that does something with them would do it. 'compressed': as the client offers it, by zlib's defaults. Prints its port
// when it can be connected to.

#include <libwebsockets.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What one read takes from the kernel at most; libwebsockets' default of 4 KiB makes large messages slow.
enum { kReceiveBytes = 256 << 10 };

struct message {
  size_t references;
  size_t size;
  size_t capacity;
  enum lws_write_protocol type;
  unsigned char bytes[];  // LWS_PRE bytes of room, then the message
};

struct entry {
  struct message* message;
  struct entry* next;
};

struct session {
  struct message* incoming;
  struct entry* first;
  struct entry** last;
  struct session* next;
  struct session* previous;
};

static bool is_broadcasting;
static struct session* sessions;

static void* check(void* pointer) {
  if (pointer == NULL) {
    fputs("out of memory\n", stderr);
    exit(1);
  }
  return pointer;
}

static void release(struct message* message) {
  if (--message->references == 0) free(message);
}

static void append(struct session* session, const void* bytes, size_t size, size_t more, bool is_binary) {
  struct message* message = session->incoming;
  if (message == NULL || message->size + size > message->capacity) {
    const size_t before = message != NULL ? message->size : 0;
    const size_t capacity = before + size + more;
    message = check(realloc(message, sizeof *message + LWS_PRE + capacity));
    if (before == 0) *message = (struct message){.type = is_binary ? LWS_WRITE_BINARY : LWS_WRITE_TEXT};
    message->capacity = capacity;
    session->incoming = message;
  }
  if (size > 0) memcpy(message->bytes + LWS_PRE + message->size, bytes, size);
  message->size += size;
}

static void queue(struct session* session, struct message* message) {
  struct entry* entry = check(malloc(sizeof *entry));
  *entry = (struct entry){.message = message};
  *session->last = entry;
  session->last = &entry->next;
  ++message->references;
}

static void drop_first(struct session* session) {
  struct entry* entry = session->first;
  session->first = entry->next;
  if (session->first == NULL) session->last = &session->first;
  release(entry->message);
  free(entry);
}

static void receive(struct lws* wsi, struct session* session, const void* bytes, size_t size) {
  append(session, bytes, size, lws_remaining_packet_payload(wsi), lws_frame_is_binary(wsi) != 0);
  if (lws_is_final_fragment(wsi) == 0 || lws_remaining_packet_payload(wsi) > 0) return;
  struct message* message = session->incoming;
  session->incoming = NULL;
  message->references = 1;
  if (is_broadcasting) {
    for (struct session* other = sessions; other != NULL; other = other->next) queue(other, message);
    lws_callback_on_writable_all_protocol(lws_get_context(wsi), lws_get_protocol(wsi));
  } else {
    queue(session, message);
    lws_callback_on_writable(wsi);
  }
  release(message);
}

// As many messages as the kernel takes.
static int send_queued(struct lws* wsi, struct session* session) {
  while (session->first != NULL) {
    struct message* message = session->first->message;
    // The header is written into the room before the message: the same one for every receiver.
    const int sent = lws_write(wsi, message->bytes + LWS_PRE, message->size, message->type);
    if (sent < (int)message->size) return -1;
    drop_first(session);
    if (session->first != NULL && lws_send_pipe_choked(wsi) != 0) {
      lws_callback_on_writable(wsi);
      break;
    }
  }
  return 0;
}

static void open_session(struct session* session) {
  *session = (struct session){.last = &session->first, .next = sessions};
  if (sessions != NULL) sessions->previous = session;
  sessions = session;
}

static void close_session(struct session* session) {
  if (session->previous != NULL) {
    session->previous->next = session->next;
  } else {
    sessions = session->next;
  }
  if (session->next != NULL) session->next->previous = session->previous;
  while (session->first != NULL) drop_first(session);
  free(session->incoming);
}

static int on_event(struct lws* wsi, enum lws_callback_reasons reason, void* user, void* bytes, size_t size) {
  switch (reason) {
    case LWS_CALLBACK_ESTABLISHED:
      open_session(user);
      // Fails when nothing is compressed.
      lws_set_extension_option(wsi, "permessage-deflate", "compression_level", "6");
      lws_set_extension_option(wsi, "permessage-deflate", "mem_level", "8");
      return 0;
    case LWS_CALLBACK_RECEIVE:
      receive(wsi, user, bytes, size);
      return 0;
    case LWS_CALLBACK_SERVER_WRITEABLE:
      return send_queued(wsi, user);
    case LWS_CALLBACK_CLOSED:
      close_session(user);
      return 0;
    default:
      return 0;
  }
}

int main(int argc, char** argv) {
  static const struct lws_protocols protocols[] = {{.name = "bench",
                                                    .callback = on_event,
                                                    .per_session_data_size = sizeof(struct session),
                                                    .rx_buffer_size = kReceiveBytes},
                                                   {0}};
  static const struct lws_extension extensions[] = {
      {"permessage-deflate", lws_extension_callback_pm_deflate, "permessage-deflate"}, {0}};
  if (argc < 2) return 2;
  is_broadcasting = argc > 2 && strcmp(argv[2], "broadcast") == 0;
  lws_set_log_level(LLL_ERR, NULL);
  struct lws_context_creation_info info = {0};
  info.port = atoi(argv[1]);
  info.iface = "127.0.0.1";
  info.protocols = protocols;
  info.pt_serv_buf_size = kReceiveBytes;
  if (argc > 2 && strcmp(argv[2], "compressed") == 0) info.extensions = extensions;
  struct lws_context* context = lws_create_context(&info);
  if (context == NULL) return 1;
  puts(argv[1]);
  fflush(stdout);
  while (lws_service(context, 0) >= 0) {
  }
  lws_context_destroy(context);
  return 0;
}
