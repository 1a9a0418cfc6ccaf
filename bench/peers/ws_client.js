// SPDX-License-Identifier: MIT
//
// Usage: node ws_client.js PORT CONNECTIONS SIZE
//
// bench/client.lua by ws.

const fs = require('fs');
const { WebSocket } = require('ws');

const [port, connections, size] = process.argv.slice(2).map(Number);
const mostOpening = 64;
const payload = Buffer.alloc(size, 'x');
const open = [];
let asked = 0;
let unsent = 0;
let awaited = 0;

function send(socket) {
  if (unsent === 0) return;
  --unsent;
  socket.send(payload);
}

function readLine() {
  const byte = Buffer.alloc(1);
  let line = '';
  while (fs.readSync(0, byte) > 0 && byte[0] !== 10) line += byte;
  return line;
}

function exchangeMore() {
  fs.writeSync(1, 'done\n');
  const line = readLine();
  if (line === '') process.exit();
  unsent = awaited = Number(line);
  open.forEach(send);
}

function onMessage(socket) {
  if (awaited > 0) {
    --awaited;
    send(socket);
  } else {
    open.push(socket);
    if (asked < connections) connect();
  }
  if (awaited === 0 && open.length === connections) exchangeMore();
}

function connect() {
  ++asked;
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`, 'bench', { perMessageDeflate: false });
  socket.on('open', () => socket.send(payload));
  socket.on('message', () => onMessage(socket));
  socket.on('close', () => process.exit(1));
}

for (let i = 0; i < Math.min(mostOpening, connections); ++i) connect();
