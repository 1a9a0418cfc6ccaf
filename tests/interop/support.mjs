// SPDX-License-Identifier: MIT
// What the tests in JavaScript share: the server they talk to, and how they are run and counted.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export const deadlineMs = 60_000 * Number(process.env.TIME_FACTOR ?? 1);

// The arguments are those of echo_server.lua.
export async function startEchoServer(...parameters) {
  const script = fileURLToPath(new URL('echo_server.lua', import.meta.url));
  const server = spawn(process.env.LUA ?? 'lua5.4', [script, ...parameters], { stdio: ['ignore', 'pipe', 'inherit'] });
  process.on('exit', () => server.kill('SIGKILL'));
  process.on('SIGTERM', () => process.exit(143));
  const lines = createInterface({ input: server.stdout });
  const [line] = await Promise.race([once(lines, 'line'), once(server, 'exit')]);
  if (typeof line !== 'string') throw new Error('the echo server does not start');
  return { port: Number(line), process: server };
}

// Rejects when it takes too long.
export function inTime(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${deadlineMs / 1000} s for ${what}`)), deadlineMs);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// Calls each of the functions, prints what became of it and at last 'N passed, N failed', and ends this process.
export async function run(server, checks) {
  let passed = 0;
  const names = Object.keys(checks);
  for (const name of names) {
    const label = name.replace(/[A-Z]/g, (letter) => ' ' + letter.toLowerCase());
    try {
      await inTime(checks[name](), 'this check');
      console.log(`${label} ... ok`);
      passed++;
    } catch (error) {
      console.log(`${label} ... FAILED\n${error.stack}`);
    }
    if (server.process.exitCode !== null || server.process.signalCode !== null) {
      console.log(`The server ended with ${server.process.exitCode ?? server.process.signalCode}`);
      passed = Math.min(passed, names.length - 1);
      break;
    }
  }
  console.log(`${passed} passed, ${names.length - passed} failed`);
  process.exit(passed < names.length ? 1 : 0);
}
