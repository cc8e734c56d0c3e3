"""The names of clients: a resolver that answers, lies or is dead, and who comes in then.

tests/tools/names.c takes the place of the system's resolver.
"""

import re

import pytest

import tend
from daemons import from_address, needs_ipv6
from tend import eventually

PORT = ['port', '127.0.0.1:0', 'log_level', '3']

# What the resolver says of the clients: 127.0.0.2 is honest, .3 lies about its name, .4 has none,
# of .5 nobody can be reached, .6 never gets an answer; the name of .7 has no address, that of .8
# gets no answer, .9 and .10 say what is no name, .11 has many addresses.
NAMES = ' '.join([
    '127.0.0.2=honest.example honest.example=192.0.2.1,127.0.0.2',
    '127.0.0.3=bank.example bank.example=192.0.2.2,192.0.2.3',
    '127.0.0.4=?none 127.0.0.5=?again 127.0.0.6=?hang',
    '127.0.0.7=gone.example gone.example=?none',
    '127.0.0.8=slow.example slow.example=?hang',
    '127.0.0.9=127.0.0.2 127.0.0.10=a%nb"(x)',
    '127.0.0.11=many.example many.example=' + ','.join(f'10.9.{i}.1' for i in range(40)) +
    ',127.0.0.11',
    '127.0.0.12=127.evil.example 127.evil.example=127.0.0.12',
    '127.0.0.13=Honest.EXAMPLE. Honest.EXAMPLE=127.0.0.13',
    '::1=six.example six.example=::1',
])


@pytest.fixture
def serve(start):
    """Starts the service that tells names."""
    def start_service(*words, names=NAMES, port=PORT, evented=False, **options):
        environment = {'LOOKUPS_EVENTED': '1' if evented else None, 'LD_PRELOAD': tend.find_program('names.so'), 'TEND_NAMES': names,
                       'ASAN_OPTIONS': 'verify_asan_link_order=0'}
        return start(*port, *words, program=options.pop('program', tend.find_program('lookups')),
                     environment=environment, **options)
    return start_service


def name_of(server, source, host='127.0.0.1'):
    """What the server calls a client from there; None when it is turned away."""
    with from_address(source, (host, server.port)) as c:
        c.half_close()
        return c.recv_all().decode().rstrip('\n') or None


# ---- reverse_lookups ----

def test_nobody_is_looked_up_unless_asked_for(serve):
    """NS-ACC-10, NS-OPT-56: a dead resolver is none of our business then."""
    for words in ([], ['reverse_lookups', 'off', 'double_reverse_lookups', 'no']):
        server = serve('server_type', 'Single', *words)
        assert name_of(server, '127.0.0.2') == name_of(server, '127.0.0.6') == '-'
        assert 'example' not in server.log()


def test_name_is_known_from_the_connect_line_to_the_end(serve, personality):
    """NS-ACC-11, NS-LOG-21, NS-TST-62"""
    server = serve('server_type', personality, 'reverse_lookups', '1')
    with from_address('127.0.0.2', server.address) as c:
        here = c.sock.getsockname()[1]
        assert c.recv_line() == 'honest.example'
    server.wait_log('closed: honest.example')
    lines = re.findall(r'(CONNECT .*|\w+: honest\.example)(?= \[\d+\]$)', server.log(), re.MULTILINE)
    assert lines == [
        f'CONNECT TCP Peer: "[127.0.0.2]:{here}" (honest.example)  '
        f'Local: "[127.0.0.1]:{server.port}"',
        *(f'{hook}: honest.example' for hook in
          ('accepted', 'allow', 'process', 'processed', 'closed'))]


def test_name_of_one_client_is_not_that_of_the_next(serve):
    """NS-ACC-11: the connection object is the same"""
    server = serve('server_type', 'Single', 'reverse_lookups', 'on')
    assert [name_of(server, f'127.0.0.{n}') for n in (2, 4, 3, 4)] == \
        ['honest.example', '-', 'bank.example', '-']


@pytest.mark.parametrize('source, name', [
    ('127.0.0.4', '-'), ('127.0.0.5', '-'), ('127.0.0.7', 'gone.example'), ('127.0.0.9', '-'),
    ('127.0.0.10', '-'), ('127.0.0.13', 'Honest.EXAMPLE'),
])
def test_client_without_a_good_name_is_served_all_the_same(serve, source, name):
    """NS-ACC-15: and an address is no name, nor is what would do harm in a log."""
    server = serve('server_type', 'Single', 'reverse_lookups', '1')
    assert name_of(server, source) == name
    assert 'a%nb' not in server.log()


@needs_ipv6
def test_mapped_client_is_looked_up_as_ipv4_and_ipv6_as_itself(serve):
    """NS-ACC-02, NS-ACC-12"""
    server = serve('server_type', 'Single', 'reverse_lookups', 'double-debug',
                   port=['port', '0', 'log_level', '3'])
    assert name_of(server, '127.0.0.2') == 'honest.example'
    server.wait_log(r'lookup of 127\.0\.0\.2: .*seen as ::ffff:127\.0\.0\.2')
    assert name_of(server, '::1', '::1') == 'six.example'


def test_unix_clients_have_no_name_and_need_none(serve, directory):
    """NS-ACC-01"""
    server = serve('server_type', 'Single', 'double_reverse_lookups', 'autofail',
                   port=['port', f'{directory}/socket|unix', 'log_level', '3'])
    with server.client() as c:
        assert c.recv_line() == '-'


# ---- rules ----

RULES = {
    'allow by name': (['allow', r'.*\.example'], '2 3', '4'),
    'allow by name or network': (['allow', r'honest\..*', 'cidr_allow', '127.0.0.4'], '2 4', '3'),
    'case and the final dot do not count': (['allow', r'HONEST\.example'], '2 13', '3'),
    'deny by name': (['allow', '.*', 'deny', r'bank\..*'], '2 4', '3'),
    'deny by name beats cidr_allow': (['cidr_allow', '127.0.0.0/8', 'deny', r'.*\.example'],
                                      '4', '2 3'),
    'cidr_deny beats a name': (['allow', r'.*\.example', 'cidr_deny', '127.0.0.2'], '3', '2'),
    'no name passes for an address': (['allow', r'127\.0\.0\.2'], '2', '9'),
    'nor does the beginning of one': (['allow', r'127\.[a-z].*'], '', '12 2'),
    'but to deny it does': (['allow', '.*', 'deny', r'127\.[a-z].*'], '2', '12'),
}


@pytest.mark.parametrize('rules, allowed, denied', RULES.values(), ids=RULES.keys())
def test_patterns_see_the_name_beside_the_address(serve, rules, allowed, denied):
    """NS-ACC-03, NS-ACC-07, NS-TST-62"""
    server = serve('server_type', 'Single', 'reverse_lookups', '1', *rules)
    for n in allowed.split():
        assert name_of(server, f'127.0.0.{n}') is not None, server.log()
    for n in denied.split():
        assert name_of(server, f'127.0.0.{n}') is None, server.log()


# ---- double_reverse_lookups ----

VERDICTS = [
    ('127.0.0.2', None), ('127.0.0.11', None), ('127.0.0.13', None),
    ('127.0.0.3', 'its name has other addresses'), ('127.0.0.4', 'its address has no name'),
    ('127.0.0.5', 'its name could not be looked up'), ('127.0.0.7', 'its name has no address'),
    ('127.0.0.9', 'no name that a host can have'),
]


@pytest.mark.parametrize('words', [
    ['double_reverse_lookups', '1'], ['reverse_lookups', 'double'], ['reverse_lookups', '2'],
], ids=' '.join)
def test_client_needs_a_name_that_leads_back(serve, words):
    """NS-ACC-12, NS-ACC-14, NS-ACC-15, NS-FIX-18, NS-OPT-56, NS-OPT-57"""
    server = serve('server_type', 'Single', *words)
    for source, reason in VERDICTS:
        name = name_of(server, source)
        assert (name is None) == (reason is not None), (source, server.log())
        if reason:
            server.wait_log(rf'Double reverse lookup of {source}: .*{reason}')
            server.wait_log(rf'Denied {source}:\d+: .*{reason}')
    assert server.log().count('Denied') == sum(reason is not None for _, reason in VERDICTS)


def test_unconfirmed_name_is_nobodys(serve):
    """NS-ACC-12: not in the CONNECT line, nor for hooks and patterns; `allow` is not asked."""
    server = serve('server_type', 'Single', 'double_reverse_lookups', '1', 'allow', '.*')
    assert name_of(server, '127.0.0.3') is None
    server.wait_log('closed: -')
    hooks = re.findall(r' (\w+): -', server.log())
    assert hooks == ['accepted', 'denied', 'processed', 'closed']
    assert re.search(r'CONNECT TCP Peer: "\[127\.0\.0\.3\]:\d+" Local', server.log())


def test_rules_come_after_the_name(serve):
    """NS-ACC-03: a good name alone is not enough, nor is a rule."""
    server = serve('server_type', 'Single', 'reverse_lookups', 'double', 'allow', r'.*\.example')
    assert name_of(server, '127.0.0.2') == 'honest.example'
    assert name_of(server, '127.0.0.3') is None
    server = serve('server_type', 'Single', 'reverse_lookups', 'double', 'cidr_deny', '127.0.0.2')
    assert name_of(server, '127.0.0.2') is None
    server.wait_log(r'Denied .*cidr_deny')


MODES = {
    # words: what success logs, what a mismatch logs beyond name and reason
    'plain': ('double_reverse_lookups=1', None, ''),
    'detail': ('double_reverse_lookups=detail', None, '192.0.2.2, 192.0.2.3'),
    'double-detail': ('reverse_lookups=double-detail', None, '192.0.2.2, 192.0.2.3'),
    'debug': ('double_reverse_lookups=debug', '192.0.2.1, 127.0.0.2', '192.0.2.2, 192.0.2.3'),
    '2-debug': ('reverse_lookups=2-debug', '192.0.2.1, 127.0.0.2', '192.0.2.2, 192.0.2.3'),
}


@pytest.mark.parametrize('word, success, mismatch', MODES.values(), ids=MODES.keys())
def test_modes_tell_more(serve, word, success, mismatch):
    """NS-ACC-13, NS-ACC-14, NS-LOG-20 (double-lookup)"""
    server = serve('server_type', 'Single', f'--{word}')
    assert name_of(server, '127.0.0.2') == 'honest.example'
    assert name_of(server, '127.0.0.3') is None
    line = server.wait_log(r'Double reverse lookup of 127\.0\.0\.3: (.*)').group(1)
    assert 'bank.example' in line
    assert ('192.0.2' in line) == bool(mismatch) and mismatch in line
    found = re.search(r'Double reverse lookup of 127\.0\.0\.2: (.*)', server.log())
    assert bool(found) == bool(success)
    if success:
        assert 'honest.example' in found.group(1) and success in found.group(1)


@pytest.mark.parametrize('word', ['double_reverse_lookups=autofail',
                                  'reverse_lookups=double-autofail'])
def test_autofail_denies_everybody(serve, word):
    """NS-ACC-13"""
    server = serve('server_type', 'Single', f'--{word}')
    assert name_of(server, '127.0.0.2') is name_of(server, '127.0.0.3') is None
    server.wait_log(r'Double reverse lookup of 127\.0\.0\.2: .*autofail.*honest\.example')
    server.wait_log(r'Double reverse lookup of 127\.0\.0\.3: .*other addresses.*bank\.example')


@pytest.mark.parametrize('word', ['reverse_lookups=dobule', 'double_reverse_lookups=maybe',
                                  'lookup_timeout=soon', 'lookup_timeout=-1'])
def test_mode_that_there_is_not_stops_the_start(word):
    """NS-OPT-56, NS-OPT-57: what was meant to keep clients out does not let them in."""
    done = tend.run('echo', *PORT, f'--{word}')
    assert done.returncode == tend.EX_USAGE
    assert len(done.stderr.splitlines()) == 1 and word.split('=')[0] in done.stderr


# ---- a resolver that does not answer ----

QUICK = ['lookup_timeout', '0.2']


def test_lookup_ends_at_its_time(serve, personality):
    """NS-ACC-19: the client is served without a name."""
    server = serve('server_type', personality, 'reverse_lookups', '1', *QUICK)
    assert name_of(server, '127.0.0.6') == '-'
    server.wait_log(r'Cannot look up the name of 127\.0\.0\.6: .*lookup_timeout')
    assert name_of(server, '127.0.0.2') == 'honest.example'


@pytest.mark.parametrize('source', ['127.0.0.6', '127.0.0.8'])
def test_lookup_that_does_not_end_denies_where_a_name_is_needed(serve, source):
    """NS-ACC-12, NS-ACC-19: fails closed, in the first question as in the second."""
    server = serve('server_type', 'Single', 'double_reverse_lookups', '1', *QUICK)
    assert name_of(server, source) is None
    server.wait_log(rf'Denied {source}:\d+: .*lookup_timeout')
    assert name_of(server, '127.0.0.2') == 'honest.example'


@pytest.mark.parametrize('server_type', ['Fork', 'PreForkSimple', 'PreFork', 'Thread'])
def test_dead_resolver_holds_up_nobody_else(serve, server_type):
    """NS-ACC-19: others are served while one waits for its name, without an end here."""
    server = serve('server_type', server_type, 'max_servers', '8', 'reverse_lookups', '1',
                   'lookup_timeout', '0')
    waiting = [from_address('127.0.0.6', server.address) for _ in range(3)]
    for _ in range(10):
        assert name_of(server, '127.0.0.2') == 'honest.example'
    for c in waiting:
        c.close()


def test_stop_ends_a_lookup(serve, personality):
    """NS-ACC-19, NS-SHD-01: TERM is not kept waiting by a dead resolver."""
    server = serve('server_type', personality, 'reverse_lookups', '1', 'lookup_timeout', '0',
                   'stop_timeout', '1000')
    with from_address('127.0.0.6', server.address):
        with from_address('127.0.0.6', server.address):
            eventually(lambda: any(thread_count(one.pid) > 1 for one in server.tree()),
                       what='a thread that asks')
            assert server.stop() == 0


def thread_count(pid):
    """Of the process; 0 when it is gone."""
    try:
        with open(f'/proc/{pid}/status', encoding='ascii', errors='replace') as file:
            return int(re.search(r'^Threads:\s*(\d+)', file.read(), re.MULTILINE).group(1))
    except (OSError, AttributeError):
        return 0


def test_worker_with_a_dead_resolver_keeps_its_size(serve):
    """NS-ACC-19: threads that are stuck are as many as may be, and leave no descriptors."""
    server = serve('server_type', 'Single', 'reverse_lookups', '1', 'lookup_timeout', '0.002')
    name_of(server, '127.0.0.6')
    before = server.fds()
    for _ in range(150):
        assert name_of(server, '127.0.0.6') == '-'
    # The server itself, 128 that ask, and one of a sanitizer.
    assert thread_count(server.pid) <= 130
    assert server.fds() == before


def test_failures_of_the_resolver_are_no_flood_of_warnings(serve):
    """NS-ACC-19: one line in ten seconds at level 1, the others at level 3."""
    server = serve('server_type', 'Single', 'reverse_lookups', '1',
                   port=['port', '127.0.0.1:0', 'log_level', '2'])
    for _ in range(20):
        assert name_of(server, '127.0.0.5') == '-'
    server.wait_log('Cannot look up the name of 127')
    assert server.log().count('Cannot look up') <= 2


# ---- many clients in one process ----

MULTIPLEX = ['server_type', 'Multiplex', 'workers', '1']
both_moods = pytest.mark.parametrize('evented', [False, True], ids=['fibers', 'evented'])


@both_moods
def test_dead_resolver_does_not_stop_the_loop(serve, evented):
    """NS-MUX-17, MX-134: those who wait for their names hold up nobody."""
    server = serve(*MULTIPLEX, 'reverse_lookups', '1', 'lookup_timeout', '0', evented=evented)
    waiting = [from_address('127.0.0.6', server.address) for _ in range(40)]
    for _ in range(10):
        assert name_of(server, '127.0.0.4') == '-'
    for c in waiting:
        c.close()


@both_moods
def test_lookups_decide_as_everywhere(serve, evented):
    """NS-MUX-17, NS-ACC-12, NS-ACC-19: each step in its order, whoever waits."""
    server = serve(*MULTIPLEX, 'double_reverse_lookups', '1', *QUICK, evented=evented)
    for source, reason in [*VERDICTS, ('127.0.0.6', 'lookup_timeout'),
                           ('127.0.0.8', 'lookup_timeout')]:
        assert (name_of(server, source) is None) == (reason is not None), (source, server.log())
        if reason:
            server.wait_log(rf'Denied {source}:\d+: .*{reason}')
    assert name_of(server, '127.0.0.2') == 'honest.example'
    steps = ['accepted', 'allow', *([] if evented else ['process']), 'processed', 'closed']
    server.wait_log('closed: honest.example', count=2)
    hooks = re.findall(r' (\w+): honest\.example', server.log())
    assert hooks == 2 * steps
    assert server.log().count('closed: -') == server.log().count('denied: -')


@both_moods
def test_stop_does_not_wait_for_names(serve, evented):
    """NS-ACC-19, NS-SHD-01"""
    server = serve(*MULTIPLEX, 'reverse_lookups', '1', 'lookup_timeout', '0', 'stop_timeout',
                   '1000', evented=evented)
    with from_address('127.0.0.6', server.address), from_address('127.0.0.6', server.address):
        eventually(lambda: any(thread_count(one.pid) > 2 for one in server.tree()),
                   what='threads that ask')
        assert server.stop() == 0


def test_client_whose_name_is_not_known_yet_hears_nothing(serve):
    """NS-ACC-16: what others send to all is not for those who may still be denied."""
    server = serve(*MULTIPLEX, 'double_reverse_lookups', '1', 'lookup_timeout', '0', evented=True)
    with from_address('127.0.0.6', server.address) as outside:
        eventually(lambda: any(thread_count(one.pid) > 1 for one in server.tree()),
                   what='a thread that asks')
        with from_address('127.0.0.2', server.address) as inside:
            assert inside.recv_line() == 'honest.example'
            inside.send_line('hello')
            assert inside.recv_line() == 'hello'
            server.stop()
        assert outside.recv_all() == b''


def test_evented_client_that_is_gone_before_its_name_is_let_go_of(serve):
    """NS-ACC-19: the answer finds nobody, and nothing is left."""
    server = serve(*MULTIPLEX, 'reverse_lookups', '1', *QUICK, evented=True)
    for _ in range(3):
        from_address('127.0.0.6', server.address).reset()
    server.wait_log('closed: -', count=3)
    assert name_of(server, '127.0.0.2') == 'honest.example'


# ---- hooks and programs ----

def test_name_comes_after_a_parent_has_accepted(serve):
    """NS-ACC-11, NW-44: the parent waits for nobody; the name follows in a line of its own."""
    server = serve('server_type', 'Fork', 'accepted_in_parent', '1', 'reverse_lookups', '1')
    assert name_of(server, '127.0.0.2') == 'honest.example'
    server.wait_log(r'The name of 127\.0\.0\.2:\d+ is honest\.example')
    assert re.findall(r' (accepted|allow): (\S+)', server.log()) == \
        [('accepted', '-'), ('allow', 'honest.example')]


def test_programs_are_told_the_name(serve):
    """UCSPI: TCPREMOTEHOST, where it is known; never what somebody else had put there."""
    server = serve(program=tend.find_program(), port=[
        'run', *PORT, 'reverse_lookups', 'double', '--', 'sh', '-c', 'echo "${TCPREMOTEHOST-none}"'])
    assert name_of(server, '127.0.0.2') == 'honest.example'
    server = serve(program=tend.find_program(), port=[
        'run', *PORT, 'reverse_lookups', '1', '--', 'sh', '-c', 'echo "${TCPREMOTEHOST-none}"'])
    assert name_of(server, '127.0.0.4') == 'none'


def test_conf_file_of_net_server_turns_lookups_on(serve, directory):
    """NS-OPT-56: as its manual has it"""
    path = directory / 'tend.conf'
    path.write_text('### look up names?\nreverse_lookups on\n')
    server = serve('server_type', 'Single', 'conf_file', path)
    assert name_of(server, '127.0.0.2') == 'honest.example'
