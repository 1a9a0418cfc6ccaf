#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Chromium, which offers permessage-deflate (RFC 7692) by itself, against tests/interop/echo_server.lua.

The interpreter is in the environment variable LUA, the module is found by LUA_CPATH.
"""

import os
import pathlib
import sys

from test_page import chromium

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'interop'))
from support import echo_server, run  # noqa: E402

# What is echoed, from the page's own script, and what was agreed.
ECHO = '''
    const done = arguments[arguments.length - 1];
    const socket = new WebSocket(`ws://${location.host}/`);
    socket.binaryType = 'arraybuffer';
    const words = Array.from({ length: 20000 }, (_, index) => `${index * 7919 % 1009} grün`).join(' ');
    const sent = ['', 'x', words.slice(0, 200), words, words, new Uint8Array(100000).map((_, index) => index * index),
                  words.slice(500, 900)];
    const received = [];
    socket.onerror = () => done('an error');
    socket.onopen = () => sent.forEach((message) => socket.send(message));
    socket.onmessage = ({ data }) => {
      const expected = sent[received.length];
      const same = typeof data === 'string' ? data === expected
        : data.byteLength === expected.length && new Uint8Array(data).every((byte, index) => byte === expected[index]);
      received.push(same);
      if (!same) done(`another message ${received.length}`);
      if (received.length === sent.length) done(socket.extensions);
    };'''


def echoed(compression):
    """The extensions that were agreed upon."""
    os.environ['COMPRESSION'] = compression
    server = echo_server()
    try:
        with chromium() as driver:
            driver.get(f'http://127.0.0.1:{server.port}/small')
            return driver.execute_async_script(ECHO)
    finally:
        server.stop()


def echoes_each_message_by_itself():
    extensions = echoed('true')
    assert extensions == 'permessage-deflate; server_no_context_takeover; client_no_context_takeover', extensions


def echoes_with_windows_that_are_kept():
    extensions = echoed('{ context_takeover = true, min_size = 1, memory = "8KB", client_max_window_bits = 10 }')
    assert extensions == 'permessage-deflate; server_max_window_bits=10; client_max_window_bits=10', extensions


if __name__ == '__main__':
    os.environ['no_proxy'] = 'localhost,127.0.0.1'  # Selenium would ask a proxy for the browser next door
    sys.exit(run(echo_server(), [echoes_each_message_by_itself, echoes_with_windows_that_are_kept]))
