// SPDX-License-Identifier: MIT
// The page of examples/chat.lua. What others write is only ever set as text, never as HTML.

const refused = 1008; // the Close code: coming again would not help
const firstDelayMs = 500;
const longestDelayMs = 15000;
const groupedForS = 300;

const element = Object.fromEntries([...document.querySelectorAll('[id]')].map((found) => [found.id, found]));
const here = new Set();
let name = '';
let socket;
let failures = 0;
let timer;
let last; // the line that was shown last
let unread = 0;

// --- Elements -----------------------------------------------------------------------------------------------------

function make(tag, className, ...children) {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...children);
  return made;
}

// Names may be written from right to left.
const nameTag = (who) => make('bdi', 'name', who);

function avatar(who) {
  const made = make('span', 'avatar', [...who][0].toUpperCase());
  made.ariaHidden = 'true';
  const sum = [...who].reduce((hash, letter) => (31 * hash + letter.codePointAt(0)) % 360, 7);
  made.style.setProperty('--hue', sum);
  return made;
}

// Text, with what looks like the address of a page as a link.
function linked(text) {
  return text.split(/(https?:\/\/[^\s<>"']*[\w/#=&-])/).map((part, index) => {
    if (index % 2 === 0) {
      return part;
    }
    const link = make('a', '', part);
    link.href = part;
    link.target = '_blank';
    link.rel = 'noopener noreferrer';
    return link;
  });
}

function time(atS) {
  const date = new Date(1000 * atS);
  const made = make('time', '', date.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' }));
  made.dateTime = date.toISOString();
  made.title = date.toLocaleString();
  return made;
}

// --- What is shown ------------------------------------------------------------------------------------------------

const day = (atS) => new Date(1000 * atS).toDateString();

const isAtEnd = () => element.lines.scrollHeight - element.lines.scrollTop - element.lines.clientHeight < 40;

function scrollToEnd() {
  element.lines.scrollTop = element.lines.scrollHeight;
  element.below.hidden = true;
}

function showUnread(count) {
  unread = count;
  document.title = `${unread ? `(${unread}) ` : ''}${element.room.textContent} – Chat`;
}

function addLine(message) {
  const { kind, at, name: who, text } = message;
  if (!last || day(last.at) !== day(at)) {
    const today = day(at) === day(Date.now() / 1000);
    element.lines.append(make('li', 'day', today ? 'Today' : new Date(1000 * at).toLocaleDateString()));
    last = undefined;
  }
  if (kind === 'said') {
    const isMine = who === name;
    const goesOn = last?.kind === 'said' && last.name === who && at - last.at < groupedForS;
    const bubble = make('p', 'bubble', ...linked(text));
    bubble.dir = 'auto';
    const line = make('li', `said${isMine ? ' mine' : ''}${goesOn ? ' more' : ''}`);
    const head = make('p', goesOn ? 'head visually-hidden' : 'head', nameTag(who), ' ', time(at));
    line.append(avatar(who), make('div', '', head, bubble));
    element.lines.append(line);
  } else {
    element.lines.append(make('li', 'news', nameTag(who), kind === 'came' ? ' is here ' : ' has left ', time(at)));
  }
  last = message;
}

function addNewLine(message) {
  const wasAtEnd = isAtEnd();
  addLine(message);
  if (wasAtEnd || message.name === name) {
    scrollToEnd();
  } else {
    element.below.hidden = message.kind !== 'said' && element.below.hidden;
  }
  if (document.hidden && message.kind === 'said') {
    showUnread(unread + 1);
  }
}

function showPeople() {
  const sorted = [...here].sort((a, b) => a.localeCompare(b));
  element.people.replaceChildren(...sorted.map((who) => {
    const me = who === name ? [make('small', '', ' (you)')] : [];
    return make('li', '', avatar(who), make('span', '', nameTag(who), ...me));
  }));
}

function showRooms(rooms) {
  element.rooms.replaceChildren(...rooms.map((room) => {
    const link = make('a', '', `# ${room.name}`, make('span', 'size', room.size));
    link.href = `#${room.name}`;
    link.ariaLabel = `${room.name}, ${room.size} here`;
    if (room.name === element.room.dataset.name) {
      link.ariaCurrent = 'page';
    }
    return make('li', '', link);
  }));
}

function showState(state, note = '') {
  element.state.dataset.state = state;
  element.state.textContent = note || state;
  element.send.disabled = state !== 'connected';
}

// --- What the server tells ----------------------------------------------------------------------------------------

const handlers = {
  welcome({ room, here: names, history: said }) {
    failures = 0;
    showState('connected');
    element.room.dataset.name = room;
    element.room.textContent = `# ${room}`;
    history.replaceState(null, '', `#${room}`);
    here.clear();
    names.forEach((who) => here.add(who));
    showPeople();
    element.lines.ariaBusy = 'true'; // what was said before is not read out
    element.lines.replaceChildren();
    last = undefined;
    said.forEach(addLine);
    scrollToEnd();
    element.lines.ariaBusy = 'false';
    showUnread(0);
  },
  rooms: ({ rooms }) => showRooms(rooms),
  said: addNewLine,
  came(message) {
    here.add(message.name);
    showPeople();
    addNewLine(message);
  },
  left(message) {
    here.delete(message.name);
    showPeople();
    addNewLine(message);
  },
};

function wantedRoom() {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return ''; // the server knows one
  }
}

function connect() {
  clearTimeout(timer);
  disconnect();
  const address = new URL('.', location.href); // wss where the page came by https
  address.protocol = address.protocol.replace('http', 'ws');
  address.search = new URLSearchParams({ room: wantedRoom() });
  showState('connecting', 'connecting …');
  socket = new WebSocket(address.href, 'chat');
  socket.onopen = () => socket.send(name);
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    handlers[message.kind]?.(message);
  };
  socket.onclose = ({ code, reason }) => {
    if (code === refused) {
      showDoor(reason);
      return;
    }
    // Not everyone should come back at the same moment when the server was restarted.
    const delayMs = Math.min(firstDelayMs * 2 ** failures, longestDelayMs) * (0.75 + Math.random() / 2);
    failures += 1;
    timer = setTimeout(connect, delayMs);
    showState('lost', 'reconnecting …');
  };
}

function disconnect() {
  if (socket) {
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }
}

// A phone that wakes up, or has a network again, need not wait for the rest of the delay.
function retry() {
  if (name && socket.readyState === WebSocket.CLOSED) {
    connect();
  }
}

// --- What the user does -------------------------------------------------------------------------------------------

function remember(value) {
  try {
    localStorage.setItem('chat-name', value);
  } catch { /* not in every browser, nor everywhere */ }
}

function remembered() {
  try {
    return localStorage.getItem('chat-name') ?? '';
  } catch {
    return '';
  }
}

function show(isInside) {
  element.door.hidden = isInside;
  element.chat.hidden = element.leave.hidden = !isInside;
  (isInside ? element.text : element.name).focus();
}

function showDoor(why) {
  clearTimeout(timer);
  element.name.value = name;
  name = '';
  element.refusal.textContent = why;
  showState('outside', ' ');
  document.title = 'Chat';
  show(false);
}

function enter(as) {
  name = as;
  show(true);
  connect();
}

element.door.addEventListener('submit', (event) => {
  event.preventDefault();
  element.refusal.textContent = '';
  const wanted = element.name.value.trim();
  remember(wanted);
  enter(wanted);
});

element.leave.addEventListener('click', () => {
  disconnect();
  remember('');
  showDoor('');
});

element.composer.addEventListener('submit', (event) => {
  event.preventDefault();
  const text = element.text.value.trim();
  if (text && socket.readyState === WebSocket.OPEN) { // else what was written stays there
    socket.send(text);
    element.text.value = '';
  }
  element.text.focus();
});

element.text.addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    element.composer.requestSubmit();
  }
});

element.lines.addEventListener('scroll', () => {
  element.below.hidden ||= isAtEnd();
});
element.below.addEventListener('click', scrollToEnd);
window.addEventListener('hashchange', () => name && connect());
window.addEventListener('online', retry);
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) {
    retry();
    if (name) {
      showUnread(0);
    }
  }
});

if (remembered()) {
  enter(remembered());
} else {
  showDoor('');
}
