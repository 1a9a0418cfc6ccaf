#!/usr/bin/env node
// SPDX-License-Identifier: MIT
// node's ws, and its https client, against our server over TLS. The interpreter is in the environment variable LUA, the
// module is found by LUA_CPATH, ws by NODE_PATH.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import https from 'node:https';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { run, startEchoServer } from './support.mjs';

const WebSocket = createRequire(import.meta.url)('ws'); // import does not look at NODE_PATH

const folder = mkdtempSync(join(tmpdir(), 'node_tls-'));
process.on('exit', () => rmSync(folder, { recursive: true }));
const makeCertificates = fileURLToPath(new URL('../../script/demo-certificate', import.meta.url));
for (const name of ['ours', 'theirs']) execFileSync(makeCertificates, [join(folder, name)]);
const read = (...path) => readFileSync(join(folder, ...path));

const openServer = await startEchoServer('/dev/null', join(folder, 'ours'));
const strictServer = await startEchoServer('/dev/null', join(folder, 'ours'), 'client');

const versions = ['TLSv1.2', 'TLSv1.3'];

function options(version, client) {
  return {
    ca: read('ours', 'ca.pem'),
    minVersion: version,
    maxVersion: version,
    ...(client && { cert: read(client, 'client.pem'), key: read(client, 'client.key') }),
  };
}

async function echoed(server, settings) {
  const ws = new WebSocket(`wss://localhost:${server.port}/`, { perMessageDeflate: false, ...settings });
  await once(ws, 'open');
  for (const sent of [randomBytes(1), randomBytes(5 * 2 ** 20), Buffer.alloc(0), randomBytes(70000)]) {
    ws.send(sent);
    const [data] = await once(ws, 'message');
    assert.ok(data.equals(sent));
  }
  ws.close(1000);
  assert.equal((await once(ws, 'close'))[0], 1000);
}

const checks = {
  async echoesInBothVersions() {
    for (const version of versions) await echoed(openServer, options(version));
  },

  async hasManyConnections() {
    await Promise.all(Array.from({ length: 20 }, () => echoed(openServer, options())));
  },

  async refusesAServerOfAnotherAuthority() {
    await assert.rejects(echoed(openServer, { ca: read('theirs', 'ca.pem') }));
  },

  async showsItsCertificate() {
    for (const version of versions) await echoed(strictServer, options(version, 'ours'));
  },

  async isRefusedWithoutACertificate() {
    for (const version of versions) await assert.rejects(echoed(strictServer, options(version)));
  },

  async isRefusedWithACertificateOfAnotherAuthority() {
    for (const version of versions) await assert.rejects(echoed(strictServer, options(version, 'theirs')));
  },

  async resumesSessions() {
    const agent = new https.Agent({ ...options(), maxCachedSessions: 10 });
    const reused = [];
    for (let i = 0; i < 3; i++) {
      const request = https.get(`https://localhost:${openServer.port}/small`, { agent });
      const [response] = await once(request, 'response');
      assert.equal(response.statusCode, 200);
      reused.push(response.socket.isSessionReused());
      response.resume();
      await once(response, 'end');
    }
    assert.deepEqual(reused, [false, true, true]);
    agent.destroy();
  },

  async isServedOnOneConnection() {
    const agent = new https.Agent({ ...options(), keepAlive: true, maxSockets: 1 });
    const sockets = new Set();
    for (let i = 0; i < 5; i++) {
      const [response] = await once(https.get(`https://localhost:${openServer.port}/small`, { agent }), 'response');
      assert.equal(response.statusCode, 200);
      sockets.add(response.socket.localPort);
      response.resume();
      await once(response, 'end');
    }
    assert.equal(sockets.size, 1);
    agent.destroy();
  },
};

await run(openServer, checks);
