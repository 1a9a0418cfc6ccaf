#!/usr/bin/env node
// SPDX-License-Identifier: MIT
// node's ws, and its http client, against our server. The interpreter is in the environment variable LUA, the module
// is found by LUA_CPATH, ws by NODE_PATH.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { on, once } from 'node:events';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';

import { run, startEchoServer } from './support.mjs';

const WebSocket = createRequire(import.meta.url)('ws'); // import does not look at NODE_PATH

const largeBytes = 5 * 2 ** 20;
const limitBytes = 8 * 2 ** 20; // max_message_size of echo_server.lua
const messageCount = 1000;
const connectionCount = 100;

const server = await startEchoServer();
const address = `ws://127.0.0.1:${server.port}/`;

async function open(protocols = [], options = {}) {
  const ws = new WebSocket(address, protocols, { perMessageDeflate: false, ...options });
  ws.messages = on(ws, 'message'); // from the beginning: none is missed
  ws.closed = once(ws, 'close').then(([code, reason]) => ({ code, reason: reason.toString() }));
  await once(ws, 'open');
  return ws;
}

// Text is a string again.
async function receive(ws) {
  const { value: [data, isBinary] } = await ws.messages.next();
  return isBinary ? data : data.toString();
}

async function echoed(ws, ...messages) {
  for (const message of messages) {
    ws.send(message);
    assert.deepEqual(await receive(ws), message);
  }
}

// A connection for one thing.
async function using(protocols, body) {
  const ws = await open(protocols);
  await body(ws);
  ws.close(1000);
  assert.equal((await ws.closed).code, 1000);
}

async function closedBy(protocol, sent, options) {
  const ws = await open(protocol);
  ws.on('error', () => {}); // that the server ends it without a Close frame may count as one
  ws.send(sent, options ?? {});
  return ws.closed;
}

async function request(agent, path, options = {}) {
  const { content, ...rest } = options;
  const sent = http.request({ host: '127.0.0.1', port: server.port, path, agent, ...rest });
  sent.end(content);
  const [response] = await once(sent, 'response');
  const parts = [];
  for await (const part of response) parts.push(part);
  return { status: response.statusCode, headers: response.headers, isReused: sent.reusedSocket,
    body: Buffer.concat(parts) };
}

const small = readFileSync(new URL('echo_server.lua', import.meta.url));

await run(server, {
  // --- Messages ---

  echoesText: () => using([], (ws) => echoed(ws, 'hello', 'Grüße, 世界, 🌍', 'NUL \0 inside', '\0')),

  echoesBinary: () => using([], (ws) =>
    echoed(ws, Buffer.from('hello'), Buffer.from([...Array(256).keys()]), Buffer.from([255, 254, 0]))),

  echoesEmptyMessages: () => using([], (ws) =>
    echoed(ws, '', Buffer.alloc(0), '', 'x', Buffer.alloc(0))),

  echoesEveryLengthAroundTheLimitsOfItsEncoding: () => using([], async (ws) => {
    for (const size of [1, 124, 125, 126, 127, 128, 65534, 65535, 65536, 65537, 131072]) {
      await echoed(ws, randomBytes(size), 'a'.repeat(size));
    }
  }),

  echoesLargeMessages: () => using([], (ws) =>
    echoed(ws, randomBytes(largeBytes), 'ä'.repeat(largeBytes / 2))),

  async refusesWhatIsLargerThanTheLimit() {
    await using([], (ws) => echoed(ws, Buffer.alloc(limitBytes)));
    assert.equal((await closedBy('echo', Buffer.alloc(limitBytes + 1))).code, 1009);
  },

  reassemblesFragments: () => using([], async (ws) => {
    for (const parts of [['one', '', ' two', ' three'], ['', ''], Array(500).fill('ä')]) {
      parts.forEach((part, index) => ws.send(part, { fin: index === parts.length - 1 }));
      assert.equal(await receive(ws), parts.join(''));
    }
    const parts = Array.from({ length: 50 }, () => randomBytes(largeBytes / 50));
    parts.forEach((part, index) => ws.send(part, { fin: index === parts.length - 1 }));
    assert.deepEqual(await receive(ws), Buffer.concat(parts));
  }),

  answersPingsBetweenFragments: () => using([], async (ws) => {
    for (const part of ['0', '1', '2', '3']) {
      ws.send(part, { fin: false });
      ws.ping(`after ${part}`);
      const [payload] = await once(ws, 'pong');
      assert.equal(payload.toString(), `after ${part}`);
    }
    ws.send('4', { fin: true });
    assert.equal(await receive(ws), '01234');
  }),

  fragmentsItsOwnMessages: () => using('command', async (ws) => {
    const pings = [];
    ws.on('ping', (payload) => pings.push(payload.toString()));
    for (const count of [1, 2, 100]) {
      ws.send(`fragments ${count}`);
      assert.equal(await receive(ws), Array.from({ length: count }, (_, index) => `${index + 1} `).join(''));
    }
    assert.deepEqual(pings, Array(1 + 99).fill('between'));
  }),

  echoesPipelinedMessagesInOrder: () => using([], async (ws) => {
    const messages = Array.from({ length: messageCount }, (_, index) => `${index} ` + 'x'.repeat(index % 300));
    for (const message of messages) ws.send(message);
    for (const message of messages) assert.equal(await receive(ws), message);
  }),

  echoesMessagesThatCrossEachOther: () => using([], async (ws) => {
    const messages = Array.from({ length: 100 }, (_, index) => randomBytes(index * 1000));
    for (const message of messages) ws.send(message);
    for (const message of messages) assert.deepEqual(await receive(ws), message);
  }),

  // --- Control frames ---

  answersPings: () => using([], async (ws) => {
    for (const payload of ['', 'ping', 'x'.repeat(125)]) {
      ws.ping(payload);
      assert.equal((await once(ws, 'pong'))[0].toString(), payload);
    }
    const pongs = on(ws, 'pong');
    for (let number = 0; number < 100; number++) ws.ping(`${number}`);
    for (let number = 0; number < 100; number++) {
      assert.equal((await pongs.next()).value[0].toString(), `${number}`);
    }
    ws.pong('unasked for');
    await echoed(ws, 'still there');
  }),

  takesTheAnswerToItsOwnPing: () => using('command', async (ws) => {
    for (const payload of ['hello', 'x'.repeat(125)]) {
      const pinged = once(ws, 'ping');
      ws.send(`ping ${payload}`);
      assert.equal((await pinged)[0].toString(), payload);
      assert.equal(await receive(ws), 'pinged');
    }
  }),

  tellsTheCodeAClientClosesWith: () => using('observer', async (observer) => {
    const told = [[1000, ''], [1000, 'done'], [1001, 'bye'], [3000, 'ä'.repeat(61)], [4999, ''], [undefined, undefined]];
    for (const [code, reason] of told) {
      const ws = await open('chat');
      assert.equal(await receive(observer), 'opened chat');
      ws.close(code, reason);
      assert.equal((await ws.closed).code, code ?? 1005);
      assert.equal(await receive(observer), `closed chat ${code ?? 1005} ${reason ?? ''}`);
    }
  }),

  tellsThatAClientWasLost: () => using('observer', async (observer) => {
    const ws = await open('chat');
    assert.equal(await receive(observer), 'opened chat');
    ws.terminate();
    assert.equal(await receive(observer), 'closed chat 1006 ');
  }),

  async closesWithACode() {
    assert.deepEqual(await closedBy('command', 'close'), { code: 1005, reason: '' });
    assert.deepEqual(await closedBy('command', 'close 1000'), { code: 1000, reason: '' });
    assert.deepEqual(await closedBy('command', 'close 1001 bye'), { code: 1001, reason: 'bye' });
    assert.deepEqual(await closedBy('command', 'close 4999 Grüße, two'), { code: 4999, reason: 'Grüße, two' });
    assert.equal((await closedBy('command', 'terminate')).code, 1006);
    assert.equal((await closedBy('command', 'fail')).code, 1011);
  },

  async refusesWhatIsInvalid() {
    assert.equal((await closedBy('echo', Buffer.from([0xc3, 0x28]), { binary: false })).code, 1007);
    assert.equal((await closedBy('echo', 'not masked', { mask: false })).code, 1002);
  },

  // --- Handshakes ---

  async choosesTheFirstKnownSubprotocol() {
    for (const [offered, chosen] of [[['echo'], 'echo'], [['unknown', 'command', 'echo'], 'command'],
      [['chat', 'echo'], 'chat'], [[], '']]) {
      await using(offered, async (ws) => assert.equal(ws.protocol, chosen));
    }
  },

  async refusesUnknownSubprotocols() {
    const ws = new WebSocket(address, ['unknown', 'Echo']);
    const [, response] = await once(ws, 'unexpected-response');
    assert.equal(response.statusCode, 400);
    let body = '';
    for await (const part of response) body += part;
    assert.notEqual(body, '');
  },

  async refusesOtherVersions() {
    const ws = new WebSocket(address, [], { protocolVersion: 8 });
    const [, response] = await once(ws, 'unexpected-response');
    assert.equal(response.statusCode, 426);
    assert.equal(response.headers['sec-websocket-version'], '13');
    response.resume();
  },

  async declinesExtensions() {
    const ws = await open([], { perMessageDeflate: true });
    assert.equal(ws.extensions, '');
    await echoed(ws, 'hello'.repeat(1000));
    ws.close();
    await ws.closed;
  },

  // --- Many connections ---

  async broadcastsToManyConnections() {
    const clients = await Promise.all(Array.from({ length: connectionCount }, () => open('chat')));
    clients.slice(0, 10).forEach((client, index) => client.send(`message ${index}`));
    const received = await Promise.all(clients.map(async (client) => {
      const messages = [];
      while (messages.length < 10) messages.push(await receive(client));
      return messages;
    }));
    assert.deepEqual([...received[0]].sort(), Array.from({ length: 10 }, (_, index) => `message ${index}`));
    for (const messages of received) assert.deepEqual(messages, received[0]);
    for (const client of clients) client.close();
    for (const client of clients) await client.closed;
  },

  // --- HTTP on the same port ---

  async answersManyRequestsOnOneConnection() {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    for (let number = 0; number < 20; number++) {
      const response = await request(agent, '/small');
      assert.equal(response.status, 200);
      assert.equal(response.isReused, number > 0);
      assert.deepEqual(response.body, small);
    }
    agent.destroy();
  },

  async keepsAConnectionAfterEveryKindOfAnswer() {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const content = randomBytes(100_000);
    const requests = [
      ['/missing', { method: 'GET' }, 404], ['/small', { method: 'HEAD' }, 200],
      ['/small', { method: 'POST', content }, 405], ['/small', { method: 'DELETE' }, 405],
      ['/missing', { method: 'PUT', content, headers: { 'Transfer-Encoding': 'chunked' } }, 404],
      ['/missing?query', { method: 'OPTIONS' }, 404], ['/small', { method: 'GET' }, 200]];
    for (const [index, [path, options, status]] of requests.entries()) {
      const response = await request(agent, path, options);
      assert.equal(response.status, status, `${options.method} ${path}`);
      assert.equal(response.isReused, index > 0, `${options.method} ${path}`);
      if (options.method !== 'HEAD') {
        assert.equal(response.body.length, Number(response.headers['content-length']));
      }
    }
    agent.destroy();
  },

  async closesAConnectionWhenItIsAskedTo() {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const response = await request(agent, '/small', { headers: { Connection: 'close' } });
    assert.equal(response.headers.connection, 'close');
    assert.equal((await request(agent, '/small')).isReused, false);
    agent.destroy();
  },

  async answersRequestsWhileWebsocketsTalk() {
    await using([], async (ws) => {
      const agent = new http.Agent({ keepAlive: true, maxSockets: 10 });
      const requests = Array.from({ length: 200 }, () => request(agent, '/small'));
      for (let number = 0; number < 200; number++) ws.send(`${number}`);
      for (let number = 0; number < 200; number++) assert.equal(await receive(ws), `${number}`);
      for (const response of await Promise.all(requests)) assert.deepEqual(response.body, small);
      agent.destroy();
    });
  },
});
