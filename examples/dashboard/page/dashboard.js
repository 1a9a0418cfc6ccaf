// SPDX-License-Identifier: MIT
// Draws what the server publishes each second: samples, of which each is an object of numbers.

const shownSeconds = 120;
const longestDelayMs = 10000;

const whole = (value) => Math.round(value).toLocaleString('en');
const bytes = (value) => {
  const units = ['B', 'kB', 'MB', 'GB'];
  const index = Math.min(Math.floor(Math.log10(Math.max(value, 1)) / 3), units.length - 1);
  return `${(value / 1000 ** index).toFixed(index && value < 100 * 1000 ** index ? 1 : 0)} ${units[index]}`;
};

// A title, how a value is written, the highest value of the scale if that is fixed, and name and label of each line.
const charts = [
  ['Open websockets', whole, null, [['websockets', 'now']]],
  ['Messages per second', whole, null, [['messages_received', 'received'], ['messages_sent', 'sent']]],
  ['Bytes per second', bytes, null, [['bytes_received', 'received'], ['bytes_sent', 'sent']]],
  ['Load average', (value) => value.toFixed(2), null, [['load', 'last minute']]],
  ['Memory in use', (value) => `${value.toFixed(1)} %`, 100, [['memory', 'of the machine']]],
  ["Lua's memory", bytes, null, [['lua', 'on its heap']]],
].map(([title, format, fixedTop, lines]) => new Chart(title, format, fixedTop, lines));
let hasWorkers = false;

const samples = new Map(); // by second
const state = document.querySelector('#state');
const traffic = document.querySelector('#traffic');
let socket;
let failures = 0;

function make(kind, className) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', kind);
  element.setAttribute('class', className);
  return element;
}

// 1, 2 or 5, and zeros: the least that is not below the value.
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((factor) => factor * power).find((top) => top >= value);
}

function Chart(title, format, fixedTop, lines) {
  const card = document.querySelector('template').content.cloneNode(true).firstElementChild;
  const figures = card.querySelector('.figures');
  const top = card.querySelector('.top');
  card.querySelector('h2').textContent = title;

  const drawn = lines.map(([name, label], index) => {
    const figure = document.createElement('span');
    const number = document.createElement('b');
    number.textContent = '–';
    figure.append(number, ` ${label}`);
    figures.append(figure);
    const className = index ? 'second' : 'first';
    const area = make('path', `area ${className}`);
    const line = make('path', className);
    card.querySelector('svg').append(area, line);
    return { name, number, area, line };
  });
  document.querySelector('main').append(card);

  // The samples of the time that is shown, in order; the last one is at the right edge.
  this.draw = (shown) => {
    const end = shown.at(-1).time;
    const highest = Math.max(...shown.flatMap((sample) => drawn.map(({ name }) => sample[name] ?? 0)));
    const scale = fixedTop ?? roundUp(Math.max(highest * 1.1, 1));
    top.textContent = format(scale);
    for (const { name, number, area, line } of drawn) {
      number.textContent = format(shown.at(-1)[name] ?? 0);
      let outline = '';
      let filled = '';
      let last;
      for (const sample of shown) {
        const x = shownSeconds - (end - sample.time);
        const point = `${x} ${(100 - 100 * (sample[name] ?? 0) / scale).toFixed(2)}`;
        if (last !== undefined && x - last <= 3) {
          outline += `L${point}`;
          filled += `L${point}`;
        } else { // the first one, or the first one after the connection was lost
          outline += `M${point}`;
          filled += `${filled && `L${last} 100Z`}M${x} 100L${point}`;
        }
        last = x;
      }
      line.setAttribute('d', outline);
      area.setAttribute('d', `${filled}L${last} 100Z`);
    }
  };
}

function addWorkers(sample) {
  const names = Object.keys(sample).filter((name) => name.startsWith('worker_')).sort();
  hasWorkers = names.length > 0;
  if (!hasWorkers) return;
  const lines = names.map((name) => [name, name.replace('_', ' ')]);
  charts.push(new Chart('Websockets of each worker', whole, null, lines));
}

function take(received) {
  if (!hasWorkers && received.length) addWorkers(received.at(-1));
  received.forEach((sample) => samples.set(sample.time, sample));
  const shown = [...samples.values()].sort((a, b) => a.time - b.time);
  const start = shown.at(-1)?.time - shownSeconds;
  const rest = shown.filter(({ time }) => time >= start || !samples.delete(time));
  if (rest.length) {
    charts.forEach((chart) => chart.draw(rest));
  }
}

function show(name) {
  state.dataset.state = state.textContent = name;
  traffic.disabled = name !== 'open';
  document.body.classList.toggle('offline', name === 'closed');
}

function connect() {
  const address = new URL('.', location.href);
  address.protocol = address.protocol.replace('http', 'ws');
  socket = new WebSocket(address.href, 'dashboard');
  socket.onopen = () => {
    failures = 0;
    show('open');
  };
  socket.onmessage = ({ data }) => take(JSON.parse(data));
  socket.onclose = () => {
    show('closed');
    // Not all pages should come back at the same moment.
    setTimeout(connect, Math.min(500 * 2 ** failures, longestDelayMs) * (0.75 + Math.random() / 2));
    failures += 1;
  };
}

traffic.addEventListener('click', () => {
  for (let i = 0; i < 200; i += 1) {
    socket.send('x'.repeat(i));
  }
});

connect();
