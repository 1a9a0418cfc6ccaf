// SPDX-License-Identifier: MIT
// The page of the test server. It shows two protocols, each on a websocket of its own: a counter per connection, and a
// drawing board that everyone shares.

import { Connection } from './connection.js';

const find = (selector) => document.querySelector(selector);

// --- Counter ------------------------------------------------------------------------------------------------------

const number = find('#number');
const reset = find('#reset');

const counter = new Connection('dumb-increment-protocol', find('#counter-status'), {
  onState(isOpen) {
    reset.disabled = !isOpen;
    find('.counter').classList.toggle('offline', !isOpen);
  },
  onMessage(data) {
    if (/^\d{1,15}$/.test(data)) {
      number.textContent = data;
    }
  },
});

reset.addEventListener('click', () => counter.send('reset\n'));

// --- Board: what is received is drawn ------------------------------------------------------------------------------

// Coordinates are those of a board of 800 x 450, whatever the size on the screen: so everybody sees the same picture.
// It is painted at twice that, to be sharp on a large screen and on a dense one.
const boardWidth = 800;
const boardHeight = 450;
const density = 2;
const lineWidth = 4;

// What others send is not to be trusted. A command that breaks these rules is left out.
const colourPattern = /^#([0-9a-f]{3}|[0-9a-f]{6})$/i;
const largestNumber = 10000;
const longestMessage = 65536;

const board = find('.board');
const canvas = find('#canvas');
const invitation = find('#invitation');
const paint = canvas.getContext('2d');

canvas.width = boardWidth * density;
canvas.height = boardHeight * density;
paint.scale(density, density);
paint.lineWidth = lineWidth;
paint.lineCap = 'round';

// d COLOUR X0 Y0 X1 Y1
function drawLine([x0, y0, x1, y1]) {
  paint.moveTo(x0, y0);
  paint.lineTo(x1 + 0.01, y1); // a line without any length, a dot, would not show everywhere
}

// c COLOUR X Y RADIUS
function drawCircle([x, y, radius]) {
  paint.arc(x, y, Math.max(0, radius), 0, 2 * Math.PI);
}

const shapes = { d: [drawLine, 4], c: [drawCircle, 3] };

function draw(command) {
  const [kind, colour, ...words] = command.trim().split(/\s+/, 7);
  const numbers = words.map(Number);
  const [shape, count] = Object.hasOwn(shapes, kind) ? shapes[kind] : [];
  const isValid = shape && numbers.length === count && colourPattern.test(colour) &&
    numbers.every((value) => Math.abs(value) <= largestNumber); // which NaN is not either
  if (isValid) {
    paint.strokeStyle = colour;
    paint.beginPath();
    shape(numbers);
    paint.stroke();
    invitation.hidden = true;
  }
}

const mirror = new Connection('lws-mirror-protocol', find('#mirror-status'), {
  onState(isOpen) {
    board.classList.toggle('offline', !isOpen);
    if (!isOpen) {
      [...strokes.keys()].forEach(cancel);
    }
  },
  onMessage(data) {
    if (typeof data === 'string') {
      data.slice(0, longestMessage).split(';').forEach(draw);
    }
  },
});

find('#clear').addEventListener('click', () => {
  paint.clearRect(0, 0, boardWidth, boardHeight);
  invitation.hidden = false;
});

// --- Board: what is drawn is sent ----------------------------------------------------------------------------------

let outgoing = '';

// Commands are collected, and leave in one message per frame of the screen.
function post(...words) {
  if (outgoing === '') {
    requestAnimationFrame(() => {
      mirror.send(outgoing);
      outgoing = '';
    });
  }
  outgoing += `${words.join(' ')};`;
}

// A stroke is what a finger, the mouse or the keyboard is in the middle of.
const strokes = new Map();
const preview = find('#preview');
const cursor = find('#cursor'); // where the keyboard draws
const tools = find('.tools');
const tapRadius = 24;

const distance = (a, b) => Math.hypot(a.x - b.x, a.y - b.y);
const rounded = (value) => Math.round(value * 10) / 10;
const coordinates = (...points) => points.flatMap(({ x, y }) => [rounded(x), rounded(y)]);

function begin(id, point) {
  if (!mirror.isOpen) {
    return;
  }
  const stroke = { isCircle: tools.elements.tool.value === 'circle', colour: chosenColour(), from: point };
  strokes.set(id, stroke);
  if (!stroke.isCircle) {
    post('d', stroke.colour, ...coordinates(point, point));
  }
}

function extend(id, point) {
  const stroke = strokes.get(id);
  if (stroke?.isCircle) {
    showPreview(stroke, point);
  } else if (stroke && distance(stroke.from, point) >= 1) {
    post('d', stroke.colour, ...coordinates(stroke.from, point));
    stroke.from = point;
  }
}

function end(id, point) {
  const stroke = strokes.get(id);
  if (stroke?.isCircle) {
    const radius = distance(stroke.from, point);
    post('c', stroke.colour, ...coordinates(stroke.from), rounded(radius < lineWidth ? tapRadius : radius));
  }
  cancel(id);
}

function cancel(id) {
  strokes.delete(id);
  preview.hidden = true;
  cursor.classList.toggle('down', strokes.has('keyboard'));
}

function place(element, { x, y }) {
  element.style.left = `${100 * x / boardWidth}%`;
  element.style.top = `${100 * y / boardHeight}%`;
  element.hidden = false;
}

function showPreview({ colour, from }, point) {
  preview.style.width = `${200 * distance(from, point) / boardWidth}%`;
  preview.style.borderColor = colour;
  place(preview, from);
}

// --- Mouse, pen and touch -------------------------------------------------------------------------------------------

function boardPoint({ clientX, clientY }) {
  const { left, top, width, height } = canvas.getBoundingClientRect();
  return { x: (clientX - left) * boardWidth / width, y: (clientY - top) * boardHeight / height };
}

canvas.addEventListener('pointerdown', (event) => {
  if (event.button === 0) {
    canvas.setPointerCapture(event.pointerId);
    begin(event.pointerId, boardPoint(event));
  }
});

canvas.addEventListener('pointermove', (event) => {
  // A browser reports movements once per frame, and the way between on request.
  const way = event.getCoalescedEvents?.() ?? [];
  (way.length ? way : [event]).forEach((step) => extend(event.pointerId, boardPoint(step)));
});

canvas.addEventListener('pointerup', (event) => end(event.pointerId, boardPoint(event)));
canvas.addEventListener('pointercancel', (event) => cancel(event.pointerId));

// --- Keyboard -------------------------------------------------------------------------------------------------------

const position = { x: boardWidth / 2, y: boardHeight / 2 };
const directions = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function moveCursor([right, down], step) {
  position.x = Math.min(Math.max(0, position.x + right * step), boardWidth);
  position.y = Math.min(Math.max(0, position.y + down * step), boardHeight);
  extend('keyboard', { ...position });
}

function toggleStroke() {
  (strokes.has('keyboard') ? end : begin)('keyboard', { ...position });
}

canvas.addEventListener('keydown', (event) => {
  if (Object.hasOwn(directions, event.key)) {
    moveCursor(directions[event.key], event.shiftKey ? 50 : 10);
  } else if (event.key === ' ' || event.key === 'Enter') {
    event.repeat || toggleStroke();
  } else if (event.key === 'Escape') {
    cancel('keyboard');
  } else {
    return;
  }
  event.preventDefault();
  cursor.classList.toggle('down', strokes.has('keyboard'));
  place(cursor, position);
});

canvas.addEventListener('blur', () => {
  cancel('keyboard');
  cursor.hidden = true;
});

// --- Colours --------------------------------------------------------------------------------------------------------

const freeColour = find('#free-colour');

function chosenColour() {
  const { value } = tools.elements.colour;
  return value === 'free' ? freeColour.value : value;
}

// A free colour is shown by its own swatch.
function showSwatches() {
  for (const { value, nextElementSibling: swatch } of tools.elements.colour) {
    swatch.style.backgroundColor = value === 'free' ? freeColour.value : value;
  }
}

function chooseFreeColour() {
  tools.elements.colour.value = 'free';
  showSwatches();
}

showSwatches();
freeColour.addEventListener('click', chooseFreeColour);
freeColour.addEventListener('input', chooseFreeColour);
tools.addEventListener('submit', (event) => event.preventDefault());

// --- Browser --------------------------------------------------------------------------------------------------------

function browserName() {
  const brand = navigator.userAgentData?.brands
    .filter(({ brand }) => !/not.*brand/i.test(brand))
    .sort((a, b) => (a.brand === 'Chromium') - (b.brand === 'Chromium'))[0];
  if (brand) {
    return `${brand.brand.replace('Headless', '')} ${brand.version}`;
  }
  // The others, by what only they say: nearly all of them also claim to be Chrome or Safari.
  const names = [
    ['Edge', /Edg\w*\/([\d.]+)/], ['Opera', /OPR\/([\d.]+)/], ['Samsung Internet', /SamsungBrowser\/([\d.]+)/],
    ['Firefox', /(?:Firefox|FxiOS)\/([\d.]+)/], ['Chrome', /(?:Chrome|CriOS)\/(\d+)/],
    ['Safari', /Version\/([\d.]+).* Safari\//],
  ];
  const agent = navigator.userAgent;
  const [name, pattern] = names.find(([, pattern]) => pattern.test(agent)) ?? [];
  return name ? `${name} ${pattern.exec(agent)[1]}` : agent;
}

find('#browser').textContent = browserName();
