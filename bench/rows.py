"""The rows of the tables as data: for each, what is measured, on which servers.

A row has a kind, which says how it is measured (measure.py) and told (report.py). An entry names a
command; {bench} is the folder of the programs, {here} this one. The first entry of a row is the bare
server that the others are held against; a later bare entry takes its place for those behind it.
"""
import dataclasses
import os
import socket
from typing import Callable, Optional

from server import Server, find_program, has_perl_module

HERE = os.path.dirname(os.path.abspath(__file__))
WORKERS = 8


@dataclasses.dataclass(frozen=True)
class Entry:
    """A server, or for timers a program: `kind` is 'bare', 'tend' or 'peer'."""
    kind: str
    name: str
    command: tuple
    module: Optional[str] = None    # a peer's Perl module
    program: Optional[str] = None   # a peer's program, where it is not one of ours
    prepare: Optional[Callable] = None
    path: Optional[str] = None      # of a unix socket, where connections that stay are made


@dataclasses.dataclass(frozen=True)
class Row:
    name: str
    kind: str           # accept, echo, idle, slow, timers
    entries: tuple
    about: str
    connections: int = 0
    size: int = 0
    depth: int = 1


def bare(program, *words):
    return Entry('bare', 'bare ' + program, ('{bench}/' + program, *words))


def tend(name, service, *options):
    # The port first: what is behind it may be changed by --variant.
    return Entry('tend', 'tend ' + name, ('{bench}/tend_bench', service, 'port=127.0.0.1:0', *options))


def library(program, name):
    return Entry('peer', name, ('{bench}/' + program,), program='{bench}/' + program)


def perl(name, module, *words):
    return Entry('peer', name, ('perl', *words), module=module)


def net_server(personality, *options):
    return perl('Net::Server::' + personality, 'Net::Server', '{here}/peers/net_server.pl',
                personality, *map(str, options))


# ---- servers that run a program for each client ----

# No look-ups (-H -R -l), no Nagle delay, the port on standard output (-1).
TCPSERVER = Entry('peer', 'tcpserver', tuple(
    'tcpserver -q -1 -D -H -R -l localhost -c 256 -b 256 127.0.0.1 0 {bench}/handler'.split()),
    program='tcpserver')

XINETD_CONF = """\
service bench
{{
    type           = UNLISTED
    socket_type    = stream
    protocol       = tcp
    wait           = no
    bind           = 127.0.0.1
    port           = {port}
    user           = {user}
    server         = {handler}
    flags          = NODELAY
    instances      = UNLIMITED
    per_source     = UNLIMITED
    cps            = 1000000 1
    log_type       = FILE /dev/null
}}
"""


def xinetd_prepare(bench):
    def prepare(scratch):
        with socket.socket() as s:      # xinetd wants to be told a number
            s.bind(('127.0.0.1', 0))
            port = s.getsockname()[1]
        conf = os.path.join(scratch, 'xinetd.conf')
        with open(conf, 'w', encoding='utf-8') as f:
            f.write(XINETD_CONF.format(port=port, user=os.geteuid(),
                                       handler=os.path.join(bench, 'handler')))
        return [find_program('xinetd'), '-dontfork', '-f', conf, '-pidfile',
                os.path.join(scratch, 'pid')], port
    return prepare


XINETD = Entry('peer', 'xinetd', (), program='xinetd', prepare=xinetd_prepare)

# ---- the rows ----

POOL = ('min_servers=%d max_servers=%d min_spare_servers=0 max_spare_servers=%d '
        'max_requests=1000000000' % (WORKERS, WORKERS + 1, WORKERS)).split()
PERL_POOL = ('min_servers', WORKERS, 'max_servers', WORKERS + 1, 'min_spare_servers', 0,
             'max_spare_servers', WORKERS, 'max_requests', 1000000000)
THREADS = 'max_servers=1100'    # a thread for each of 1 000 connections

# select() and poll() with a thousand descriptors are measured by others: IO::Multiplex stays out
# of the rows with many connections.
IO_MULTIPLEX = perl('IO::Multiplex', 'IO::Multiplex', '{here}/peers/echo_io_multiplex.pl')
LIBRARIES = (library('echo_libev', 'libev'), library('echo_libuv', 'libuv'),
             library('echo_libevent', 'libevent'))
DANGA = perl('Danga::Socket', 'Danga::Socket', '{here}/peers/echo_danga.pl')
EVENTED = tend('evented', 'echo-evented', 'server_type=Multiplex')
FIBER = tend('fiber', 'echo', 'server_type=Multiplex')
FIBER_SMALL = tend('fiber', 'echo-small', 'server_type=Multiplex')
# Silent TCP clients would stay in the kernel: clients of a unix socket are there at once.
FIBER_IDLE = dataclasses.replace(
    tend('fiber', 'echo-small', 'server_type=Multiplex', 'defer_accept=1',
         'port={scratch}/socket|unix'), path='{scratch}/socket')
ECHO = (bare('epoll_echo'), EVENTED, FIBER, *LIBRARIES, DANGA)
THREAD = (bare('thread_echo'), tend('Thread', 'echo-own', 'server_type=Thread', THREADS))


def echo(name, connections, size, depth=1):
    perl_too = (IO_MULTIPLEX,) if connections <= 64 else ()
    deep = f', {depth} at once' if depth > 1 else ''
    return Row(name, 'echo', ECHO + perl_too + THREAD,
               f'{connections} connections, {size} bytes a message{deep}',
               connections, size, depth)


ROWS = (
    Row('single', 'accept', (
        bare('accept_loop'), tend('Single', 'answer', 'server_type=Single'),
        net_server('Single')), 'short connections, one process'),
    Row('fork', 'accept', (
        bare('fork_loop'), tend('Fork', 'answer', 'server_type=Fork'), TCPSERVER, XINETD,
        net_server('Fork', 'max_servers', 256)), 'short connections, a process each'),
    Row('prefork', 'accept', (
        bare('prefork_pool', '--workers', str(WORKERS)),
        tend('PreFork', 'answer', 'server_type=PreFork', *POOL),
        net_server('PreFork', *PERL_POOL)), f'short connections, {WORKERS} processes'),
    Row('accept-multiplex', 'accept', (
        bare('epoll_answer'), tend('evented', 'answer-evented', 'server_type=Multiplex'),
        tend('fiber', 'answer', 'server_type=Multiplex')), 'short connections, one loop'),
    Row('accept-thread', 'accept', (
        bare('thread_answer'), tend('Thread', 'answer', 'server_type=Thread', THREADS)),
        'short connections, a thread each'),
    echo('echo-1-64', 1, 64),
    echo('echo-64-64', 64, 64),
    echo('echo-1000-64', 1000, 64),
    echo('echo-1-16k', 1, 16384),
    echo('echo-64-16k', 64, 16384),
    echo('echo-1000-16k', 1000, 16384),
    echo('pipe-1-64', 1, 64, 16),
    echo('pipe-64-64', 64, 64, 16),
    Row('timers', 'timers', (
        # The second makes the promise that tend makes, and is what tend is held against.
        Entry('bare', 'wheel, clock of the turn', ('{bench}/timers_bare',)),
        Entry('bare', 'wheel, never early', ('{bench}/timers_bare_fresh',)),
        Entry('tend', 'tend', ('{bench}/timers_tend',)),
        library('timers_libev', 'libev'), library('timers_libuv', 'libuv'),
        library('timers_libevent', 'libevent')), 'a million timers, ns each'),
    Row('idle', 'idle', (bare('epoll_echo'), EVENTED, FIBER_IDLE, *LIBRARIES, DANGA),
        'memory of connections that do nothing', 10000, 64),
    Row('slow-reader', 'slow', (bare('epoll_echo'), EVENTED, FIBER_SMALL, *LIBRARIES,
                                *THREAD), 'memory for a client that sends and never reads', 1, 64),
)
NAMES = tuple(row.name for row in ROWS)


# ---- from entries to servers ----

def is_here(entry, options):
    if entry.module:
        return has_perl_module(entry.module)
    if entry.program:
        return find_program(entry.program.format(bench=options.bench)) is not None
    return True


def resolved(entry, bench):
    """The same entry with the folders filled in."""
    return dataclasses.replace(
        entry, command=tuple(word.format(bench=bench, here=HERE, scratch='{scratch}')
                             for word in entry.command),
        prepare=entry.prepare and entry.prepare(bench))


def versions(row, entry, options):
    """An entry of tend's and what the command line adds to it."""
    yield resolved(entry, options.bench)
    if row.kind != 'timers':
        for variant in options.variant:
            more = resolved(entry, options.bench)
            yield dataclasses.replace(more, name=f'{entry.name} {variant}',
                                      command=(*more.command, *variant.split()))
    if options.against:
        other = resolved(entry, options.against_bench)
        yield dataclasses.replace(other, name=f'{entry.name} in {options.against}')


def servers_of(row, options):
    servers, reference = [], None
    for entry in row.entries:
        if entry.kind == 'tend':
            servers += [Server(row, e, reference) for e in versions(row, entry, options)]
            continue
        if entry.kind == 'peer' and (options.no_peers or not is_here(entry, options)):
            continue
        server = Server(row, resolved(entry, options.bench), reference)
        if entry.kind == 'bare':
            reference = server.reference = server
        servers.append(server)
    return servers
