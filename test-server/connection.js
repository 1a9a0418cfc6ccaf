// SPDX-License-Identifier: MIT
const firstDelayMs = 1000;
const longestDelayMs = 15000;
const stableAfterMs = 5000;

// A websocket that is opened again whenever it is lost, after a delay that doubles as long as it does not stay open.
// Its state is shown in a table cell, and told to `onState(isOpen)`.
export class Connection {
  constructor(protocol, cell, { onState, onMessage }) {
    Object.assign(this, { protocol, cell, onState, onMessage });
    this.failures = 0;
    this.open();

    // A phone that wakes up, or has a network again, need not wait for the rest of the delay.
    window.addEventListener('online', () => this.retry());
    document.addEventListener('visibilitychange', () => document.hidden || this.retry());
  }

  get isOpen() {
    return this.socket.readyState === WebSocket.OPEN;
  }

  send(text) {
    if (this.isOpen) {
      this.socket.send(text);
    }
  }

  open() {
    const address = new URL('.', location.href);
    address.protocol = address.protocol.replace('http', 'ws');
    this.show(this.socket ? 'reconnecting' : 'connecting');
    this.socket = new WebSocket(address.href, this.protocol);
    this.socket.onopen = () => this.opened();
    this.socket.onmessage = (event) => this.onMessage(event.data);
    this.socket.onclose = (event) => this.closed(event);
  }

  opened() {
    this.openedAtMs = performance.now();
    this.show('open');
    this.onState(true);
  }

  closed({ code, reason }) {
    const nowMs = performance.now();
    if (nowMs - this.openedAtMs > stableAfterMs) {
      this.failures = 0;
    }
    this.openedAtMs = undefined;
    // Not everyone should come back at the same moment when a server was restarted.
    const delayMs = Math.min(firstDelayMs * 2 ** this.failures, longestDelayMs) * (0.75 + Math.random() / 2);
    this.failures += 1;
    this.retryAtMs = nowMs + delayMs;
    this.why = [code, reason].filter(Boolean).join(' ');
    this.onState(false);
    this.countDown();
  }

  countDown() {
    const leftMs = this.retryAtMs - performance.now();
    if (leftMs <= 0) {
      this.retry();
      return;
    }
    this.show('closed', `${this.why} · retry in ${Math.ceil(leftMs / 1000)} s`);
    this.timer = setTimeout(() => this.countDown(), leftMs % 1000 || 1000);
  }

  retry() {
    if (this.socket.readyState === WebSocket.CLOSED) {
      clearTimeout(this.timer);
      this.open();
    }
  }

  show(state, note = '') {
    this.cell.dataset.state = state;
    this.cell.querySelector('.state').textContent = state;
    this.cell.querySelector('.note').textContent = note;
    // Read out by screen readers: the two states that matter, each once.
    const spoken = this.cell.querySelector('[role=status]');
    const words = `${spoken.dataset.name}: ${state}`;
    if (/^(open|closed)$/.test(state) && spoken.textContent !== words) {
      spoken.textContent = words;
    }
  }
}
