"""Who may come, seen by clients of many addresses: all of 127.0.0.0/8 is this machine."""

import re
import socket

import pytest

import tend
from daemons import free_port, from_address, greeting, needs_ipv6
from tend import eventually

PORT = ['port', '127.0.0.1:0']


def is_served(server, source, host='127.0.0.1'):
    """Whether a client from there gets the banner; who does not, gets nothing but the end."""
    with from_address(source, (host, server.port)) as c:
        first = c.recv()
        if not first:
            return False
        assert first.startswith(b'Welcome to '), first
        return True


def clients(allowed, denied):
    return [(source, True) for source in allowed.split()] + \
        [(source, False) for source in denied.split()]


# The rules; who is served; who is not.
MATRIX = {
    'no rule': ([], '127.0.0.1 127.0.0.2 127.1.2.3', ''),
    # allow and deny: regular expressions
    'allow': (['allow', r'127\.0\.0\.2'], '127.0.0.2', '127.0.0.1 127.0.0.20 127.0.0.22'),
    'allow twice': (['allow', r'127\.0\.0\.2', 'allow', r'127\.0\.0\.3'],
                    '127.0.0.2 127.0.0.3', '127.0.0.1 127.0.0.4'),
    'allow, any character': (['allow', '127.0.0.2'], '127.0.0.2', '127.0.0.1'),
    'allow, class': (['allow', r'127\.0\.0\.[2-4]'], '127.0.0.2 127.0.0.4', '127.0.0.1 127.0.0.5'),
    'deny beats allow': (['allow', r'127\..*', 'deny', r'127\.0\.0\.2'],
                         '127.0.0.1 127.0.0.3', '127.0.0.2'),
    'order does not matter': (['deny', r'127\.0\.0\.2', 'allow', r'127\..*'],
                              '127.0.0.1', '127.0.0.2'),
    # only deny rules: nobody is welcome
    'deny alone': (['deny', r'127\.0\.0\.2'], '', '127.0.0.1 127.0.0.2'),
    'cidr_deny alone': (['cidr_deny', '127.0.0.2'], '', '127.0.0.1 127.0.0.2'),
    'both deny': (['deny', r'127\.0\.0\.2', 'cidr_deny', '127.0.0.3'], '', '127.0.0.1'),
    # both ends are anchored
    'beginning': (['allow', '127'], '', '127.0.0.1'),
    'end': (['allow', r'0\.1'], '', '127.0.0.1'),
    'beginning and more': (['allow', r'127\..*'], '127.0.0.1 127.255.0.7', ''),
    'own anchors': (['allow', r'^127\.0\.0\.1$'], '127.0.0.1', '127.0.0.11'),
    # and alternatives do not get around the anchors
    'alternatives': (['allow', r'127|10\.0\.0\.1'], '', '127.0.0.1 127.10.0.1'),
    'last alternative': (['allow', r'10\.0\.0\.1|1'], '', '127.0.0.1'),
    'whole alternatives': (['allow', r'127\.0\.0\.2|127\.0\.0\.3'],
                           '127.0.0.2 127.0.0.3', '127.0.0.1 127.0.0.23'),
    'denied alternatives': (['allow', r'127\..*', 'deny', '127|1'], '127.0.0.1', ''),
    'comment': (['allow', '(?x)127 #'], '', '127.0.0.1'),
    # a name never matches: nobody is looked up
    'name': (['allow', 'localhost'], '', '127.0.0.1'),
    'name and network': (['allow', r'.+\.example', 'cidr_allow', '127.0.0.0/30'],
                         '127.0.0.1 127.0.0.2', '127.0.0.4'),
    # networks
    'network': (['cidr_allow', '127.0.0.0/30'], '127.0.0.1 127.0.0.2 127.0.0.3', '127.0.0.4'),
    'one address': (['cidr_allow', '127.0.0.2'], '127.0.0.2', '127.0.0.1 127.0.0.3'),
    'one address, /32': (['cidr_allow', '127.0.0.2/32'], '127.0.0.2', '127.0.0.1 127.0.0.3'),
    'range': (['cidr_allow', '127.0.0.2-127.0.0.4'], '127.0.0.2 127.0.0.3 127.0.0.4',
              '127.0.0.1 127.0.0.5'),
    'everybody': (['cidr_allow', '0.0.0.0/0'], '127.0.0.1 127.255.255.254', ''),
    'only IPv6': (['cidr_allow', '::/0'], '', '127.0.0.1'),
    'both versions': (['cidr_allow', '2001:db8::/32', 'cidr_allow', '127.0.0.2',
                       'cidr_allow', '::1'], '127.0.0.2', '127.0.0.1'),
    'hole in a network': (['cidr_allow', '127.0.0.0/8', 'cidr_deny', '127.0.0.4/30'],
                          '127.0.0.1 127.0.0.3 127.0.0.8', '127.0.0.4 127.0.0.7'),
    'range that is denied': (['cidr_allow', '127.0.0.0/8', 'cidr_deny', '127.0.0.3-127.0.0.5'],
                             '127.0.0.2 127.0.0.6', '127.0.0.3 127.0.0.4 127.0.0.5'),
    # all four together, in the order of NS-ACC-03
    'either allow suffices': (['allow', r'127\.0\.0\.2', 'cidr_allow', '127.0.0.3'],
                              '127.0.0.2 127.0.0.3', '127.0.0.1'),
    'either deny suffices': (['allow', r'127\..*', 'cidr_allow', '127.0.0.0/8',
                              'deny', r'127\.0\.0\.2', 'cidr_deny', '127.0.0.3'],
                             '127.0.0.1 127.0.0.4', '127.0.0.2 127.0.0.3'),
    'deny beats cidr_allow': (['cidr_allow', '127.0.0.0/8', 'deny', r'127\.0\.0\.2'],
                              '127.0.0.1', '127.0.0.2'),
    'cidr_deny beats allow': (['allow', r'127\..*', 'cidr_deny', '127.0.0.2'],
                              '127.0.0.1', '127.0.0.2'),
}


@pytest.mark.parametrize('rules, allowed, denied', MATRIX.values(), ids=MATRIX.keys())
def test_matrix(start, rules, allowed, denied):
    """NS-TST-62, NS-ACC-03 to NS-ACC-06, NS-ACC-09, NS-ACC-10, NS-ACC-17"""
    server = start('Single', *PORT, *rules)
    for source, wanted in clients(allowed, denied):
        assert is_served(server, source) == wanted, (source, server.log())


@pytest.mark.parametrize('rules, allowed, denied', MATRIX.values(), ids=MATRIX.keys())
def test_matrix_for_mapped_addresses(start, rules, allowed, denied):
    """NS-TST-62, NS-ACC-02, NS-FIX-41: an IPv4 client of a dual-stack socket is an IPv4 client."""
    server = start('Single', 'port', '0', *rules)
    for source, wanted in clients(allowed, denied):
        assert is_served(server, source) == wanted, (source, server.log())


@needs_ipv6
@pytest.mark.parametrize('rules, v4, v6', [
    (['allow', r'127\.0\.0\.1'], True, False),
    (['allow', r'::ffff:127\.0\.0\.1'], False, False),
    (['allow', '::1'], False, True),
    (['cidr_allow', '127.0.0.0/8'], True, False),
    (['cidr_allow', '::1/128'], False, True),
    (['cidr_allow', '::1/128', 'cidr_allow', '127.0.0.0/8'], True, True),
    (['cidr_allow', '0.0.0.0/0', 'cidr_allow', '::/0', 'cidr_deny', '::/96'], True, False),
    (['cidr_allow', '::-::ff', 'cidr_allow', '10.0.0.0/8'], False, True),
], ids=str)
def test_both_versions_of_a_dual_stack_socket(start, rules, v4, v6):
    """NS-ACC-02, NS-ACC-09"""
    server = start('Single', 'port', '0', *rules)
    assert is_served(server, '127.0.0.1') == v4
    assert is_served(server, '::1', '::1') == v6


def test_rules_hold_under_every_personality(start, personality):
    """NS-TST-62, NS-FLW-11: and a denied client costs the next nothing."""
    server = start(personality, *PORT, 'allow', r'127\.0\.0\.[12]', 'cidr_deny', '127.0.0.2')
    for _ in range(5):
        assert is_served(server, '127.0.0.1')
        assert not is_served(server, '127.0.0.2')
        assert not is_served(server, '127.0.0.3')
    assert server.is_alive()


@pytest.mark.parametrize('rules', [
    ['cidr_deny', '0.0.0.0/0', 'cidr_deny', '::/0'], ['deny', '.*'], ['allow', 'nobody'],
], ids=' '.join)
def test_unix_clients_are_exempt(start, directory, personality, rules):
    """NS-ACC-01, NS-UNX-06"""
    server = start(personality, *PORT, 'port', f'{directory}/socket|unix', *rules, listeners=2)
    assert not is_served(server, '127.0.0.1')
    with server.client(1) as c:
        greeting(c)


@pytest.mark.parametrize('command', ['echo', 'Fork'])
def test_denied_client_gets_the_end_and_not_a_byte(start, command):
    """NS-ACC-17: nor a reset, although it has sent something."""
    server = start(command, *PORT, 'deny', '.*')
    for _ in range(5):
        with server.client() as c:
            c.send(b'hello\n')
            c.half_close()
            c.expect_end()


DENIALS = [
    (['allow', r'127\.0\.0\.9'], r'matches no allow'),
    (['allow', '.*', 'deny', r'127\.0\.0\.2'], r"matches deny '127\\\.0\\\.0\\\.2'"),
    (['allow', '.*', 'cidr_deny', '127.0.0.0/29'], r'cidr_deny 127\.0\.0\.0'),
    (['cidr_deny', '10.0.0.0/8'], r'deny rules only'),
    (['cidr_allow', '10.0.0.0/8'], r'matches no allow or cidr_allow'),
]


@pytest.mark.parametrize('rules, reason', DENIALS, ids=[' '.join(rules) for rules, _ in DENIALS])
@pytest.mark.parametrize('log_level', ['2', '3'])
def test_denial_is_in_the_log_with_its_reason(start, rules, reason, log_level):
    """NS-ACC-18, NS-ACC-20: and behind the CONNECT line, where that is shown."""
    server = start('Fork', *PORT, *rules, 'log_level', log_level)
    with from_address('127.0.0.2', server.address) as c:
        here = c.sock.getsockname()[1]
        c.expect_end()
    found = server.wait_log(rf'Denied 127\.0\.0\.2:{here}: .*{reason}')
    connect = re.search(rf'CONNECT TCP Peer: "\[127\.0\.0\.2\]:{here}"', server.log())
    assert bool(connect) == (log_level == '3')
    if connect:
        assert connect.start() < found.start()


def test_served_client_is_in_no_denial(start):
    server = start('Single', *PORT, 'allow', '.*', 'cidr_deny', '127.0.0.2')
    assert is_served(server, '127.0.0.1') and not is_served(server, '127.0.0.2')
    server.wait_log('Denied 127')
    assert server.log().count('Denied') == 1


def test_denied_connections_count(start):
    """NS-GEN-07: as requests of their worker, which is replaced after so many."""
    server = start('PreForkSimple', *PORT, 'max_servers', '1', 'max_requests', '3', 'log_level',
                   '4', 'allow', r'127\.0\.0\.1')
    first = eventually(server.children)
    for source in ('127.0.0.2', '127.0.0.1', '127.0.0.2'):
        is_served(server, source)
    eventually(lambda: server.children() not in ([], first), what='another worker')


INVALID = [
    ('allow', '('), ('deny', '['), ('allow', '127.0.0.1)'), ('deny', '*'), ('allow', '(?<name'),
    ('allow', ''), ('cidr_allow', '127.0.0.0/33'), ('cidr_allow', '::/129'),
    ('cidr_deny', '127.0.0.0/'), ('cidr_deny', '127.0.0.256'), ('cidr_allow', 'localhost'),
    ('cidr_allow', '127.0.0.9-127.0.0.1'), ('cidr_allow', '127.0.0.1-::1'),
    ('cidr_deny', '127.0.0.0/-1'), ('cidr_deny', '127.0.0.0/8/8'), ('cidr_allow', '127.0.0'),
]


@pytest.mark.parametrize('option, value', INVALID, ids=[f'{o} {v}' for o, v in INVALID])
def test_invalid_rule_stops_the_start(option, value):
    """NS-TST-62, NS-ACC-08, NS-FLW-05: a good rule beside it does not help"""
    good = {'allow': '.*', 'deny': 'x', 'cidr_allow': '127.0.0.0/8', 'cidr_deny': '10.0.0.0/8'}
    done = tend.run('Fork', *PORT, option, good[option], f'--{option}={value}')
    assert done.returncode == tend.EX_CONFIG, (done.returncode, done.stderr)
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert option in done.stderr and value in done.stderr


# Patterns that a plain matcher works on for very long, and whose end nobody can foresee.
RUNAWAYS = [r'((((((.+)+)+)+)+)+)+[xy]', r'(([0-9.]+)*)*[xy]', r'((.*.*)*.*.*)*[xy]']


@pytest.mark.parametrize('pattern', RUNAWAYS)
@pytest.mark.parametrize('option', ['allow', 'deny'])
def test_runaway_pattern_denies_within_moments(start, option, pattern):
    """NS-ACC-03: an answer that cannot be had in time is no."""
    server = start('Single', *PORT, 'allow', '.*' if option == 'deny' else '127',
                   option, pattern)
    for _ in range(3):
        watch = tend.Stopwatch()
        with from_address('127.100.100.100', server.address) as c:
            c.expect_end()
        assert watch.taken() < tend.DEADLINE / 4
    server.wait_log('Denied .*match limit')


def test_thousand_networks_are_looked_up(start, directory):
    """A list as long as those that are made by machines."""
    path = directory / 'tend.conf'
    lines = [f'cidr_deny 127.{i}.0.{j}' for i in range(40) for j in range(0, 250, 10)]
    path.write_text('cidr_allow 127.0.0.0/8\n' + '\n'.join(lines) + '\n')
    server = start('Single', *PORT, 'conf_file', path)
    assert is_served(server, '127.7.0.1') and is_served(server, '127.40.0.10')
    assert not is_served(server, '127.7.0.110') and not is_served(server, '127.39.0.240')


def test_denied_clients_do_not_stop_others(start):
    """A flood of them, while somebody else is served."""
    server = start('Fork', *PORT, 'allow', r'127\.0\.0\.1')
    with server.client() as friend:
        greeting(friend)
        for _ in range(100):
            from_address('127.0.0.2', server.address).close()
        friend.send_line('still here')
        friend.expect(r'.*You said "still here"')
    assert is_served(server, '127.0.0.1')


def test_port_of_the_client_does_not_matter(start):
    port = free_port()
    server = start('Single', *PORT, 'cidr_allow', '127.0.0.1')
    with socket.socket() as sock:
        sock.settimeout(tend.DEADLINE)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(('127.0.0.1', port))
        sock.connect(server.address)
        with tend.Client(sock=sock) as c:
            greeting(c)
