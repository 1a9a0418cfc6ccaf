# SPDX-License-Identifier: MIT
"""nginx and haproxy in front of our server, for proxies.py."""

import contextlib
import socket
import subprocess
import time

from support import DEADLINE_S

# A websocket needs HTTP/1.1, and Upgrade handed on. Without Upgrade, a connection is kept for the next request.
NGINX = '''
daemon off;
master_process off;
pid nginx.pid;
events { worker_connections 200; }
http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxied;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    ssl_certificate server.pem;
    ssl_certificate_key server.key;
    map $http_upgrade $connection_upgrade {
        default upgrade;
        ''      '';
    }
    proxy_http_version 1.1;
    proxy_set_header Host $host;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $connection_upgrade;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header Forwarded "";
    proxy_read_timeout 600s;
    %s
}
'''
NGINX_ROUTE = '''
    upstream %(name)s {
        server %(upstream)s;
        keepalive 2;
    }
    server {
        listen 127.0.0.1:%(port)d;
        listen 127.0.0.1:%(tls_port)d ssl;
        location / { proxy_pass http://%(name)s; }
    }
'''

HAPROXY = '''
global
    maxconn 200
defaults
    timeout connect 60s
    timeout client 600s
    timeout server 600s
    timeout tunnel 600s
%s
'''
HAPROXY_ROUTE = '''
listen %(name)s
    mode %(mode)s
    %(rules)s
    bind 127.0.0.1:%(port)d
    bind 127.0.0.1:%(tls_port)d ssl crt both.pem
    server one %(upstream)s %(settings)s
'''


HAPROXY_HEADERS = '''
    option forwardfor
    http-request set-header X-Forwarded-Proto https if { ssl_fc }
    http-request del-header Forwarded
'''


class Route:
    """One way through a proxy; each has two ports, of which one is for TLS."""

    def __init__(self, name, upstream, mode='http', settings=''):
        self.name, self.upstream, self.mode, self.settings = name, upstream, mode, settings
        self.rules = HAPROXY_HEADERS if mode == 'http' else ''

    @property
    def tells_scheme(self):
        return self.mode == 'http'

    @property
    def tells_client(self):
        return self.mode == 'http' or bool(self.settings)

    def pick_ports(self):
        with contextlib.ExitStack() as stack:
            probes = [stack.enter_context(socket.create_server(('127.0.0.1', 0))) for _ in range(2)]
            self.port, self.tls_port = (probe.getsockname()[1] for probe in probes)


class Proxy:
    """A program that proxies, in the foreground, with all its files in a folder, where the certificate is already."""

    def __init__(self, program, folder, routes):
        self.program, self.folder, self.routes = program, folder, routes
        # Somebody else may take a port between its being picked and used.
        for _ in range(20):
            for route in routes:
                route.pick_ports()
            self.start()
            if self.answers():
                return
            self.stop()
        raise RuntimeError(f'{program} does not start:\n{(folder / f"{program}.log").read_text()}')

    def start(self):
        template, part = (NGINX, NGINX_ROUTE) if self.program == 'nginx' else (HAPROXY, HAPROXY_ROUTE)
        settings = self.folder / f'{self.program}.conf'
        settings.write_text(template % '\n'.join(part % vars(route) for route in self.routes))
        if self.program == 'nginx':
            command = ['/usr/sbin/nginx', '-p', self.folder, '-c', settings, '-e', 'stderr']
        else:
            both = (self.folder / 'server.pem').read_text() + (self.folder / 'server.key').read_text()
            (self.folder / 'both.pem').write_text(both)
            command = ['/usr/sbin/haproxy', '-db', '-f', settings]
        with open(self.folder / f'{self.program}.log', 'w') as log:
            self.process = subprocess.Popen(
                command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)

    def answers(self):
        end = time.monotonic() + DEADLINE_S
        while self.is_running() and time.monotonic() < end:
            with contextlib.suppress(ConnectionRefusedError):
                for route in self.routes:
                    for port in (route.port, route.tls_port):
                        socket.create_connection(('127.0.0.1', port)).close()
                return self.is_running()
            time.sleep(0.02)
        return False

    def is_running(self):
        return self.process.poll() is None

    def stop(self):
        self.process.terminate()
        self.process.wait()
