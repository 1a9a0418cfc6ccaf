// SPDX-License-Identifier: MIT
// Usage: node client_server.mjs FOLDER
//
// node's ws as the server of client_peers.py, without permessage-deflate and with, over TCP, TLS and unix sockets.
// Prints its ports as JSON: { "off": { "tcp": 1, "tls": 2 }, … }; the unix sockets are FOLDER/node-off.sock, ….
// Subprotocols:
//   echo      (also without one) each message goes back as it came, in as many frames as it wants
//   command   does to its own connection what a message says, see `commands`
//   watched   nothing
//   observer  is told 'opened' and 'closed CODE REASON' of those that are watched

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { createRequire } from 'node:module';

const { WebSocketServer } = createRequire(import.meta.url)('ws'); // import does not look at NODE_PATH

const folder = process.argv[2];
const observers = new Set();
const modes = {
  off: false,
  fresh: { threshold: 0, serverNoContextTakeover: true, clientNoContextTakeover: true },
  takeover: { threshold: 0 },
};

const observe = (text) => observers.forEach((observer) => observer.send(text));

const commands = {
  close: (ws, [code, ...reason]) => ws.close(code && Number(code), reason.join(' ')),
  terminate: (ws) => ws.terminate(),
  // Its own ping, and what comes back.
  probe: async (ws, [data = '']) => {
    ws.ping(data);
    const [payload] = await once(ws, 'pong');
    ws.send(`pong ${payload}`);
  },
  // A message in as many fragments, numbered, a ping between them.
  fragments: (ws, [count]) => {
    for (let number = 1; number <= Number(count); number++) {
      ws.send(`${number} `, { fin: number === Number(count) });
      if (number < Number(count)) ws.ping('between');
    }
  },
  // Bytes that have come so far.
  ignore: () => {},
  received: (ws) => ws.send(`${ws._socket.bytesRead}`),
};

function serve(ws) {
  const name = ws.protocol || 'echo';
  ws.on('error', () => {});
  if (name === 'observer') {
    observers.add(ws);
    ws.on('close', () => observers.delete(ws));
    return;
  }
  if (name === 'watched') {
    observe('opened');
    ws.on('close', (code, reason) => observe(`closed ${code} ${reason}`));
  }
  ws.on('message', (data, isBinary) => {
    if (name === 'echo') {
      ws.send(data, { binary: isBinary });
    } else if (name === 'command') {
      const [command, ...words] = data.toString().split(' ');
      commands[command](ws, words);
    }
  });
}

const protocols = ['echo', 'command', 'watched', 'observer'];
const handleProtocols = (offered) => protocols.find((name) => offered.has(name)) ?? false;
const files = { cert: readFileSync(`${folder}/server.pem`), key: readFileSync(`${folder}/server.key`) };

async function listen(server, perMessageDeflate, ...where) {
  new WebSocketServer({ server, perMessageDeflate, handleProtocols, maxPayload: 0 }).on('connection', serve);
  server.listen(...where);
  await once(server, 'listening');
  return server.address().port;
}

const ports = {};
for (const [mode, deflate] of Object.entries(modes)) {
  ports[mode] = {
    tcp: await listen(http.createServer(), deflate, 0, '127.0.0.1'),
    tls: await listen(https.createServer(files), deflate, 0, '127.0.0.1'),
  };
  await listen(http.createServer(), deflate, `${folder}/node-${mode}.sock`);
}
console.log(JSON.stringify(ports));
