---@meta websockets
-- SPDX-License-Identifier: MIT
-- Annotations for editors (LuaCATS). docs/manual.md explains what is only named here.

---WebSocket servers and clients.
---@class websockets
---The name and version of the module.
---@field _VERSION string
---@field WRITE_TEXT 0
---@field WRITE_BINARY 1
---A further fragment of the message.
---@field WRITE_CONTINUATION 2
---Raw bytes, in on_http only.
---@field WRITE_HTTP 3
---@field WRITE_CLOSE 4
---@field WRITE_PING 5
---@field WRITE_PONG 6
---Added to a type: more fragments follow.
---@field WRITE_NO_FIN 64
---Added to a type: without effect in a server.
---@field WRITE_CLIENT_IGNORE_XOR_MASK 128
---Without effect.
---@field SERVER_OPTIONS_DEFEAT_CLIENT_MASK 1
---Without effect.
---@field SERVER_OPTION_DEFEAT_CLIENT_MASK 1
---A client needs a certificate that ssl_ca_path has signed.
---@field SERVER_OPTION_REQUIRE_VALID_OPENSSL_CLIENT_CERT 2
---canonical_hostname() is "unknown".
---@field SERVER_OPTION_SKIP_SERVER_CANONICAL_NAME 4
---@field POLLIN integer
---@field POLLOUT integer
---@field POLLERR integer
---@field POLLHUP integer
---@field CLOSE_NORMAL 1000
---@field CLOSE_GOING_AWAY 1001
---@field CLOSE_PROTOCOL_ERROR 1002
---@field CLOSE_UNSUPPORTED_DATA 1003
---Only in on_closed: the Close frame had no code.
---@field CLOSE_NO_STATUS 1005
---Only in on_closed: there was no Close frame.
---@field CLOSE_ABNORMAL 1006
---@field CLOSE_INVALID_PAYLOAD 1007
---@field CLOSE_POLICY_VIOLATION 1008
---@field CLOSE_MESSAGE_TOO_BIG 1009
---@field CLOSE_MANDATORY_EXTENSION 1010
---@field CLOSE_INTERNAL_ERROR 1011
---@field CLOSE_SERVICE_RESTART 1012
---@field CLOSE_TRY_AGAIN_LATER 1013
---@field CLOSE_BAD_GATEWAY 1014
---Never sent.
---@field CLOSE_TLS_HANDSHAKE 1015
local websockets = {}

---@alias websockets.Revents integer|"r"|"w"|"rw"

---PEM files.
---@class websockets.Certificate
---The certificate, and the chain behind it.
---@field ssl_cert_path? string
---@field ssl_cert_filepath? string the same
---@field ssl_private_key_path? string
---@field ssl_private_key_filepath? string the same

---How messages are compressed.
---@class websockets.Compression
---1 (fast) to 9 (small); 0: nothing that is sent is compressed. Default: 6.
---@field level? integer
---A message with fewer bytes is sent as it is. Default: 256.
---@field min_size? integer
---Whether messages may refer to those before them, which takes memory for each websocket. Default: false.
---@field context_takeover? boolean|{ server?: boolean, client?: boolean }
---What a compressor takes, besides 6 KB. Default: "256KB".
---@field memory? "3KB"|"4KB"|"8KB"|"16KB"|"32KB"|"64KB"|"128KB"|"256KB"
---9 to 15: the client's window has at most 2^n bytes. Default: 15.
---@field client_max_window_bits? integer

---A server of a cluster. The options ssl_… are those of connect().
---@class websockets.ClusterServer
---@field url string
---@field ssl_verify? boolean
---@field ssl_ca_path? string
---@field ssl_ca_filepath? string
---@field ssl_server_name? string
---@field ssl_cert_path? string
---@field ssl_cert_filepath? string
---@field ssl_private_key_path? string
---@field ssl_private_key_filepath? string
---@field ssl_pinned_keys? string[]

---Topics that remember what was published.
---@class websockets.HistoryOptions
---What their names begin with.
---@field topics string[]
---Messages that each of them remembers, at most. Default: 100.
---@field size? integer
---Seconds after which a topic is forgotten, if nothing was published. Default: 300.
---@field ttl? number
---Returns what is sent in place of the data, so that clients know their position.
---@field wrap? fun(data: string, position: string, topic: string): string

---@class websockets.SubscribeOptions
---In a cluster: a name for presence().
---@field presence? string|number
---Of a topic with a history: the position of the last message that the client has got.
---@field since? string
---Of a topic with a history: called before the first message. Recovered: what was missed since that position follows;
---else only what is new does, after this position, and why says why.
---@field on_ready? fun(ws: websockets.Websocket, recovered: boolean, position: string, why?: "trimmed"|"expired"|"epoch"|"beyond"|"malformed")

---The options of websockets.context(). Sizes are in bytes, times in seconds.
---@class websockets.Config: websockets.Certificate
---Name of a subprotocol -> what is called when a connection of it opens. At least one, unless it listens on nothing.
---@field protocols? table<string, fun(ws: websockets.Websocket)>
---For clients that ask for no subprotocol. Default: the only one there is.
---@field default_protocol? string
---A request that is not for a websocket. Default: 404.
---@field on_http? fun(ws: websockets.Websocket, uri: string)
---Decides which request becomes a websocket. Default: all that can.
---@field on_upgrade? fun(request: websockets.Request): boolean|integer|websockets.Request, any, string?
---Whether ws:request() has an answer as long as the websocket is open. Default: false.
---@field keep_request? boolean
---The pages that may open websockets, others get 403: "https://example.org", "https://*.example.org", "null", "file://", "*";
---"=text" is just that text. Default: all.
---@field origins? string[]
---A callback raised an error. Default: a line on stderr.
---@field on_error? fun(message: string, ws?: websockets.Websocket, worker?: integer)
---A client did not get what it came for, for logs; the reasons are those of stats().refused.
---@field on_refused? fun(reason: string, details: { address: string, status?: integer, message?: string, uri?: string, origin?: string, worker?: integer })
---Whether text that is not UTF-8 closes the connection. Default: true.
---@field utf8_check? boolean
---permessage-deflate (RFC 7692) for clients that offer it. Default: false.
---@field compression? boolean|websockets.Compression
---TCP port, 1 to 65535. Default: none.
---@field port? integer|string
---With port: the name of an interface, or one of its addresses. Default: all.
---@field interf? string
---"host:port", "[::1]:port", "eth0:port", "*:port", "unix:/path" or "fd:3". Port 0: any.
---@field listen? string[]
---Lets several processes listen on one port. Default: false.
---@field reuse_port? boolean
---The mode of the files of unix sockets. Default: 438 (octal 666).
---@field unix_mode? integer
---Addresses, networks and "unix" that may say who their client is. Default: none.
---@field trusted_proxies? string[]
---Whether what they send begins with a header of the PROXY protocol. Default: false.
---@field proxy_protocol? boolean
---How many processes will serve, by run(). Default: none.
---@field workers? integer|"auto"
---Redis, by which it reaches the contexts of other machines: its URL; or several of them, over which the topics are
---spread. Default: none.
---@field cluster? string|websockets.ClusterServer|(string|websockets.ClusterServer)[]
---What all names of channels and keys begin with. Default: "ws:".
---@field cluster_prefix? string
---Bytes that may wait for a server of the cluster. Default: 1048576.
---@field cluster_queue? integer
---Topics that remember what was published.
---@field history? websockets.HistoryOptions
---A server of the cluster is reached, or no longer; something that others have sent was lost here. In a worker also
---"gap", "worker 2": some of what that one has sent was lost here.
---@field on_cluster? fun(state: "up"|"down"|"gap", why: string)
---The user to become once everything is open; without a gid in its own group.
---@field uid? integer
---The group to become.
---@field gid? integer
---A sum of SERVER_OPTION constants. Default: 0.
---@field options? integer
---Close 1009 beyond. Default: 16777216.
---@field max_message_size? integer
---What may wait to be sent on a connection; write() fails beyond. Default: 16777216.
---@field max_backpressure? integer
---What becomes of receivers of a broadcast that have no room. Default: "close" (1013).
---@field backpressure_policy? "close"|"drop"
---431 beyond. Default: 8192.
---@field max_header_size? integer
---The content of an HTTP request: 413 beyond. Default: 1048576.
---@field max_body_size? integer
---The contents of all requests together: 503 beyond. Default: 67108864.
---@field max_body_memory? integer
---431 beyond. Default: 100.
---@field max_headers? integer
---What may wait in memory for all connections together: 1013 for those that have most. Default: 0, no limit.
---@field max_memory? integer
---{ messages per second, messages at once } of each websocket, or a number for both: Close 1008 beyond. Default: none.
---@field max_message_rate? number|number[]
---503 beyond. Default: 0, any number.
---@field max_connections? integer
---429 beyond; for each address. Default: 0, any number.
---@field max_connections_per_ip? integer
---For the head of a request to arrive: 408. Default: 10.
---@field handshake_timeout? number
---For the content of a request to make progress, 500 bytes a second: 408 beyond. Default: 30.
---@field body_timeout? number
---For the next request of a connection to begin. Default: 75.
---@field keepalive_timeout? number
---For a request that defer() was called for to be answered: 503 beyond. Default: 120.
---@field answer_timeout? number
---How long nothing may be received on a websocket: Close 1001. Default: 120; 0: no limit.
---@field idle_timeout? number
---A Ping frame is sent when nothing was received for so long. Default: 50; 0: never.
---@field ping_interval? number
---For a deferred request to be answered; 503 beyond. Default: 10.
---@field upgrade_timeout? number
---For an HTTP client to take more of its answer. Default: 60.
---@field send_timeout? number
---For the peer to end a closing connection. Default: 10.
---@field close_timeout? number
---For a forked process to take a broadcast. Default: 5.
---@field fork_busy_timeout? number
---PEM file: who may sign the certificates of clients, and their revocation lists.
---@field ssl_ca_path? string
---@field ssl_ca_filepath? string the same
---Name of a server, or *.name -> its certificate, for clients that ask for it; a name counts more than a pattern.
---@field ssl_names? table<string, websockets.Certificate>
---Watch this descriptor for reading from now on.
---@field on_add_fd? fun(fd: integer)
---Do not watch it any more.
---@field on_del_fd? fun(fd: integer)
---These two tell of one descriptor only, which stands for all. Default: false.
---@field one_fd? boolean

---A server.
---@class websockets.Context
local Context = {}

---Makes a server; raises "websocket could not create context: …".
---@param config websockets.Config
---@return websockets.Context
function websockets.context(config) end

---The options of websockets.static().
---@class websockets.StaticOptions
---What stands for a folder: the first one that is there. Default: "index.html".
---@field index? string|string[]|false
---For how many seconds a file may be kept without asking again. Default: nothing is said.
---@field max_age? number
---Further headers of all answers.
---@field headers? table<string, string|number|(string|number)[]>
---Suffix without the dot -> Content-Type.
---@field types? table<string, string>
---Whether FILE.br and FILE.gz are sent in place of FILE. Default: true.
---@field precompressed? boolean
---What is not there is left to the caller. Default: false.
---@field fallthrough? boolean
---Whether names with a dot in front are served. Default: false.
---@field dotfiles? boolean
---Whether links that stay beneath the folder are followed. Default: false.
---@field follow_symlinks? boolean

---Makes a handler for on_http that serves the files of a folder; raises "websocket could not serve a folder: …".
---@param root string
---@param options? websockets.StaticOptions
---@return fun(ws: websockets.Websocket, uri: string): boolean, nil|"closed"|"already answered"
function websockets.static(root, options) end

---Opens a websocket, in the context whose callback is running, else in the default one; raises
---"websocket could not connect: …" for wrong arguments only.
---@param url string|fun(ws: websockets.Websocket): string ws://, wss://, http://, https:// or ws+unix:/path:/uri
---@param options? websockets.ConnectOptions
---@return websockets.Websocket
function websockets.connect(url, options) end

---Serves the default context until nothing is left to wait for, stop(), SIGINT or SIGTERM.
---@param shutdown_seconds? number default: 5
---@return integer? status for os.exit(); nil: there is no descriptor left
---@return "done"|"stop"|"SIGINT"|"SIGTERM"|string why
---@return integer? code
function websockets.run(shutdown_seconds) end

---Waits so long, in a coroutine or outside of coroutines; 0: until the next round.
---@param seconds number
---@return true?
---@return nil|"cancelled" why
function websockets.sleep(seconds) end

---Makes a function for Config.protocols that runs fn in a coroutine for each websocket; its return closes with 1000, its
---error with 1011.
---@param fn fun(ws: websockets.Websocket)
---@return fun(ws: websockets.Websocket)
function websockets.handler(fn) end

---Serves everything that is outstanding.
---@param timeout_ms? number 0, the default: does not wait; below: waits without end
---@return 0
function Context:service(timeout_ms) end

---How a context is run.
---@class websockets.RunOptions
---How many processes serve; "auto": as many as processors. Default: that of the context, or none.
---@field workers? integer|"auto"
---For the clients to close. Default: 5.
---@field shutdown? number
---In each worker, before it accepts.
---@field on_worker? fun(id: integer, count: integer)
---In the process that has called run(): "exit 3", "signal 9 (Killed)", "hung", "failed: …".
---@field on_worker_exit? fun(id: integer, why: string)
---A worker whose loop does not turn for so long is killed. Default: 30; 0: never.
---@field hang_timeout? number
---For all websockets to be closed when a new version has taken the place. Default: 60.
---@field drain? number
---What starts a new version: for the shell, or a program and its arguments. Default: as it was started.
---@field command? string|string[]

---Serves until stop(), SIGINT or SIGTERM, then shuts down; the context is destroyed when it returns.
---@param options? number|websockets.RunOptions seconds for the shutdown, default: 5; or a table
---@return integer? status for os.exit(); nil: there is no descriptor left
---@return "stop"|"SIGINT"|"SIGTERM"|string why
---@return integer? code
function Context:run(options) end

---In a worker: its number, and how many there are.
---@return integer? id
---@return integer? count
function Context:worker() end

---Lets the innermost run() end.
function Context:stop() end

---Ends the server gracefully, in the background.
---@param timeout_seconds? number default: 5
---@param code? integer default: 1001
---@param reason? string
function Context:shutdown(timeout_seconds, code, reason) end

---Calls a function once, later.
---@param seconds number 0: in the next round
---@param fn fun(timer: websockets.Timer)
---@return websockets.Timer
function Context:after(seconds, fn) end

---Calls a function again and again.
---@param seconds number above 0
---@param fn fun(timer: websockets.Timer)
---@return websockets.Timer
function Context:every(seconds, fn) end

---Runs a function in a coroutine, which may wait; its error goes to on_error.
---@param fn fun(...: any): any ...
---@param ... any what it is called with
---@return websockets.Thread
function Context:spawn(fn, ...) end

---Gives data to every open websocket of a protocol.
---@param protocol string
---@param data string|number
---@return 0|-1
---@return nil|"busy"|"closed"|"too large" why "too large" in a worker, else only in a process that called fork_service_loop()
function Context:broadcast(protocol, data) end

---The open websockets, of all protocols or of one, or the clients: `for ws in context:websockets() do`.
---@param protocol? string|{ clients?: boolean }
---@return fun(): websockets.Websocket?
function Context:websockets(protocol) end

---Sends data to every websocket that is subscribed to a topic.
---@param topic string|number
---@param data string|number
---@param type? 0|1 WRITE_TEXT, the default, or WRITE_BINARY
---@return 0|-1
---@return integer|"busy"|"closed"|"too large"|"cluster down"|nil receivers or why
---@return "local only"|nil
function Context:publish(topic, data, type) end

---Asks a cluster for the names that subscriptions to a topic have as their presence.
---@param topic string|number
---@param fn fun(members: string[]|nil, message?: string, code?: integer)
function Context:presence(topic, fn) end

---Asks a cluster how many subscriptions to a topic there are, on all machines.
---@param topic string|number
---@param fn fun(count: integer|nil, message?: string, code?: integer)
function Context:count(topic, fn) end

---The topics, and how many subscribers each has.
---@return table<string, integer>
function Context:topics() end

---A server of a cluster, as stats() has it.
---@class websockets.ClusterStats
---@field server string
---@field up boolean
---@field queued_bytes integer
---@field commands integer
---@field messages integer
---@field dropped integer
---@field reconnects integer
---@field gaps integer
---@field probe_seconds number

---What stats() returns.
---@class websockets.Stats
---In a cluster.
---@field cluster? websockets.ClusterStats[]
---With workers: what each has; the other fields are sums.
---@field workers? websockets.Stats[]
---Of a worker.
---@field pid? integer
---@field open_connections integer
---@field connections integer
---@field http_requests integer
---@field messages_received integer
---@field messages_sent integer
---@field received_bytes integer
---@field sent_bytes integer
---@field queued_bytes integer
---@field queue_full integer
---@field topics integer
---@field subscriptions integer
---Name of a subprotocol -> websockets now, and ever.
---@field protocols table<string, { open: integer, opened: integer }>
---By close code.
---@field closed table<integer|"other", integer>
---By reason.
---@field refused table<string, integer>

---What was counted, and what is there now.
---@return websockets.Stats
function Context:stats() end

---The same as a text for Prometheus.
---@return string
function Context:metrics() end

---Calls a function; what it writes leaves afterwards, in one system call per connection.
---@param fn fun()
function Context:batch(fn) end

---As websockets.connect(), in this context.
---@param url string|fun(ws: websockets.Websocket): string
---@param options? websockets.ConnectOptions
---@return websockets.Websocket
function Context:connect(url, options) end

---Where it listens.
---@return string[]
function Context:addresses() end

---The name of this machine.
---@return string
function Context:canonical_hostname() end

---Serves one descriptor that on_add_fd told of.
---@param fd integer
---@param revents websockets.Revents only a hint
---@param ... websockets.Revents
---@return 0|1|-1 status 0: served, or not ours; 1: the connection was closed; -1: accepting failed
function Context:service_fd(fd, revents, ...) end

---A descriptor that is readable when service(0) has something to do.
---@return integer? fd
---@return string? message
---@return integer? code
function Context:pollfd() end

---The same as pollfd().
---@return integer? fd
---@return string? message
---@return integer? code
function Context:getfd() end

---What to watch pollfd() for.
---@return "r"
function Context:events() end

---In how many seconds service(0) has something to do even if pollfd() is not readable; nil: never.
---@return number?
function Context:timeout() end

---Forks a process that serves this context; there it does not return.
---@return 0|-1
---@return string? why
function Context:fork_service_loop() end

---Reads the files of the certificates again.
---@return true?
---@return string? message
---@return integer? code
function Context:reload_certificates() end

---Ends the server.
function Context:destroy() end

---Name -> value, or a list of values for headers that are repeated.
---@alias websockets.Headers table<string, string|number|(string|number)[]>

---The certificate of a client.
---@class websockets.ClientCertificate
---@field subject string as in RFC 2253
---@field issuer string as in RFC 2253
---@field serial string hexadecimal
---@field fingerprint string SHA-256, hexadecimal
---@field not_before number seconds since 1970
---@field not_after number seconds since 1970

---What a client has asked for. Stays readable.
---@class websockets.Request
---@field method string
---As it came.
---@field uri string
---Percent-decoded.
---@field path string
---Decoded; the last one of a name.
---@field query table<string, string>
---@field query_string string
---Names are found in any case.
---@field headers table<string, string>
---The first one of a name.
---@field cookies table<string, string>
---The subprotocols that the client offers.
---@field protocols string[]
---The one that was chosen.
---@field protocol? string
---@field body string
---@field http_version "1.0"|"1.1"
---@field host? string
---The numeric address of the client; "" on a unix socket.
---@field address string
---Whether the client uses TLS, or does so to a trusted proxy.
---@field is_secure boolean
---@field client_certificate? websockets.ClientCertificate
local Request = {}

---In on_upgrade: the answer will come later.
---@return websockets.Request
function Request:defer() end

---It becomes a websocket.
---@param headers? websockets.Headers
---@return true?
---@return nil|"closed"|"already answered" why
function Request:accept(headers) end

---It is refused.
---@param status? integer|false default: 403
---@param headers? websockets.Headers|string may be left out
---@param body? string
---@return true?
---@return nil|"closed"|"already answered" why
function Request:reject(status, headers, body) end

---How a client reconnects.
---@class websockets.Reconnect
---The most that the first attempt waits. Default: 1.
---@field delay? number
---By which that grows with each attempt. Default: 2.
---@field factor? number
---Up to this. Default: 60.
---@field max_delay? number
---Once it was open for so long, the delay begins anew. Default: 30.
---@field stable? number
---In a row; 0: any number. Default: 0.
---@field attempts? integer

---What a client keeps, to go on from there at its next opening.
---@class websockets.Resume
---Called with each message: the topic and the position that it carries, or nothing.
---@field topics fun(data: string, type: 0|1): topic: string?, position: string?

---The options of connect(). Sizes are in bytes, times in seconds.
---@class websockets.ConnectOptions
---Subprotocols, in the order of preference.
---@field protocols? string[]
---Whether an answer that chooses none of them fails. Default: true.
---@field protocol_required? boolean
---Further headers, or a function that is called before each attempt.
---@field headers? websockets.Headers|fun(ws: websockets.Websocket): websockets.Headers?
---@field cookies? table<string, string|number>
---@field origin? string
---The header Host. Default: the URL's.
---@field host? string
---@field user_agent? string
---How many are followed. Default: 0.
---@field redirects? integer
---From the call to its being open. Default: 30.
---@field connect_timeout? number
---A Ping frame is sent when nothing was received for so long. Default: 50; 0: never.
---@field ping_interval? number
---How long nothing may be received. Default: 120; 0: no limit.
---@field idle_timeout? number
---For the peer to end a closing connection. Default: 10.
---@field close_timeout? number
---Close 1009 beyond. Default: 16777216.
---@field max_message_size? integer
---What may wait to be sent. Default: 16777216.
---@field max_backpressure? integer
---What may wait for receive() before reading stops; one message always fits. Default: 65536.
---@field receive_buffer? integer
---permessage-deflate (RFC 7692). Default: false.
---@field compression? boolean|websockets.Compression
---"http://user:password@host:port", "https://…", "socks5h://…"; false: none. Default: what the environment says.
---@field proxy? string|false
---The path of a socket, in place of the URL's host.
---@field unix? string
---An address, in place of the URL's host.
---@field address? string
---By which interface, or address of this machine, it connects.
---@field interf? string
---Whether the server's certificate has to be valid. Default: true.
---@field ssl_verify? boolean
---PEM file, or folder: whom to trust. Default: the system's.
---@field ssl_ca_path? string
---@field ssl_ca_filepath? string the same
---The name that the certificate has to have. Default: the host.
---@field ssl_server_name? string
---PEM file: your own certificate.
---@field ssl_cert_path? string
---@field ssl_cert_filepath? string the same
---PEM file: its key. Default: in the same file.
---@field ssl_private_key_path? string
---@field ssl_private_key_filepath? string the same
---"sha256//" and a digest in base64, of which the server's key has to have one.
---@field ssl_pinned_keys? string[]
---Whether, and how, it is opened again. Default: false.
---@field reconnect? boolean|websockets.Reconnect
---Keeps the last position of each topic. Default: nothing is kept.
---@field resume? websockets.Resume

---The answer that has opened a client.
---@class websockets.Response
---@field status integer
---Where that was, after redirects.
---@field url string
---Names are found in any case.
---@field headers table<string, string>
---@field protocol? string
---Of the server.
---@field certificate? websockets.ClientCertificate

---Why a client is not open. tostring() is the message.
---@class websockets.Failure
---@field kind "dns"|"refused"|"unreachable"|"timeout"|"tls"|"proxy"|"http"|"handshake"|"lost"|"closed"|"cancelled"
---@field phase? "name"|"tcp"|"proxy"|"tls"|"http"|"open"
---@field message string
---The system's number of the error.
---@field code? integer
---@field close_code? integer
---The last one that was tried.
---@field address? string
---Of the answer.
---@field status? integer
---@field headers? table<string, string>
---@field body? string

---What after() and every() return.
---@class websockets.Timer
local Timer = {}

---It will not be called any more.
---@return boolean was_pending
function Timer:cancel() end

---A coroutine of Context:spawn(). getmetatable() is its name, "websockets.thread".
---@class websockets.Thread
local Thread = {}

---Waits until it has ended; true, and what its function has returned.
---@param seconds? number default: without end
---@return true?
---@return any ... the first result; or "timeout", "cancelled", or "failed" and the error
function Thread:join(seconds) end

---Ends its wait, or else its next one, which returns nil, "cancelled".
---@return boolean is_going_on
function Thread:cancel() end

---@return "waiting"|"running"|"suspended"|"ended"
function Thread:status() end

---A connection, of a server or a client. Has any fields of its own.
---@class websockets.Websocket
---@field [any] any
local Websocket = {}

---Sends a message, or a part of one.
---@param data string|number
---@param type? integer a WRITE constant; default: WRITE_TEXT
---@return 0|-1
---@return nil|"closed"|"queue full"|"already answered"|"reconnecting" why
function Websocket:write(data, type) end

---Gives data to every open websocket of the same protocol.
---@param data string|number
---@return 0|-1
---@return nil|"closed"|"too large" why
---@return "local only"|nil
function Websocket:broadcast(data) end

---From now on it gets what is published to a topic.
---@param topic string|number
---@param options? websockets.SubscribeOptions
---@return true?
---@return nil|"closed" why
function Websocket:subscribe(topic, options) end

---@param topic string|number
---@return boolean? was_subscribed
---@return nil|"closed" why
function Websocket:unsubscribe(topic) end

---Sends data to every other websocket that is subscribed to a topic.
---@param topic string|number
---@param data string|number
---@param type? 0|1 WRITE_TEXT, the default, or WRITE_BINARY
---@return 0|-1
---@return integer|"closed"|"too large"|"cluster down"|nil receivers or why
---@return "local only"|nil
function Websocket:publish(topic, data, type) end

---The topics that it is subscribed to.
---@return string[]
function Websocket:topics() end

---Whole messages; type is WRITE_TEXT or WRITE_BINARY.
---@param fn fun(ws: websockets.Websocket, data: string, type: 0|1)
function Websocket:on_receive(fn) end

---Waits for a message: data and type, or nil and why not; behind "closed" the code, the reason and the failure.
---@param seconds? number default: without end; 0: what is there
---@return string? data
---@return 0|1|"timeout"|"cancelled"|"closed" type_or_why
---@return integer? code
---@return string? reason
---@return websockets.Failure? failure
function Websocket:receive(seconds) end

---An iterator of receive(): `for data, type in ws:messages() do`. In Lua 5.1 not in coroutines.
---@return fun(ws: websockets.Websocket): string?, 0|1|string
---@return websockets.Websocket
function Websocket:messages() end

---Waits until a client is open.
---@param seconds? number default: without end
---@return true?
---@return nil|"timeout"|"cancelled"|"closed" why
---@return integer? code
---@return string? reason
---@return websockets.Failure? failure
function Websocket:wait_open(seconds) end

---Waits until no more than so many bytes wait to be sent.
---@param bytes? number default: 0
---@param seconds? number default: without end
---@return true?
---@return nil|"timeout"|"cancelled"|"reconnecting"|"closed" why
---@return integer? code
---@return string? reason
---@return websockets.Failure? failure
function Websocket:drain(bytes, seconds) end

---Waits until it is closed, what was queued has left, and the closing handshake is over.
---@param seconds? number default: without end
---@return true?
---@return integer|"timeout"|"cancelled" code_or_why
---@return string? reason
---@return websockets.Failure? failure
function Websocket:wait_closed(seconds) end

---What on_closed was given; nothing before.
---@return integer? code
---@return string? reason
---@return websockets.Failure? failure
function Websocket:close_status() end

---Messages in pieces, as they arrive.
---@param fn fun(ws: websockets.Websocket, data: string, is_last: boolean, type: 0|1)
function Websocket:on_receive_chunk(fn) end

---The end, exactly once.
---@param fn fun(ws: websockets.Websocket, code: integer, reason: string, failure?: websockets.Failure)
function Websocket:on_closed(fn) end

---A client has opened. Positions: of one with the option resume.
---@param fn fun(ws: websockets.Websocket, response: websockets.Response, positions?: table<string, string>)
function Websocket:on_open(fn) end

---The answer that has opened a client.
---@return websockets.Response?
function Websocket:response() end

---What a client with the option resume has got: topic -> the last position.
---@return table<string, string>?
function Websocket:positions() end

---A client will make another attempt; false: no, a number: in so many seconds.
---@param fn fun(ws: websockets.Websocket, seconds: number, failure: websockets.Failure): false|number|nil
function Websocket:on_retry(fn) end

---Closes a client that reconnects, and makes another attempt at once.
---@param code? integer default: 1000
---@param reason? string
---@return boolean
function Websocket:reopen(code, reason) end

---How a broadcast is handled; WRITE_TEXT, the default, and WRITE_BINARY forward it.
---@param handler 0|1|fun(ws: websockets.Websocket, data: string)
function Websocket:on_broadcast(handler) end

---Everything that waited has left.
---@param fn fun(ws: websockets.Websocket)
function Websocket:on_server_writeable(fn) end

---Closes it; on_closed is called before this returns.
---@param code? integer
---@param reason? string
function Websocket:close(code, reason) end

---Drops the connection.
function Websocket:terminate() end

---Sends a Ping frame.
---@param data? string|number at most 125 bytes; default: ""
---@return 0|-1
---@return nil|"closed"|"queue full"|"reconnecting" why
function Websocket:ping(data) end

---A Pong frame has come; seconds: since its ping() was called, nil when there was none.
---@param fn fun(ws: websockets.Websocket, data: string, seconds?: number)
function Websocket:on_pong(fn) end

---The context that it is of; nil when that is collected.
---@return websockets.Context?
function Websocket:context() end

---The name of its subprotocol; nil in on_http, and once it is closed.
---@return string?
function Websocket:protocol() end

---@return "open"|"closing"|"closed"|"http"|"connecting"|"reconnecting"
function Websocket:state() end

---@return integer fd -1: closed
function Websocket:get_socket_fd() end

---@return string name "" while unknown
---@return string ip "" when closed, and on a unix socket
function Websocket:get_peer_addresses() end

---How many bytes of the current frame are still to come.
---@return integer
function Websocket:remaining_packet_payload() end

---The request that it was; nil when there is none any more.
---@return websockets.Request?
function Websocket:request() end

---How many bytes wait to be sent.
---@return integer
function Websocket:buffered_amount() end

---Switches reading off or on.
---@param enable boolean|number
---@return 0|1 status 1: closed
function Websocket:rx_flow_control(enable) end

---Context:service_fd() on its own descriptor.
---@param revents websockets.Revents
---@param ... websockets.Revents
---@return 0|1
function Websocket:service(revents, ...) end

---In on_http: answers with a file.
---@param filename string
---@param content_type string
---@return 0|-1
---@return nil|"not found"|"already answered"|"closed" why
function Websocket:serve_http_file(filename, content_type) end

---Answers a request, in on_http or after defer().
---@param status integer 200 to 599
---@param headers? table<string, string|number|(string|number)[]> a list: the header is repeated
---@param body? string|number text/plain unless a Content-Type says what it is
---@return 0|-1
---@return nil|"already answered"|"closed" why
function Websocket:respond(status, headers, body) end

---In on_http: the answer will come later.
function Websocket:defer() end

return websockets
