#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The page of the test server in Chromium, over https and wss.

The interpreter is in the environment variable LUA, the module is found by LUA_CPATH.
"""

import subprocess
import sys
import tempfile

from test_page import BLUE, ROOT, Page, console_errors, main


class Checks:
    def __init__(self, server, driver):
        self.server = server
        self.driver = driver

    def opens(self):
        self.page = Page(self.driver, self.server.address)
        self.page.wait_for_states('open')
        assert self.driver.current_url.startswith('https://'), self.driver.current_url
        assert self.page.script('return isSecureContext')

    def counts(self):
        numbers = self.page.wait_for_numbers(20)
        assert all(b == a + 1 for a, b in zip(numbers, numbers[1:])), numbers

    def draws_a_line_in_another_window(self):
        self.driver.switch_to.new_window('window')
        other = Page(self.driver, self.server.address)
        other.wait_for_states('open')
        self.page.drag((100, 100), (200, 100))
        other.wait_for_colour(BLUE, (100, 100), (150, 100), (200, 100))

    def reports_no_errors(self):
        assert not console_errors(self.driver)


if __name__ == '__main__':
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([ROOT / 'script' / 'demo-certificate', folder], check=True, stdout=subprocess.DEVNULL)
        # The browser knows nothing of our authority.
        sys.exit(main(Checks, (f'{folder}/server.pem', f'{folder}/server.key'), ('ignore-certificate-errors',)))
