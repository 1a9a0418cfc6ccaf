#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Our client drives Chromium by its DevTools websocket, on the test server's page.

The interpreter is in the environment variable LUA, the module is found by LUA_CPATH.
"""

import base64
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import zlib

from clients import Checks, Driver, Processes
from support import DEADLINE_S, run, test_server

processes = Processes()
checks = Checks()

OFFERS = {'as it is': False, 'compressed': True, 'compressed, with the window kept': {'context_takeover': True}}

# `call` sends a command, and returns its result as it came: JSON. `evaluate` is of the page: its string.
SESSION = r'''
  local client = opened(url, options)
  local last, session = 0, nil
  local function call(method, parameters)
    last = last + 1
    client:write(('{"id":%d,"method":"%s","params":{%s}%s}'):format(last, method, parameters or '',
      session and (',"sessionId":"%s"'):format(session) or ''))
    while true do
      local answer, kind = client:receive()
      assert(kind == websockets.WRITE_TEXT)
      if answer:find('^{"id":' .. last .. ',') then
        assert(answer:find('^{"id":%d+,"result":'), answer)
        return answer
      end
      assert(answer:find '^{"method":', answer) -- an event
    end
  end
  local function evaluate(expression)
    local answer = call('Runtime.evaluate',
      ('"expression":"%s","awaitPromise":true,"returnByValue":true'):format(expression))
    return (assert(answer:match '"type":"string","value":"(.-)"}', answer))
  end
  local target = call('Target.createTarget', '"url":"about:blank"'):match '"targetId":"(.-)"'
  session = call('Target.attachToTarget', ('"targetId":"%s","flatten":true'):format(target)):match '"sessionId":"(.-)"'
  call 'Page.enable'
  call('Page.navigate', ('"url":"%s"'):format(page))
'''

# Noise, which no PNG makes smaller: 400 x 400 x 3 bytes, and a third more as base64.
NOISE = '''new Promise((done) => {
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = 400;
  canvas.style = 'position: fixed; inset: 0; width: 400px; height: 400px';
  document.body.replaceChildren(canvas);
  const image = new ImageData(400, 400);
  for (let at = 0; at < 640000; at += 64000) crypto.getRandomValues(image.data.subarray(at, at + 64000));
  for (let at = 3; at < 640000; at += 4) image.data[at] = 255;
  canvas.getContext('2d').putImageData(image, 0, 0);
  requestAnimationFrame(() => done('drawn'));
})'''


class Chromium:
    """Headless; `url` is that of its websocket."""

    def __init__(self):
        program = shutil.which('chromium')
        assert program, 'chromium has to be on the PATH'
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.process = subprocess.Popen(
            [program, '--headless=new', '--no-sandbox', '--disable-gpu', '--no-first-run', '--no-proxy-server',
             '--disable-background-networking', '--disable-component-update', '--disable-sync',
             '--disable-dev-shm-usage', '--remote-debugging-port=0', f'--user-data-dir={self.folder.name}'],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors='replace')
        killer = threading.Timer(DEADLINE_S, self.process.kill)
        killer.start()
        found = next(filter(None, (re.match('DevTools listening on (.*)', line) for line in self.process.stderr)), None)
        killer.cancel()
        if not found:
            self.stop()
            raise RuntimeError('chromium does not start')
        self.url = found[1]
        # It goes on to say things there.
        self.reader = threading.Thread(target=self.process.stderr.read, daemon=True)
        self.reader.start()

    def is_running(self):
        return self.process.poll() is None

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()


def check_png(data, width, height):
    """Nothing of it is missing, or in another place: each part has its checksum."""
    assert data[:8] == b'\x89PNG\r\n\x1a\n', data[:8]
    assert struct.unpack('>II', data[16:24]) == (width, height), data[:32]
    at, kind = 8, None
    while at < len(data):
        size, = struct.unpack_from('>I', data, at)
        kind, end = data[at + 4:at + 8], at + 8 + size
        assert struct.unpack_from('>I', data, end)[0] == zlib.crc32(data[at + 4:end]), (kind, at)
        at = end + 4
    assert kind == b'IEND', kind


@checks.table('drives a page', OFFERS.items())
def _(offer):
    """The page is a client of our server, too: the counter goes on."""
    agreed, title, number, length, drawn, picture = driver(SESSION + r'''
      local function line(text) return (text:gsub('\n *', ' ')) end
      local title = evaluate(line(loaded))
      local number = evaluate(line(counted))
      -- What is sent is not small, either.
      local length = evaluate("String('" .. ('x'):rep(2 ^ 20) .. "'.length)")
      local drawn = evaluate(line(noise))
      call('Emulation.setDeviceMetricsOverride', '"width":400,"height":400,"deviceScaleFactor":1,"mobile":false')
      local picture = call('Page.captureScreenshot', '"format":"png"'):match '"data":"([%w+/=]+)"'
      client.ws:ping 'ping'
      assert(client:receive_pong() == 'ping')
      client:close(1000)
      return { client.response.headers['Sec-WebSocket-Extensions'] or 'none', title, number, length, drawn, picture }
    ''', url=chromium.url, options={'compression': offer, 'max_backpressure': 4 * 2**20},
        page=f'http://localhost:{server.port}/', noise=NOISE, loaded='''new Promise((done) => {
          onload = () => done(document.title);
          if (document.readyState === 'complete') onload();
        })''', counted='''new Promise((done) => {
          const number = document.querySelector('#number');
          new MutationObserver(() => done(number.textContent)).observe(number, { childList: true });
        })''')
    assert (agreed == 'none') == (not offer), agreed
    assert 'websocket' in title.lower(), title
    assert int(number) >= 0 and int(length) == 2**20 and drawn == 'drawn', (number, length, drawn)
    assert len(picture) > 600_000, len(picture)
    check_png(base64.b64decode(picture), 400, 400)


@checks.check
def is_refused_with_an_origin():
    """For DevTools are not for pages."""
    failure = driver.refused(chromium.url, origin='http://elsewhere.example')
    assert (failure['kind'], failure['status']) == ('http', 403), failure
    assert 'remote-allow-origins' in failure['body'], failure


@checks.check
def is_told_that_the_browser_ends():
    other = Chromium()
    try:
        ended = driver(r'''
          local client = opened(url)
          client:write '{"id":1,"method":"Browser.close"}'
          return client:wait_closed()
        ''', url=other.url)
        assert ended['failure']['kind'] in ('lost', 'closed'), ended
        other.process.wait(DEADLINE_S)
    finally:
        other.stop()


if __name__ == '__main__':
    try:
        driver = processes.add(Driver())
        server = processes.add(test_server())
        chromium = processes.add(Chromium())
    except BaseException:
        processes.stop()
        raise
    sys.exit(run(processes, checks.selected()))
