"""Fixtures of the black-box tests; tend.py has what they hand out."""

import resource
import shutil
import signal
import tempfile
from pathlib import Path

import pytest

import tend


def pytest_configure(config):
    """A thousand clients need as many descriptors."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 8192 if hard == resource.RLIM_INFINITY else min(hard, 8192)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    # TERM ends the run as INT does: through the fixtures, which end the servers.
    signal.signal(signal.SIGTERM, lambda signo, frame: signal.raise_signal(signal.SIGINT))


@pytest.fixture
def directory():
    """A temporary directory whose path is short enough for unix sockets, for anybody to enter."""
    path = Path(tempfile.mkdtemp(prefix='tend-'))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def conf(directory):
    """Writes a conf file and returns its path."""
    def write(text, name='tend.conf'):
        path = directory / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.fixture
def start(directory):
    """Starts servers that end with the test: start('Fork', 'port', '127.0.0.1:0')."""
    servers = []

    def start_server(*words, **options):
        options.setdefault('directory', directory)
        server = tend.Server(*words, **options)
        servers.append(server)
        return server

    yield start_server
    failures = []
    for server in reversed(servers):
        try:
            server.close()
        except AssertionError as e:
            failures.append(str(e))
    assert not failures, '\n'.join(failures)


@pytest.fixture(params=tend.PERSONALITIES)
def personality(request):
    """Each personality that accepts its clients itself."""
    return request.param


@pytest.fixture(params=['tcp', 'unix'])
def transport(request):
    return request.param


@pytest.fixture
def where(transport, directory):
    """The port string of an endpoint of this transport."""
    return '127.0.0.1:0' if transport == 'tcp' else f'{directory}/socket|unix'


@pytest.fixture(params=[*tend.ECHOES, *(f'awkward {name}' for name in tend.AWKWARD_ECHOES)])
def echo(request, start, where):
    """Every byte comes back: `tend echo`; evented_echo.c for the evented mood, and awkward_echo.c for
    all of them over a transport of its own."""
    awkward = request.param.removeprefix('awkward ')
    if awkward != request.param:
        return start(*tend.AWKWARD_ECHOES[awkward], 'port', where,
                     program=tend.find_program('awkward_echo'), client_type=tend.AwkwardClient)
    words = [*tend.ECHOES[request.param], 'port', where]
    if request.param.startswith('evented'):
        return start(*words, program=tend.find_program('evented_echo'))
    return start('echo', *words)


@pytest.fixture
def talkative(start, personality, where):
    """net-server's talkative echo, with the commands that control the server."""
    return start(personality, 'port', where, *tend.CONTROL)
