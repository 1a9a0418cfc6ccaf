#!/usr/bin/env node
// SPDX-License-Identifier: MIT
// permessage-deflate (RFC 7692): node's ws against our server, with every choice of both sides. The interpreter is in
// the environment variable LUA, the module is found by LUA_CPATH, ws by NODE_PATH.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { on, once } from 'node:events';
import { createRequire } from 'node:module';

import { run, startEchoServer } from './support.mjs';

const WebSocket = createRequire(import.meta.url)('ws'); // import does not look at NODE_PATH

const allBits = [9, 10, 11, 12, 13, 14, 15];
const sizes = [1, 2, 125, 126, 600, 5000, 40_000, 70_000, 300_000];
const limitBytes = 8 * 2 ** 20; // max_message_size of echo_server.lua

// Words come again at all distances, so that every window is made use of.
let seed = 7692;
const random = (below) => (seed = (seed * 16807) % 2147483647) % below;
const words = Array.from({ length: 500 }, () => random(36 ** 6).toString(36));
const text = Array.from({ length: 60_000 }, () => words[random(words.length)]).join(' ');
const noise = randomBytes(300_000);

async function withServer(compression, body) {
  process.env.COMPRESSION = compression;
  const server = await startEchoServer();
  try {
    return await body(server.port);
  } finally {
    server.process.kill('SIGKILL');
  }
}

async function open(port, perMessageDeflate = true) {
  const ws = new WebSocket(`ws://127.0.0.1:${port}/`, [], { perMessageDeflate });
  ws.messages = on(ws, 'message');
  ws.closed = once(ws, 'close');
  const upgraded = once(ws, 'upgrade');
  await once(ws, 'open');
  const [response] = await upgraded;
  ws.answer = response.headers['sec-websocket-extensions'];
  return ws;
}

async function expectEcho(ws, message) {
  const { value: [data, isBinary] } = await ws.messages.next();
  assert.deepEqual(isBinary ? data : data.toString(), message);
}

async function close(ws) {
  ws.close(1000);
  assert.equal((await ws.closed)[0], 1000);
}

// All kinds of messages, whole and in three fragments; returns the server's answer to the offer.
async function talk(port, perMessageDeflate) {
  const ws = await open(port, { threshold: 0, ...perMessageDeflate });
  for (const size of sizes) {
    const start = random(text.length - size);
    for (const message of [text.slice(start, start + size), noise.subarray(0, size), '']) {
      ws.send(message);
      await expectEcho(ws, message);
      const cut = Math.floor(size / 3);
      ws.send(message.slice(0, cut), { fin: false });
      ws.ping('between');
      ws.send(message.slice(cut, 2 * cut), { fin: false });
      ws.send(message.slice(2 * cut), { fin: true });
      await expectEcho(ws, message);
    }
  }
  await close(ws);
  return ws.answer;
}

const options = (takeover, more = '') =>
  `{ min_size = 1, context_takeover = { server = ${takeover[0]}, client = ${takeover[1]} }, ${more} }`;
const takeovers = [[true, true], [true, false], [false, true], [false, false]];

process.setMaxListeners(0); // each server of startEchoServer has two
const main = await startEchoServer();

await run(main, {
  async takesOverAsBothAgree() {
    for (const ours of takeovers) {
      await withServer(options(ours), async (port) => {
        for (const theirs of takeovers) {
          const answer = await talk(port,
            { serverNoContextTakeover: !theirs[0] || undefined, clientNoContextTakeover: !theirs[1] || undefined });
          assert.equal(answer.includes('server_no_context_takeover'), !(ours[0] && theirs[0]), answer);
          assert.equal(answer.includes('client_no_context_takeover'), !(ours[1] && theirs[1]), answer);
        }
      });
    }
  },

  async hasTheWindowsThatTheClientAsksFor() {
    for (const takeover of [takeovers[0], takeovers[3]]) {
      await withServer(options(takeover), async (port) => {
        for (const bits of allBits) {
          const answer = await talk(port, { serverMaxWindowBits: bits, clientMaxWindowBits: bits });
          assert.match(answer, new RegExp(`server_max_window_bits=${bits}\\b`));
        }
      });
    }
  },

  async hasTheWindowsThatTheServerChooses() {
    for (const [memory, bits] of [['3KB', 9], ['8KB', 10], ['32KB', 12], ['128KB', 14]]) {
      await withServer(options([true, true], `memory = '${memory}', client_max_window_bits = ${bits}`),
        async (port) => {
          const answer = await talk(port, {});
          assert.match(answer, new RegExp(`server_max_window_bits=${bits}; client_max_window_bits=${bits}\\b`));
        });
    }
  },

  declinesTooSmallAWindow: () => withServer('true', async (port) => {
    const ws = await open(port, { serverMaxWindowBits: 8 });
    assert.equal(ws.answer, undefined);
    ws.send(text);
    await expectEcho(ws, text);
    await close(ws);
  }),

  limitsWhatAMessageBecomes: () => withServer('true', async (port) => {
    const ws = await open(port);
    ws.send(Buffer.alloc(limitBytes));
    await expectEcho(ws, Buffer.alloc(limitBytes));
    ws.on('error', () => {});
    ws.send(Buffer.alloc(limitBytes + 1));
    assert.equal((await ws.closed)[0], 1009);
  }),

  echoesManyMessagesThatCrossEachOther: () => withServer(options([true, true]), async (port) => {
    const ws = await open(port, { threshold: 0 });
    const messages = Array.from({ length: 300 }, () => text.slice(random(1000), 1000 + random(3000)));
    for (const message of messages) ws.send(message);
    for (const message of messages) await expectEcho(ws, message);
    await close(ws);
  }),
});
