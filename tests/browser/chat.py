#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The page of examples/chat.lua in Chromium: two windows, and a server that restarts.

The interpreter is in the environment variable LUA, the module is found by LUA_CPATH.
"""

import sys

from selenium.webdriver.common.keys import Keys

import test_page
from test_page import Server, console_errors, wait_for


class ChatServer(Server):
    script = ('examples/chat.lua',)


class Window(test_page.Page):
    def __init__(self, driver, address):
        self.driver = driver
        self.window = driver.current_window_handle
        driver.get(address)

    def say(self, text):
        self.element('#text').send_keys(text, Keys.ENTER)

    def wait_for_lines(self, *lines):
        wait_for(lambda: self.script('return [...document.querySelectorAll("li")].map((line) => line.textContent)')
                 == list(lines), f'the lines {lines}')


class Checks:
    def __init__(self, server, driver):
        self.server = server
        self.driver = driver

    def opens(self):
        self.one = Window(self.driver, self.server.address)
        self.driver.switch_to.new_window('window')
        self.two = Window(self.driver, self.server.address)

    def gives_names(self):
        self.one.say('Ada')
        self.one.wait_for_lines('Ada is here')
        self.two.say('Alan')
        for window in (self.one, self.two):
            window.wait_for_lines('Ada is here', 'Alan is here')

    def says_to_everyone_what_was_written(self):
        self.two.say('<b>1</b> < 2')
        for window in (self.one, self.two):
            window.wait_for_lines('Ada is here', 'Alan is here', 'Alan: <b>1</b> < 2')

    def has_no_console_errors(self):
        assert not console_errors(self.driver)

    def asks_again_for_a_wrong_name(self):
        self.driver.switch_to.new_window('window')
        other = Window(self.driver, self.server.address)
        other.say(' ')
        other.wait_for_lines('a name has 1 to 40 bytes')
        other.say('Grace')
        self.one.wait_for_lines('Ada is here', 'Alan is here', 'Alan: <b>1</b> < 2', 'Grace is here')

    def reconnects(self):
        self.server.stop()
        self.server.start()
        everyone = {'Ada is here', 'Alan is here', 'Grace is here'}
        lines = 'return [...document.querySelectorAll("li")].map((line) => line.textContent)'
        for window in (self.one, self.two):
            wait_for(lambda window=window: set(window.script(lines)) == everyone, 'all to be back')


if __name__ == '__main__':
    test_page.Server = ChatServer
    sys.exit(test_page.main(Checks))
