"""What the tests of the control socket, of the metrics and of tend top share: servers that may be
looked at, and the ways to look."""

import json
import re

import pools
import tend
from tend import eventually


# Personalities that have children, alone and in company; Multiplex in both of its moods.
KINDS = ['Fork', *pools.POOLS, 'Multiplex', 'Multiplex two', 'evented', 'evented two', 'Thread',
         'Thread two']


def start_kind(start, directory, kind, *words, **options):
    """The same for one of KINDS."""
    name, workers = kind.split()[0], 2 if kind.endswith('two') else 1
    if name == 'evented':
        name, options['program'] = 'Multiplex', tend.find_program('evented_echo')
    if name in ('Multiplex', 'Thread'):
        words = ('workers', workers, *words)
    return start_watched(start, directory, name, *words, **options)


def start_watched(start, directory, personality, *words, **options):
    """`tend echo`, or another program, with a control socket, which is server.control then."""
    path = f'{directory}/control'
    limits = pools.words(personality, 3) if personality in pools.POOLS else []
    command = [] if 'program' in options else ['echo']
    server = start(*command, 'server_type', personality, 'port', '127.0.0.1:0', 'control', path,
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


def metrics(server):
    """The samples, by name and labels as they are written."""
    with Control(server.control) as control:
        lines = control.get('metrics')
    return {name: float(value) for name, value in
            (line.rsplit(' ', 1) for line in lines if not line.startswith('#'))}


def shown(server, command='status', *words):
    """What tend status or one frame of tend top says, as lines."""
    more = ['--frames', 1] if command == 'top' else []
    done = tend.run(command, '--control', server.control, *more, *words)
    assert done.returncode == 0 and done.stderr == '', done
    return done.stdout.splitlines()


def rows(lines):
    """Those of children and threads, in words."""
    return [line.split() for line in lines if re.match(r' *\d+ \S+ +\S+ +\d', line)]


def echo(server, text='hello'):
    """A client whose words have come back: it is being served."""
    client = server.client()
    client.send_line(text)
    assert client.recv_line() == text
    return client
