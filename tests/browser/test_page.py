#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The test server's page in Chromium: two windows that count and draw together, a phone, and a server that restarts.

The interpreter is in the environment variable LUA, the module is found by LUA_CPATH. What the page looks like is left
in build/screenshots/.
"""

import base64
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from contextlib import ExitStack, contextmanager

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCREENSHOTS = ROOT / 'build' / 'screenshots'
DEADLINE_S = 60 * float(os.environ.get('TIME_FACTOR', 1))

# Coordinates are those of the page's board, 800 x 450.
BLUE, RED, FREE = '#3d56c5', '#d0342c', '#0a7b83'
PICTURE = (
    'c #e8850c 655 95 48;' + ''.join(
        f'd #e8850c {a} {b} {c} {d};' for a, b, c, d in [
            (655, 25, 655, 10), (584, 95, 569, 95), (726, 95, 741, 95), (605, 45, 594, 34), (705, 45, 716, 34)]) +
    'd #1a1e27 40 400 760 400;'
    'd #3d56c5 95 250 230 140;d #3d56c5 230 140 365 250;'
    'd #d0342c 125 250 125 400;d #d0342c 335 250 335 400;'
    'd #8e44c9 200 400 200 310;d #8e44c9 200 310 260 310;d #8e44c9 260 310 260 400;'
    'd #1a1e27 560 400 560 300;c #1e8a57 560 250 52;c #1e8a57 515 285 30;c #1e8a57 605 285 30;')


class Server:
    """The test server, as a process of its own on a port that stays the same when it is started again."""

    script = ('test-server/test-server.lua', 'test-server/')  # and what comes before the port

    def __init__(self, *certificate):
        """The certificate: its file, and its key's."""
        with socket.socket() as probe:
            probe.bind(('', 0))
            self.port = probe.getsockname()[1]
        self.certificate = certificate
        self.process = None

    @property
    def address(self):
        return f'{"https" if self.certificate else "http"}://localhost:{self.port}/'

    def start(self):
        self.process = subprocess.Popen(
            [os.environ.get('LUA', 'lua5.4'), *self.script, str(self.port), *self.certificate],
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        wait_for(self.answers, 'the server to answer')

    def answers(self):
        if not self.is_running():
            raise RuntimeError(f'the server ended with status {self.process.returncode}')
        try:
            socket.create_connection(('localhost', self.port), timeout=1).close()
            return True
        except OSError:
            return False

    def is_running(self):
        return self.process.poll() is None

    def stop(self):
        if not self.process:
            return
        self.process.terminate()
        try:
            self.process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Page:
    """One window. It is brought to the front by whatever is done with it."""

    def __init__(self, driver, address):
        self.driver = driver
        self.window = driver.current_window_handle
        driver.get(address)
        # Each number that the page shows; each message that it sends, and whether it really leaves.
        self.script('''
            window.numbers = [];
            new MutationObserver(() => numbers.push(Number(document.querySelector('#number').textContent)))
                .observe(document.querySelector('#number'), { childList: true });
            window.sent = [];
            window.isHeldBack = false;
            const { send } = WebSocket.prototype;
            WebSocket.prototype.send = function (data) {
                sent.push(data);
                if (!isHeldBack) {
                    send.call(this, data);
                }
            };''')

    def front(self):
        if self.driver.current_window_handle != self.window:
            self.driver.switch_to.window(self.window)

    def script(self, text, *arguments):
        self.front()
        return self.driver.execute_script(text, *arguments)

    def element(self, selector):
        self.front()
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def states(self):
        return [self.element(f'#{name}-status .state').text for name in ('counter', 'mirror')]

    def wait_for_states(self, state):
        wait_for(lambda: self.states() == [state, state], f'both states to be {state}')

    def numbers(self):
        return self.script('return numbers')

    def wait_for_numbers(self, count):
        """Waits until so many more numbers have come; returns all that came since the call."""
        known = len(self.numbers())
        wait_for(lambda: len(self.numbers()) >= known + count, f'{count} more numbers')
        return self.numbers()[known:]

    def colour(self, x, y):
        """The colour of a point of the board as #rrggbb, or None where nothing was drawn."""
        red, green, blue, alpha = self.script('''
            const canvas = document.querySelector('#canvas');
            const scale = canvas.width / 800;
            return [...canvas.getContext('2d').getImageData(arguments[0] * scale, arguments[1] * scale, 1, 1).data]
            ''', x, y)
        return f'#{red:02x}{green:02x}{blue:02x}' if alpha == 255 else None

    def wait_for_colour(self, colour, *points):
        for x, y in points:
            wait_for(lambda: self.colour(x, y) == colour, f'{colour} at {x}, {y}')

    def is_blank(self):
        return self.script('''
            const canvas = document.querySelector('#canvas');
            const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
            return data.every((byte) => byte === 0)''')

    def on_screen(self, x, y):
        """Where in the window a point of the board is."""
        left, top, width, height = self.script('''
            const canvas = document.querySelector('#canvas');
            canvas.scrollIntoView({ block: 'center' });
            const { left, top, width, height } = canvas.getBoundingClientRect();
            return [left, top, width, height]''')
        return left + x * width / 800, top + y * height / 450

    def drag(self, *points):
        actions = ActionChains(self.driver, duration=50)
        mouse = actions.w3c_actions.pointer_action
        for index, point in enumerate(points):
            mouse.move_to_location(*map(round, self.on_screen(*point)))
            if index == 0:
                mouse.pointer_down()
        mouse.pointer_up()
        actions.perform()

    def touch(self, *points):
        positions = [self.on_screen(*point) for point in points]
        for kind, position in zip(['touchStart'] + ['touchMove'] * (len(points) - 1), positions):
            touches = [{'x': position[0], 'y': position[1]}]
            self.driver.execute_cdp_cmd('Input.dispatchTouchEvent', {'type': kind, 'touchPoints': touches})
        self.driver.execute_cdp_cmd('Input.dispatchTouchEvent', {'type': 'touchEnd', 'touchPoints': []})

    def choose(self, name, value):
        self.script('arguments[0].click()', self.element(f'input[name={name}][value="{value}"]'))

    def press(self, *keys):
        self.front()
        ActionChains(self.driver).send_keys(*keys).perform()

    def send_from_outside(self, *messages):
        """Sends to the mirror what the page itself would not, on one more connection."""
        self.script('''
            const stranger = new WebSocket(location.href.replace('http', 'ws'), 'lws-mirror-protocol');
            stranger.onopen = () => {
                arguments[0].forEach((message) => stranger.send(message));
                stranger.close();
            };''', messages)

    def clear(self):
        self.element('#clear').click()
        assert self.is_blank(), 'the board was not cleared'

    def set_theme(self, theme):
        self.front()
        features = [{'name': 'prefers-color-scheme', 'value': theme}]
        self.driver.execute_cdp_cmd('Emulation.setEmulatedMedia', {'features': features})
        wait_for(lambda: self.script('return matchMedia(`(prefers-color-scheme: ${arguments[0]})`).matches', theme),
                 f'the {theme} theme')

    def screenshot(self, name):
        self.front()
        self.script('document.activeElement.blur(); scrollTo(0, 0)')
        picture = self.driver.execute_cdp_cmd('Page.captureScreenshot', {'captureBeyondViewport': True})
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        (SCREENSHOTS / f'{name}.png').write_bytes(base64.b64decode(picture['data']))


def wait_for(condition, what):
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > deadline_s:
            raise TimeoutError(f'waited {DEADLINE_S:.0f} s for {what}')
        time.sleep(0.05)


@contextmanager
def chromium(*more_arguments):
    programs = [shutil.which(name) for name in ('chromium', 'chromedriver')]
    assert all(programs), 'chromium and chromedriver have to be on the PATH'
    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    options.set_capability('goog:loggingPrefs', {'browser': 'ALL'})
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        for argument in (
                'headless=new', 'no-sandbox', 'disable-gpu', 'disable-quic', 'no-first-run', 'no-proxy-server',
                'disable-background-networking', 'disable-component-update', 'disable-sync', 'disable-dev-shm-usage',
                'hide-scrollbars', 'window-size=1280,900', f'user-data-dir={folder}', *more_arguments):
            options.add_argument(f'--{argument}')
        driver = webdriver.Chrome(service=Service(programs[1]), options=options)
        try:
            driver.set_script_timeout(DEADLINE_S)
            driver.set_page_load_timeout(DEADLINE_S)
            yield driver
        finally:
            driver.quit()


def console_errors(driver, expected='(?!)'):
    errors = [entry['message'] for entry in driver.get_log('browser') if entry['level'] == 'SEVERE']
    return [message for message in errors if not re.search(expected, message)]


# --- The checks, in this order ------------------------------------------------------------------------------------


class Checks:
    def __init__(self, server, driver):
        self.server = server
        self.driver = driver

    def opens(self):
        self.one = Page(self.driver, self.server.address)
        self.one.wait_for_states('open')
        self.driver.switch_to.new_window('window')
        self.two = Page(self.driver, self.server.address)
        self.two.wait_for_states('open')

    def names_the_browser(self):
        text = self.one.element('#browser').text
        version = self.driver.capabilities['browserVersion'].split('.')[0]
        assert re.fullmatch(rf'\D+ {version}', text), text

    def counts_in_both_windows(self):
        for page in (self.one, self.two):
            numbers = page.wait_for_numbers(10)
            assert all(b == a + 1 for a, b in zip(numbers, numbers[1:])), numbers

    def resets_one_counter_only(self):
        known = len(self.one.numbers())
        self.one.wait_for_numbers(5)
        self.one.element('#reset').click()
        wait_for(lambda: 1 in self.one.numbers()[known:], 'the counter to start again')
        self.one.wait_for_numbers(3)
        numbers = self.one.numbers()[known:]
        assert all(b == a + 1 or b == 1 for a, b in zip(numbers, numbers[1:])), numbers
        assert self.one.script('return sent') == ['reset\n']

        numbers = self.two.numbers()
        assert all(b == a + 1 for a, b in zip(numbers, numbers[1:])), numbers

    def draws_a_line_in_the_other_window(self):
        self.one.drag((100, 100), (200, 100), (300, 200))
        points = [(100, 100), (150, 100), (200, 100), (250, 150), (300, 200)]
        self.two.wait_for_colour(BLUE, *points)
        self.one.wait_for_colour(BLUE, *points)
        assert self.two.colour(150, 150) is None

    def draws_a_circle_in_the_other_window(self):
        self.one.choose('colour', RED)
        self.one.choose('tool', 'circle')
        self.one.drag((500, 225), (550, 225), (600, 225))
        self.two.wait_for_colour(RED, (600, 225), (400, 225), (500, 125), (500, 325))
        assert self.two.colour(500, 225) is None
        assert self.one.element('#preview').is_displayed() is False

    def draws_back_in_a_free_colour(self):
        self.two.script('''
            const input = document.querySelector('#free-colour');
            input.value = arguments[0];
            input.dispatchEvent(new Event('input', { bubbles: true }))''', FREE)
        self.two.drag((100, 400), (400, 400))
        self.one.wait_for_colour(FREE, (100, 400), (250, 400), (400, 400))

    def draws_nothing_before_it_came_back(self):
        self.one.clear()
        self.one.script('window.sent = []; window.isHeldBack = true')
        self.one.choose('tool', 'pen')
        self.one.drag((100, 300), (700, 300))
        self.one.choose('tool', 'circle')
        self.one.drag((400, 200), (400, 250))
        wait_for(lambda: re.search(r'c #', ' '.join(self.one.script('return sent'))), 'the circle to be sent')
        messages = self.one.script('window.isHeldBack = false; return sent')
        line, circle = (rf'{kind} #[0-9a-f]{{6}}( -?\d+(\.\d)?){{{count}}};' for kind, count in (('d', 4), ('c', 3)))
        for message in messages:
            assert re.fullmatch(f'({line}|{circle})+', message), message
        assert self.one.is_blank()

    def draws_with_the_keyboard(self):
        self.one.choose('tool', 'pen')
        self.one.script('document.querySelector("#reset").focus()')
        self.one.press(Keys.TAB, Keys.ARROW_DOWN, ' ', *[Keys.ARROW_RIGHT] * 5, ' ', Keys.ARROW_DOWN)
        for page in (self.one, self.two):
            page.wait_for_colour(RED, (400, 235), (425, 235), (450, 235))
        assert self.two.colour(450, 245) is None, 'the pen was not lifted'

    def ignores_what_it_cannot_draw(self):
        for page in (self.one, self.two):
            page.clear()
        self.two.send_from_outside(
            'd;;;c;d #f00;x #ff0000 1 2 3 4;__proto__ #ff0000 1 2 3;toString #ff0000 1 2 3 4;'
            'd red 0 225 800 225;d #ff00 0 225 800 225;d #ff0000;url(x) 0 225 800 225;d var(--accent) 0 225 800 225;'
            'd #ff0000 0 225 800;d #ff0000 0 225 800 225 0;d #ff0000 NaN 225 800 225;d #ff0000 0 225 Infinity 225;'
            'd #ff0000 0 225 1e300 225;d #ff0000 -20000 225 20000 225;d #ff0000 0 225 0 --1;'
            'c #ff0000 400 225 -5;c #ff0000 400 225 1e9;c #ff0000 400 225 0x;<img src=x onerror=alert(1)>;\0;\u2603;',
            'x' * 300000, ';' * 300000,
            # Several commands in one message, the last without its semicolon; long and short colours; loose spaces.
            ' d #0a0  10 10\t50 10 ;\nd #3d56c5 -100 440 900 440;c #d0342c 400 225 1.5e1')
        for page in (self.one, self.two):
            page.wait_for_colour('#00aa00', (30, 10))
            page.wait_for_colour(BLUE, (1, 440), (799, 440))
            page.wait_for_colour(RED, (415, 225))
            assert page.colour(400, 225) is None and page.colour(200, 225) is None

    def fits_a_phone(self):
        self.driver.switch_to.new_window('window')
        self.phone = Page(self.driver, self.server.address)
        self.driver.execute_cdp_cmd('Emulation.setTouchEmulationEnabled', {'enabled': True})
        for width in (320, 360, 412, 740):
            self.driver.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', {
                'width': width, 'height': 740 if width < 740 else 360, 'deviceScaleFactor': 2, 'mobile': True})
            wait_for(lambda: self.phone.script('return document.documentElement.clientWidth') == width,
                     f'a screen of {width} points')
            too_wide = self.phone.script('''
                const width = document.documentElement.clientWidth;
                return [...document.querySelectorAll('body, body *')]
                    .filter((element) => !element.closest('svg, .visually-hidden'))
                    .filter((element) => element.getBoundingClientRect().right > width)
                    .map((element) => element.outerHTML.slice(0, 80))''')
            assert not too_wide, f'{width}: {too_wide}'
            assert self.phone.script('return document.documentElement.scrollWidth') == width, width

    def draws_with_a_finger(self):
        self.driver.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', {
            'width': 360, 'height': 640, 'deviceScaleFactor': 2, 'mobile': True})
        self.phone.wait_for_states('open')
        self.one.clear()
        self.phone.choose('colour', RED)
        self.phone.on_screen(0, 0)
        scrolled = self.phone.script('return scrollY')
        self.phone.touch((300, 60), (300, 200), (300, 400))
        for page in (self.one, self.phone):
            page.wait_for_colour(RED, (300, 65), (300, 200), (300, 400))
        assert self.phone.script('return scrollY') == scrolled, 'the page moved under the finger'

    def screenshots(self):
        for page in (self.one, self.phone):
            page.clear()
        self.one.send_from_outside(PICTURE)
        for page in (self.one, self.phone):
            page.wait_for_colour('#1e8a57', (560, 198))
        self.phone.screenshot('phone')
        self.one.screenshot('desktop-light')
        self.one.set_theme('dark')
        self.one.screenshot('desktop-dark')
        self.one.set_theme('light')

    def has_no_console_errors(self):
        errors = console_errors(self.driver)
        assert not errors, errors

    def shows_that_the_server_stopped(self):
        self.server.stop()
        for page in (self.one, self.two):
            page.wait_for_states('closed')
            assert not page.element('#reset').is_enabled()
            assert page.element('#offline').is_displayed()
            note = page.element('#mirror-status .note')
            wait_for(lambda: re.search(r'retry in \d+ s', note.text), 'the next attempt')

    def reconnects(self):
        self.server.start()
        for page in (self.one, self.two):
            page.wait_for_states('open')
            assert page.element('#reset').is_enabled()
            numbers = page.wait_for_numbers(5)
            assert all(b == a + 1 for a, b in zip(numbers, numbers[1:])), numbers

    def draws_after_it_reconnected(self):
        self.two.clear()
        self.one.choose('tool', 'pen')
        self.one.drag((50, 50), (250, 50))
        self.two.wait_for_colour(RED, (50, 50), (150, 50), (250, 50))

    def has_no_console_errors_but_the_lost_connections(self):
        errors = console_errors(self.driver, r'WebSocket connection to .* failed: .*net::ERR_CONNECTION_REFUSED')
        assert not errors, errors


# What the later checks cannot do without.
ESSENTIAL = ['opens', 'reconnects']


def run(checks):
    names = [name for name, value in vars(type(checks)).items() if callable(value) and not name.startswith('_')]
    passed = 0
    for name in names:
        label = name.replace('_', ' ')
        try:
            getattr(checks, name)()
            print(f'{label} ... ok', flush=True)
            passed += 1
        except Exception:
            print(f'{label} ... FAILED\n{traceback.format_exc()}', flush=True)
            if name in ESSENTIAL or not checks.server.is_running():
                break
    return passed, len(names) - passed


def main(checks=Checks, certificate=(), browser_arguments=()):
    # What was started ends in an orderly way also when this process is told to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # Selenium would ask a proxy for the browser next door.
    os.environ['no_proxy'] = 'localhost,127.0.0.1'
    passed, failed = 0, 1
    try:
        with ExitStack() as stack:
            server = Server(*certificate)
            stack.callback(server.stop)
            server.start()
            passed, failed = run(checks(server, stack.enter_context(chromium(*browser_arguments))))
    except Exception:
        traceback.print_exc()
    print(f'{passed} passed, {failed} failed')
    return int(failed > 0)


if __name__ == '__main__':
    sys.exit(main())
