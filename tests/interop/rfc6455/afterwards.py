# SPDX-License-Identifier: MIT
"""What is to be seen when all else was tried."""

from rfc6455.opening import open_websocket
from rules import rule


@rule('7.1.7', 'After all this the server is there, and none of it was an error in it.')
def still_there(server, _):
    for one in (server, *server.others):
        with open_websocket(one, 'command') as connection:
            connection.command('errors')
            connection.expect(1, b'0')
            connection.close()
