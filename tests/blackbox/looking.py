"""What the tests of the control socket, of the metrics and of tend top share: servers that may be
looked at, and the ways to look."""

import json

import pools
import tend
from tend import eventually


def start_watched(start, directory, personality, *words, **options):
    """`tend echo` with a control socket, which is server.control then."""
    path = f'{directory}/control'
    limits = pools.words(personality, 3) if personality in pools.POOLS else []
    server = start('echo', 'server_type', personality, 'port', '127.0.0.1:0', 'control', path,
                   *limits, *words, **options)
    server.control = path
    eventually(lambda: tend.listens(path), what=f'{path} listens')
    return server


class Control:
    """A client of the control socket."""

    def __init__(self, path):
        self.client = tend.Client(path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.close()

    def read(self):
        """An answer: its first line, and the others."""
        head, lines = self.client.recv_line(), []
        while True:
            line = self.client.recv_line()
            if not line:
                return head, lines
            lines.append(line)

    def ask(self, line):
        self.client.send_line(line)
        return self.read()

    def get(self, line):
        """The lines of an answer that is good."""
        head, lines = self.ask(line)
        assert head == 'ok', head
        return lines

    def status(self):
        return json.loads(self.get('status json')[0])


def status(server):
    with Control(server.control) as control:
        return control.status()


def ctl(server, *words, **options):
    """Runs tend ctl; the request is the words."""
    return tend.run('ctl', '--control', server.control, *words, **options)


def wait_status(server, predicate, what):
    """Until the status is so; returns it."""
    return eventually(lambda: (lambda s: s if predicate(s) else None)(status(server)), what=what)


def echo(server, text='hello'):
    """A client whose words have come back: it is being served."""
    client = server.client()
    client.send_line(text)
    assert client.recv_line() == text
    return client
