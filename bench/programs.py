# SPDX-License-Identifier: MIT
"""The programs that are measured, and how they are built: into build/bench/, when their source is newer."""

import os
import pathlib
import shlex
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILT = ROOT / 'build' / 'bench'
FLAGS = ['-O2', '-Wall', '-Wextra', '-Wconversion']


def compile_program(name, source, compiler, *libraries):
    program = BUILT / name
    source = ROOT / 'bench' / source
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        BUILT.mkdir(parents=True, exist_ok=True)
        subprocess.run([*compiler, *FLAGS, '-o', program, source, *libraries], check=True)
    return str(program)


def libwebsockets_flags():
    found = subprocess.run(['pkg-config', '--cflags', '--libs', 'libwebsockets'], capture_output=True, text=True)
    if found.returncode != 0:
        raise SystemExit('libwebsockets-dev is not installed; see --servers')
    return shlex.split(found.stdout)


def server_command(name, lua):
    if name == 'ours':
        return [lua, str(ROOT / 'bench' / 'servers' / 'echo.lua')]
    if name == 'epoll':
        return [compile_program('epoll_echo', 'peers/epoll_echo.cpp', ['g++', '-std=c++20'], '-lcrypto')]
    if name == 'libwebsockets':
        flags = libwebsockets_flags()
        return [compile_program('libwebsockets_echo', 'peers/libwebsockets_echo.c', ['gcc', '-std=c11'], *flags)]
    if 'UWEBSOCKETS_ECHO' not in os.environ:
        raise SystemExit('UWEBSOCKETS_ECHO is not set')
    return [os.environ['UWEBSOCKETS_ECHO']]
