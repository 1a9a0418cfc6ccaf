#!/usr/bin/env node
// SPDX-License-Identifier: MIT
// What the README tells people to type: its echo servers, and the lines for a browser's console. The interpreter is in
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

// The first one in this language that has `part` in it.
function findBlock(language, part = '') {
  const blocks = readme.matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, 'gm'));
  return [...blocks].map((block) => block[1]).find((block) => block.includes(part));
}

const folder = mkdtempSync(join(tmpdir(), 'readme-'));
process.on('exit', () => rmSync(folder, { recursive: true }));
process.on('SIGTERM', () => process.exit(143));

// A block, on a free port that it tells before it serves.
async function startServer(language, loop) {
  const script = join(folder, `${language}.lua`);
  const block = findBlock(language, loop).replace(/\bport = (port|8080)/, "listen = { '127.0.0.1:0' }")
    .replace(/^print.*\n/m, '');
  writeFileSync(script, block.replace(loop, `print(context:addresses()[1]) io.stdout:flush() ${loop}`));
  const server = spawn(process.env.LUA ?? 'lua5.4', [script], { stdio: ['ignore', 'pipe', 'inherit'] });
  process.on('exit', () => server.kill('SIGKILL'));
  const lines = createInterface({ input: server.stdout });
  const [address] = await Promise.race([once(lines, 'line'), once(server, 'exit')]);
  if (typeof address !== 'string') throw new Error('a server of the README does not start');
  return { address, process: server };
}

// The lines for the console of a browser.
async function sayHello(address) {
  const code = findBlock('js').replace('localhost:8080', address);
  assert.ok(code.includes(address));
  const heard = await new Promise((resolve) => {
    new Function('WebSocket', 'console', code)(WebSocket, { log: resolve });
  });
  assert.equal(heard, 'hello');
}

const server = await startServer('lua', 'context:run()');

await run(server, {
  async theBrowserHearsItsHello() {
    await sayHello(server.address);
  },
  async theBrowserHearsItsHelloFromLuvsLoop() {
    const { address } = await startServer('lua other', 'uv.run()');
    await sayHello(address);
  },
});
