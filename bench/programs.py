# SPDX-License-Identifier: MIT
"""The programs that are measured, and how they are built: into build/bench/, when their source is newer."""

import os
import pathlib
import shutil
import subprocess
from dataclasses import dataclass

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILT = ROOT / 'build' / 'bench'
PEERS = ROOT / 'bench' / 'peers'
FLAGS = ['-O2', '-Wall', '-Wextra', '-Wconversion']

os.environ.setdefault('NODE_PATH', '/usr/share/nodejs')  # where Debian's packages are


class Missing(SystemExit):
    """Something that a server needs is not installed: the package is Debian's name of it."""

    def __init__(self, package):
        super().__init__(f'{package} is not installed; script/setup build bench installs it')


def succeeds(command, **options):
    try:
        return subprocess.run(command, capture_output=True, **options).returncode == 0
    except FileNotFoundError:
        return False


class Built:
    """A program that is built from its source, when that is newer."""

    def command(self):
        source = PEERS / self.source
        program = BUILT / source.stem
        if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
            self.require()
            BUILT.mkdir(parents=True, exist_ok=True)
            self.build(source, program)
        return [str(program)]


@dataclass(frozen=True)
class Compiled(Built):
    """A program in C or C++, which needs a header, which is in a package."""
    source: str
    header: str
    package: str
    options: tuple

    def require(self):
        test = f'#if !__has_include(<{self.header}>)\n#error\n#endif'
        if not succeeds(['gcc', '-x', 'c++', '-E', '-'], input=test.encode()):
            raise Missing(self.package)

    def build(self, source, program):
        compiler = 'gcc' if source.suffix == '.c' else 'g++'
        subprocess.run([compiler, *FLAGS, '-o', program, source, *self.options], check=True)


@dataclass(frozen=True)
class Go(Built):
    """A program in Go, whose libraries are Debian's packages."""
    source: str
    library: str
    package: str

    ENVIRONMENT = {**os.environ, 'GO111MODULE': 'off', 'GOPATH': '/usr/share/gocode'}

    def require(self):
        if not shutil.which('go'):
            raise Missing('golang-go')
        if not succeeds(['go', 'list', self.library], env=self.ENVIRONMENT):
            raise Missing(self.package)

    def build(self, source, program):
        subprocess.run(['go', 'build', '-o', program, source], check=True, env=self.ENVIRONMENT)


@dataclass(frozen=True)
class Script:
    """A file for an interpreter, which finds a library when it runs the test."""
    source: str
    interpreter: str
    test: tuple
    package: str

    def command(self):
        if not succeeds([self.interpreter, *self.test]):
            raise Missing(self.package)
        return [self.interpreter, str(PEERS / self.source)]


@dataclass(frozen=True)
class Named:
    """A program that an environment variable names."""
    variable: str

    def command(self):
        if self.variable not in os.environ:
            raise SystemExit(f'{self.variable} is not set')
        return [os.environ[self.variable]]


SERVERS = {
    'epoll': Compiled('epoll_echo.cpp', 'openssl/evp.h', 'libssl-dev', ('-std=c++20', '-lcrypto')),
    'libwebsockets': Compiled('libwebsockets_echo.c', 'libwebsockets.h', 'libwebsockets-dev',
                              ('-std=c11', '-lwebsockets')),
    'uwebsockets': Named('UWEBSOCKETS_ECHO'),
    'beast': Compiled('beast_echo.cpp', 'boost/beast.hpp', 'libboost-dev', ('-std=c++20',)),
    # It does not compile as C++20.
    'websocketpp': Compiled('websocketpp_echo.cpp', 'websocketpp/server.hpp', 'libwebsocketpp-dev', ('-std=c++17',)),
    'gorilla': Go('gorilla_echo.go', 'github.com/gorilla/websocket', 'golang-github-gorilla-websocket-dev'),
    'ws': Script('ws_echo.js', 'node', ('-e', 'require("ws")'), 'node-ws'),
    'python-websockets': Script('python_websockets_echo.py', '/usr/bin/python3', ('-c', 'import websockets'),
                                'python3-websockets'),
    'lua-http': Script('lua_http_echo.lua', 'luajit', ('-e', 'require "http.server"'), 'lua-http'),
}

CLIENTS = {
    'beast': Compiled('beast_client.cpp', 'boost/beast.hpp', 'libboost-dev', ('-std=c++20',)),
    'libwebsockets': Compiled('libwebsockets_client.c', 'libwebsockets.h', 'libwebsockets-dev',
                              ('-std=c11', '-lwebsockets')),
    'ws': Script('ws_client.js', 'node', ('-e', 'require("ws")'), 'node-ws'),
}


def server_command(name, lua):
    """SystemExit says why it cannot be had."""
    if name == 'ours':
        return [lua, str(ROOT / 'bench' / 'servers' / 'echo.lua')]
    if name not in SERVERS:
        raise SystemExit(f'it is none of ours, {", ".join(SERVERS)}')
    return SERVERS[name].command()


def client_command(name, lua):
    """SystemExit says why it cannot be had."""
    if name == 'ours':
        return [lua, str(ROOT / 'bench' / 'client.lua')]
    if name not in CLIENTS:
        raise SystemExit(f'it is none of ours, {", ".join(CLIENTS)}')
    return CLIENTS[name].command()
