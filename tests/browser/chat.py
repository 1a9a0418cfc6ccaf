#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The page of examples/chat.lua in Chromium: two windows, a phone, TLS, and a server that restarts.

The interpreter is in the environment variable LUA, the module is found by LUA_CPATH. What the page looks like is left
in build/screenshots/.
"""

import subprocess
import sys
import tempfile

from selenium.webdriver.common.keys import Keys

import test_page
from test_page import ROOT, Server, console_errors, wait_for

HOSTILE = '<img src=x onerror="document.title = 1"> & <b>1</b> https://example.org/?a=1&b="2"'


class ChatServer(Server):
    script = ('examples/chat.lua',)


class Window(test_page.Page):
    def __init__(self, driver, address):
        self.driver = driver
        self.window = driver.current_window_handle
        driver.get(address)

    def enter(self, name):
        self.element('#name').clear()
        self.element('#name').send_keys(name, Keys.ENTER)

    def wait_for_state(self, state):
        wait_for(lambda: self.element('#state').text == state, f'the state {state}')

    def wait_inside(self):
        self.wait_for_state('connected')

    def say(self, text):
        self.element('#text').send_keys(text, Keys.ENTER)

    def texts(self, selector):
        return self.script(
            'return [...document.querySelectorAll(arguments[0])].map((found) => found.textContent)', selector)

    def wait_for_texts(self, selector, *texts):
        wait_for(lambda: self.texts(selector) == list(texts), f'{selector} to be {texts}')

    def wait_for_people(self, *names):
        self.wait_for_texts('#people bdi', *names)

    def said(self):
        """Who has said what."""
        return self.script('''return [...document.querySelectorAll('.said')].map((line) =>
            `${line.querySelector('.name').textContent}: ${line.querySelector('.bubble').textContent}`)''')

    def wait_for_said(self, *lines):
        wait_for(lambda: self.said() == list(lines), f'{lines} to have been said')

    def too_wide(self):
        return self.script('''
            const width = document.documentElement.clientWidth;
            return [...document.querySelectorAll('body *')]
                .filter((element) => !element.closest('.visually-hidden, #people, #rooms, [hidden]'))
                .filter((element) => element.getBoundingClientRect().right > width)
                .map((element) => element.outerHTML.slice(0, 80))''')


class Checks:
    def __init__(self, server, driver):
        self.server = server
        self.driver = driver

    def _new_window(self):
        self.driver.switch_to.new_window('window')
        return Window(self.driver, self.server.address)

    def opens(self):
        self.one = Window(self.driver, self.server.address)
        self.one.enter('Ada')
        self.one.wait_inside()
        assert self.driver.current_url.endswith('/#lobby'), self.driver.current_url
        # The two windows share their storage: what the name was is known here, too.
        self.two = self._new_window()
        self.two.wait_inside()
        self.two.element('#leave').click()
        self.two.enter('Alan')
        self.two.wait_inside()

    def shows_who_is_there(self):
        for window in (self.one, self.two):
            window.wait_for_people('Ada', 'Alan')
            window.wait_for_texts('#rooms .size', '2', '0', '0')
        assert self.two.texts('#people small') == [' (you)']

    def says_to_everyone_what_was_written(self):
        self.one.say('Is anybody there?')
        for window in (self.one, self.two):
            window.wait_for_said('Ada: Is anybody there?')
        self.two.say(HOSTILE)
        for window in (self.one, self.two):
            window.wait_for_said('Ada: Is anybody there?', f'Alan: {HOSTILE}')
            assert window.texts('.bubble img, .bubble b') == [] and window.texts('.bubble a') == [
                'https://example.org/?a=1&b=']

    def tells_when(self):
        times = self.one.texts('.said time')
        assert len(times) == 2 and all(':' in time for time in times), times
        assert self.one.texts('.day') == ['Today'], self.one.texts('.day')

    def marks_what_is_mine(self):
        assert self.one.texts('.mine .bubble') == ['Is anybody there?']

    def writes_several_lines(self):
        self.one.element('#text').send_keys('one', Keys.SHIFT, Keys.ENTER, Keys.NULL, 'two', Keys.ENTER)
        wait_for(lambda: self.two.said()[-1] == 'Ada: one\ntwo', 'two lines')

    def has_no_console_errors(self):
        assert not console_errors(self.driver), console_errors(self.driver)

    def asks_again_for_a_wrong_name(self):
        self.two.element('#leave').click()
        self.one.wait_for_people('Ada')
        self.two.enter(' ')
        self.two.wait_for_texts('#refusal', 'A name has 1 to 100 bytes.')
        self.two.enter('<i>Grace</i>')
        for window in (self.one, self.two):
            window.wait_for_people('<i>Grace</i>', 'Ada')
        assert self.one.texts('.news')[-1].startswith('<i>Grace</i> is here'), self.one.texts('.news')

    def has_rooms(self):
        self.two.element('#rooms a[href="#garden"]').click()
        self.two.wait_for_texts('#room', '# garden')
        self.one.wait_for_people('Ada')
        self.two.wait_for_people('<i>Grace</i>')
        for window in (self.one, self.two):
            window.wait_for_texts('#rooms .size', '1', '0', '1')
        self.two.wait_for_said()
        self.two.say('Roses')
        self.two.wait_for_said('<i>Grace</i>: Roses')
        self.two.script('history.back()')
        for window in (self.one, self.two):
            window.wait_for_people('<i>Grace</i>', 'Ada')
            assert 'Ada: one\ntwo' in window.said() and len(window.said()) == 3, window.said()

    def comes_to_the_first_room_for_one_that_is_not_there(self):
        for room in ('n%C3%B6', '%'):
            self.driver.switch_to.new_window('window')
            other = Window(self.driver, f'{self.server.address}#{room}')
            other.wait_inside()
            other.wait_for_texts('#room', '# lobby')
            self.driver.close()
            self.driver.switch_to.window(self.one.window)

    def can_be_used_by_those_who_do_not_see_it(self):
        unnamed = self.one.script('''return [...document.querySelectorAll('input, textarea, button, a, ol, nav, aside section')]
            .filter((element) => !(element.textContent.trim() || element.ariaLabel || element.labels?.length
                || element.getAttribute('aria-labelledby')))
            .map((element) => element.outerHTML.slice(0, 80))''')
        assert not unnamed, unnamed
        assert self.one.element('#lines').get_attribute('aria-live') == 'polite'

    def keeps_what_is_written_while_the_server_is_away(self):
        self.server.stop()
        for window in (self.one, self.two):
            window.wait_for_state('reconnecting …')
        self.one.say('still there')
        assert self.one.element('#text').get_attribute('value') == 'still there'

    def reconnects(self):
        self.server.start()
        for window in (self.one, self.two):
            window.wait_inside()
            window.wait_for_people('<i>Grace</i>', 'Ada')
        self.one.say('')
        self.two.wait_for_said('Ada: still there')

    def fits_a_phone(self):
        self.two.element('#leave').click()
        self.two.enter('Alan')
        self.two.wait_inside()
        self.two.say('Yes! I was just reading about your engine.')
        self.two.say('Notes: https://example.org/notes')
        self.one.say('Which part?\nThe one on looms?')
        self.phone = self._new_window()
        self.phone.wait_inside()
        self.phone.element('#leave').click()
        self.phone.enter('Grace')
        self.phone.wait_inside()
        for width in (320, 412, 740):
            self.driver.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', {
                'width': width, 'height': 740 if width < 740 else 360, 'deviceScaleFactor': 2, 'mobile': True})
            wait_for(lambda width=width: self.phone.script('return document.documentElement.clientWidth') == width,
                     f'a screen of {width} points')
            assert not self.phone.too_wide(), f'{width}: {self.phone.too_wide()}'
            assert self.phone.script('return document.documentElement.scrollWidth') == width, width
        self.driver.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', {
            'width': 360, 'height': 700, 'deviceScaleFactor': 2, 'mobile': True})
        self.phone.say('Good evening, both of you. The weather over the harbour is splendid.')

    def screenshots(self):
        self.one.wait_for_people('Ada', 'Alan', 'Grace')
        self.phone.screenshot('chat-phone')
        self.one.screenshot('chat-light')
        self.one.set_theme('dark')
        self.one.screenshot('chat-dark')
        self.two.element('#leave').click()
        self.two.screenshot('chat-door')

    def works_over_tls(self):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([ROOT / 'script' / 'demo-certificate', folder], check=True, stdout=subprocess.DEVNULL)
            server = ChatServer(f'{folder}/server.pem', f'{folder}/server.key')
            try:
                server.start()
                self.driver.switch_to.new_window('window')
                window = Window(self.driver, server.address)
                assert self.driver.current_url.startswith('https://'), self.driver.current_url
                window.enter('Ada')
                window.wait_inside()
                window.say('over TLS')
                window.wait_for_said('Ada: over TLS')
            finally:
                server.stop()


if __name__ == '__main__':
    test_page.Server = ChatServer
    # The browser knows nothing of the authority that signed the server's certificate.
    sys.exit(test_page.main(Checks, (), ('ignore-certificate-errors',)))
