// SPDX-License-Identifier: MIT
//
// Usage: node ws_echo.js PORT [broadcast | compressed]
//
// Echoes, or with 'broadcast' sends each message to everyone, by ws. 'compressed': as the client offers it, by zlib's
// defaults. Prints its port when it can be connected to.

const { WebSocket, WebSocketServer } = require('ws');

const [port, mode] = process.argv.slice(2);
const perMessageDeflate = mode === 'compressed' && { threshold: 0, zlibDeflateOptions: { level: 6, memLevel: 8 } };
const server = new WebSocketServer({ host: '127.0.0.1', port: Number(port), backlog: 4096, perMessageDeflate });

function broadcast(data, binary) {
  for (const client of server.clients) {
    if (client.readyState === WebSocket.OPEN) client.send(data, { binary });
  }
}

server.on('connection', (socket) => {
  const send = mode === 'broadcast' ? broadcast : (data, binary) => socket.send(data, { binary });
  socket.on('message', send);
  socket.on('error', () => {});
});
server.on('listening', () => console.log(port));
