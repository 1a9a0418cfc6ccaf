#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""examples/dashboard in Chromium: two windows, a phone, and a server that restarts.

The interpreter is in the environment variable LUA, the module is found by LUA_CPATH. What the page looks like is left
in build/screenshots/.
"""

import sys

from selenium.webdriver.common.by import By

import test_page
from test_page import SCREENSHOTS, Server, console_errors, wait_for


class Dashboard(Server):
    script = ('examples/dashboard/dashboard.lua',)


class DashboardOfWorkers(Dashboard):
    def __init__(self):
        super().__init__('2')  # so many

    @property
    def address(self):
        return f'http://localhost:{self.port}/'


class Window(test_page.Page):
    def __init__(self, driver, address):
        self.driver = driver
        self.window = driver.current_window_handle
        driver.get(address)
        self.wait_for_state('open')

    def wait_for_state(self, state):
        wait_for(lambda: self.element('#state').text == state, f'the state {state}')

    def figures(self):
        """What the cards show, by their titles."""
        self.front()
        return {card.find_element(By.CSS_SELECTOR, 'h2').text:
                [figure.text for figure in card.find_elements(By.CSS_SELECTOR, 'b')]
                for card in self.driver.find_elements(By.CSS_SELECTOR, '.card')}

    def points(self):
        """How many are drawn, line by line."""
        return self.script('''return [...document.querySelectorAll('path:not(.area)')]
            .map((path) => (path.getAttribute('d') ?? '').split(/[ML]/).length - 1)''')

    def wait_for_points(self, count):
        wait_for(lambda: min(self.points()) >= count, f'{count} points in each line')


class Checks:
    def __init__(self, server, driver):
        self.server = server
        self.driver = driver

    def opens(self):
        self.one = Window(self.driver, self.server.address)
        self.one.wait_for_points(4)
        self.driver.switch_to.new_window('window')
        self.two = Window(self.driver, self.server.address)

    def shows_a_new_window_what_was_before(self):
        self.two.wait_for_points(4)

    def counts_both_windows(self):
        for window in (self.one, self.two):
            wait_for(lambda window=window: window.figures()['Open websockets'] == ['2'], 'two websockets')

    def shows_figures_everywhere(self):
        figures = self.one.figures()
        assert len(figures) == 6, figures
        assert all(text[0].isdigit() for texts in figures.values() for text in texts), figures
        assert len(self.one.points()) == 8, self.one.points()

    def shows_traffic_in_the_other_window(self):
        self.one.element('#traffic').click()
        # Once a second each of the windows is sent a message: more than ten are the traffic.
        top = 'return Number(document.querySelectorAll(".top")[1].textContent)'
        wait_for(lambda: self.two.script(top) > 10, 'the messages to be counted')

    def fits_a_phone(self):
        self.driver.switch_to.new_window('window')
        self.phone = Window(self.driver, self.server.address)
        for width in (320, 360, 740):
            self.driver.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', {
                'width': width, 'height': 740, 'deviceScaleFactor': 2, 'mobile': True})
            wait_for(lambda width=width: self.phone.script('return document.documentElement.clientWidth') == width,
                     f'a screen of {width} points')
            assert self.phone.script('return document.documentElement.scrollWidth') == width, width

    def screenshots(self):
        self.driver.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', {
            'width': 360, 'height': 740, 'deviceScaleFactor': 2, 'mobile': True})
        self.phone.wait_for_points(8)
        for window, name in ((self.phone, 'phone'), (self.one, 'light')):
            window.screenshot(f'dashboard-{name}')
        self.one.set_theme('dark')
        self.one.screenshot('dashboard-dark')
        self.one.set_theme('light')
        assert (SCREENSHOTS / 'dashboard-dark.png').read_bytes() != (SCREENSHOTS / 'dashboard-light.png').read_bytes()

    def has_no_console_errors(self):
        assert not console_errors(self.driver)

    def shows_that_the_server_stopped(self):
        self.server.stop()
        for window in (self.one, self.two):
            window.wait_for_state('closed')
            assert not window.element('#traffic').is_enabled()

    def reconnects(self):
        self.server.start()
        for window in (self.one, self.two):
            window.wait_for_state('open')
            known = min(window.points())
            window.wait_for_points(known + 2)
            assert window.element('#traffic').is_enabled()

    def has_no_console_errors_but_the_lost_connections(self):
        assert not console_errors(self.driver, r'WebSocket connection to .* failed')

    def shows_workers_side_by_side(self):
        server = DashboardOfWorkers()
        server.start()
        try:
            self.driver.switch_to.new_window('window')
            window = Window(self.driver, server.address)
            title = 'Websockets of each worker'
            wait_for(lambda: sorted(window.figures().get(title, [])) == ['0', '1'], 'the worker of this window')
            assert not console_errors(self.driver, r'WebSocket connection to .* failed')
        finally:
            server.stop()


if __name__ == '__main__':
    test_page.Server = Dashboard
    sys.exit(test_page.main(Checks))
