#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What the README tells to do in a browser, in Chromium: its lines in the console of the echo server's page, and the page
of the small examples.

The interpreter is in the environment variable LUA, the module is found by LUA_CPATH.
"""

import re
import sys

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

import test_page
from test_page import ROOT, Server, wait_for

LINES = re.search(r'^```js\n(.*?)^```$', (ROOT / 'README.md').read_text(), re.DOTALL | re.MULTILINE)[1]


class EchoServer(Server):
    script = ('examples/echo.lua',)


class StaticServer(Server):
    script = ('examples/static.lua',)


class Checks:
    def __init__(self, server, driver):
        self.server = server
        self.driver = driver

    def opens(self):
        self.driver.get(self.server.address)
        assert 'console' in self.driver.page_source, self.driver.page_source

    def hears_its_hello_in_the_console(self):
        assert LINES.count('8080') == 1, LINES
        lines = LINES.replace('8080', str(self.server.port))
        self.driver.execute_script(f'window.heard = []; console.log = (text) => heard.push(text);\n{lines}')
        wait_for(lambda: self.driver.execute_script('return heard') == ['hello'], 'the echo')

    def shows_what_small_examples_say(self):
        server = StaticServer()
        try:
            server.start()
            self.driver.get(server.address)
            wait_for(lambda: 'Connected' in self.driver.find_element(By.ID, 'state').text, 'the connection')
            self.driver.find_element(By.ID, 'text').send_keys('<b>hello</b>', Keys.ENTER)
            lines = 'return [...document.querySelectorAll("#lines li")].map((line) => line.textContent)'
            wait_for(lambda: self.driver.execute_script(lines) == ['<b>hello</b>'] * 2, 'what was sent, and its return')
            assert not test_page.console_errors(self.driver)
        finally:
            server.stop()


if __name__ == '__main__':
    test_page.Server = EchoServer
    sys.exit(test_page.main(Checks))
