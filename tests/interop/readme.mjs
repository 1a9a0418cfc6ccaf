#!/usr/bin/env node
// SPDX-License-Identifier: MIT
// What the README tells people to type: its echo server, and the lines for a browser's console. The interpreter is in
// the environment variable LUA, the module is found by LUA_CPATH, ws by NODE_PATH.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { run } from './support.mjs';

const WebSocket = createRequire(import.meta.url)('ws'); // import does not look at NODE_PATH

const readme = readFileSync(fileURLToPath(new URL('../../README.md', import.meta.url)), 'utf8');

function firstBlock(language) {
  return readme.match(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, 'm'))[1];
}

// On a free port, which it tells.
async function startServer() {
  const folder = mkdtempSync(join(tmpdir(), 'readme-'));
  process.on('exit', () => rmSync(folder, { recursive: true }));
  const script = join(folder, 'echo.lua');
  const listening = firstBlock('lua').replace('port = 8080', "listen = { '127.0.0.1:0' }");
  writeFileSync(script, listening.replace('while true', 'print(context:addresses()[1]) io.stdout:flush() while true'));
  const server = spawn(process.env.LUA ?? 'lua5.4', [script], { stdio: ['ignore', 'pipe', 'inherit'] });
  process.on('exit', () => server.kill('SIGKILL'));
  process.on('SIGTERM', () => process.exit(143));
  const lines = createInterface({ input: server.stdout });
  const [address] = await Promise.race([once(lines, 'line'), once(server, 'exit')]);
  if (typeof address !== 'string') throw new Error('the server of the README does not start');
  return { address, process: server };
}

const server = await startServer();

await run(server, {
  async theBrowserHearsItsHello() {
    const code = firstBlock('js').replace('localhost:8080', server.address);
    assert.ok(code.includes(server.address));
    const heard = await new Promise((resolve) => {
      new Function('WebSocket', 'console', code)(WebSocket, { log: resolve });
    });
    assert.equal(heard, 'hello');
  },
});
