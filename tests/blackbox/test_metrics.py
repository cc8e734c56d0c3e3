"""What monitoring gets: OpenMetrics that Debian's parser reads, figures that agree with the load
generator and with the control socket, and probes that tell the truth."""

import json
import os
import re
import signal
import socket
import subprocess

import pytest

import looking
import pools
import tend
from looking import ctl, echo, start_watched, status, wait_status
from tend import eventually

# In the parser's own Python: that of the tests may be another.
PARSE = '''
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
print(json.dumps([[f.name, f.type, f.unit, bool(f.documentation),
                   [[s.name, s.labels, s.value] for s in f.samples]]
                  for f in text_string_to_metric_families(sys.stdin.read())]))
'''


def has_parser():
    return subprocess.run(['/usr/bin/python3', '-c', 'import prometheus_client.openmetrics.parser'],
                          capture_output=True).returncode == 0


needs_parser = pytest.mark.skipif(not has_parser(), reason='needs python3-prometheus-client')


def watch(start, directory, personality, *words):
    """A server with metrics on a port, which is server.metrics then."""
    server = start_watched(start, directory, personality, 'metrics', '0', *words)
    port = server.wait_log(r'Metrics on http://127\.0\.0\.1:(\d+)/metrics')[1]
    server.metrics = ('127.0.0.1', int(port))
    return server


@pytest.fixture(params=['Single', 'Fork', 'Multiplex', *pools.POOLS])
def watched(request, start, directory):
    return watch(start, directory, request.param)


@pytest.fixture
def pool(start, directory):
    return watch(start, directory, 'PreForkSimple')


def request(address, text):
    """The answer to a request: status, headers, body."""
    with tend.Client(address) as client:
        client.send(text)
        head, body = client.recv_all().split(b'\r\n\r\n', 1)
    first, *lines = head.decode().split('\r\n')
    headers = dict(line.split(': ', 1) for line in lines)
    assert int(headers['Content-Length']) == len(body) or text.startswith('HEAD')
    return int(first.split()[1]), headers, body.decode()


def get(server, path):
    return request(server.metrics, f'GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n')


def families(text):
    """What the parser makes of it: {sample name and labels: value}, and the families themselves."""
    done = subprocess.run(['/usr/bin/python3', '-c', PARSE], input=text, capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr + text
    parsed = json.loads(done.stdout)
    values = {name + ''.join(f'{{{key}={value}}}' for key, value in sorted(labels.items())): number
              for family in parsed for name, labels, number in family[4]}
    return values, parsed


def scrape(server):
    code, headers, body = get(server, '/metrics')
    assert code == 200 and headers['Content-Type'] == \
        'application/openmetrics-text; version=1.0.0; charset=utf-8'
    return families(body)[0]


# ---- figures ----

@needs_parser
def test_metrics_are_what_the_parser_expects(watched):
    """Each family has help and a type; it ends as it must; names have their unit."""
    body = get(watched, '/metrics')[2]
    assert body.endswith('# EOF\n')
    values, parsed = families(body)
    assert all(documented for _, _, _, documented, _ in parsed)
    kinds = {name: kind for name, kind, _, _, _ in parsed}
    assert kinds['tend_connections_accepted'] == 'counter' and kinds['tend_build'] == 'info'
    assert kinds['tend_connection_duration_seconds'] == 'histogram'
    assert all(name.endswith('_' + unit) for name, _, unit, _, _ in parsed if unit)
    assert [name for name in values if name.startswith('tend_build_info{server_type=')] != []
    assert values['tend_ready'] == 1


@needs_parser
@pytest.mark.parametrize('kind', ['PreForkSimple', 'Thread'])
def test_every_metric_is_in_the_manual(start, directory, kind):
    manual = (tend.ROOT / 'doc' / 'tend.7.scd').read_text()
    parsed = families(get(watch(start, directory, kind), '/metrics')[2])[1]
    names = {samples[0][0] if kind != 'histogram' else name
             for name, kind, _, _, samples in parsed}
    assert len(names) > 15
    assert [name for name in sorted(names) if not re.search(rf'\b{name}\b', manual)] == []


@needs_parser
def test_counts_agree_with_the_load_generator(watched):
    result = pools.storm(watched, connections=200, concurrency=4, line='storm')
    if watched.children():
        wait_status(watched, lambda s: s['active'] == 0, 'nobody is served')
    values = eventually(lambda: (lambda v: v if v['tend_connections_accepted_total'] == 200 and
                                 v['tend_connection_duration_seconds_count'] == 200 else None)(
                                     scrape(watched)))
    assert values['tend_sent_bytes_total'] == values['tend_received_bytes_total'] == result['bytes']
    assert values['tend_connections_active'] == 0
    assert values['tend_connection_duration_seconds_bucket{le=+Inf}'] == 200
    # None took longer than the generator saw it take.
    assert 0 < values['tend_connection_duration_seconds_sum'] < 200 * result['seconds']
    assert values['process_cpu_seconds_total'] > 0


@needs_parser
def test_workers_are_told_by_state_and_by_their_end(pool):
    with echo(pool):
        s = wait_status(pool, lambda s: s['active'] == 1, 'one is served')
        values = scrape(pool)
        assert values['tend_workers{state=busy}'] == 1 and values['tend_workers{state=waiting}'] == 2
        assert values['tend_workers_limit'] == 3 and values['tend_connections_active'] == 1
        idle = [child['pid'] for child in s['children'] if child['state'] == 'waiting']
        os.kill(idle[0], signal.SIGKILL)
        eventually(lambda: scrape(pool)['tend_worker_ends_total{how=signal}'] == 1)
    # Told one after the other, as the others can do the work.
    wait_status(pool, lambda s: sum(child['state'] == 'waiting' for child in s['children']) == 3,
                'the one that was killed has its successor')
    ctl(pool, 'set', 'max_requests', 7)
    eventually(lambda: scrape(pool)['tend_worker_ends_total{how=order}'] == 3)


@needs_parser
def test_process_figures_are_those_of_proc(pool):
    values = scrape(pool)
    resident = tend.memory(pool.pid)['Rss'] * 1024
    assert 0.5 < values['process_resident_memory_bytes'] / resident < 2
    fields = open(f'/proc/{pool.pid}/stat').read().rsplit(')', 1)[1].split()
    boot = float(re.search(r'btime (\d+)', open('/proc/stat').read())[1])
    began = boot + int(fields[19]) / tend.TICKS
    assert abs(values['process_start_time_seconds'] - began) < 5 * tend.SLOW


@needs_parser
def test_control_socket_tells_the_same_metrics(pool):
    pools.storm(pool, connections=20)
    wait_status(pool, lambda s: s['active'] == 0, 'nobody is served')
    done = ctl(pool, 'metrics')
    assert done.returncode == 0
    assert families(done.stdout)[0]['tend_connections_accepted_total'] == 20


@needs_parser
def test_denied_connections_have_their_reason(start, directory):
    server = watch(start, directory, 'PreFork', 'deny', '^127')
    server.client().is_cut()
    eventually(lambda: scrape(server)['tend_connections_denied_total{reason=rules}'] == 1)
    assert scrape(server)['tend_connections_denied_total{reason=service}'] == 0


def test_metrics_on_a_unix_socket(start, directory):
    server = start('echo', 'server_type', 'PreFork', 'port', '127.0.0.1:0', 'metrics',
                   f'{directory}/metrics|unix')
    server.wait_log('Metrics on socket')
    server.metrics = f'{directory}/metrics'
    assert get(server, '/livez') == (200, get(server, '/livez')[1], 'alive\n')
    assert server.stop() == 0
    assert not os.path.exists(server.metrics)


# ---- probes ----

def test_ready_server_says_so(watched):
    assert get(watched, '/readyz')[::2] == (200, 'ready\n')
    assert get(watched, '/livez')[::2] == (200, 'alive\n')


def test_server_that_stops_lives_and_is_not_ready(start, directory):
    server = watch(start, directory, 'PreFork')
    with echo(server):
        ctl(server, 'drain')
        server.wait_log('Server closing!')
        assert get(server, '/readyz')[::2] == (503, 'the server is stopping\n')
        assert get(server, '/livez')[0] == 200
    assert server.wait() == 0


def test_server_whose_workers_die_is_not_ready(start, directory):
    (directory / 'crash').write_text('exit 1')
    server = start('server_type', 'PreFork', 'port', '127.0.0.1:0', 'metrics', '0', 'crash',
                   directory / 'crash', program=tend.find_program('pool'))
    port = server.wait_log(r'Metrics on http://127\.0\.0\.1:(\d+)/metrics')[1]
    server.metrics = ('127.0.0.1', int(port))
    eventually(lambda: get(server, '/readyz')[::2] == (503, 'no worker is there\n'))
    (directory / 'crash').unlink()
    eventually(lambda: get(server, '/readyz')[0] == 200, what='it is ready again')


# ---- requests ----

@pytest.mark.parametrize('text, code', [
    ('GET / HTTP/1.1\r\n\r\n', 404),
    ('GET /metrics/ HTTP/1.1\r\n\r\n', 404),
    ('GET /metrics?a=b HTTP/1.0\n\n', 200),
    ('POST /metrics HTTP/1.1\r\nContent-Length: 9\r\n\r\n', 405),
    ('GET /metrics HTTP/3.0\r\n\r\n', 505),
    ('GET /metrics\r\n\r\n', 400),
    ('\x16\x03\x01\r\n\r\n', 400),
    ('GET / HTTP/1.1\r\nA: ' + 'a' * 5000, 431),
    ('GET /' + 'a' * 3000 + ' HTTP/1.1\r\n\r\n', 404),
])
def test_requests_have_the_status_that_fits(pool, text, code):
    answer = request(pool.metrics, text)
    assert answer[0] == code and answer[1]['Connection'] == 'close'
    assert ('Allow' in answer[1]) == (code == 405)


def test_head_has_no_body(pool):
    code, headers, body = request(pool.metrics, 'HEAD /metrics HTTP/1.1\r\n\r\n')
    assert code == 200 and int(headers['Content-Length']) > 1000 and body == ''


def test_slow_and_silent_clients_are_let_go_of(pool):
    """The place of one that only connects is free again; meanwhile others are answered."""
    silent = [tend.Client(pool.metrics) for _ in range(16)]
    silent[0].send('GET /livez HTT')
    assert b'503' in tend.Client(pool.metrics).recv_all()
    silent[0].send('P/1.1\r\n\r\n')
    assert b'alive' in silent[0].recv_all()
    silent[0].close()
    eventually(lambda: get_quietly(pool) == 200, what='a place is free')
    for client in silent[1:]:
        # After metrics_patience.
        client.sock.settimeout(3 * tend.DEADLINE)
        client.expect_end()
        client.close()
    assert get(pool, '/livez')[0] == 200


def get_quietly(server):
    try:
        return get(server, '/livez')[0]
    except (OSError, ValueError, KeyError):
        return None


def test_curl_and_its_like_are_served(pool):
    done = subprocess.run(['/usr/bin/python3', '-c', 'import sys, urllib.request; '
                           'print(urllib.request.urlopen(sys.argv[1]).read().decode())',
                           'http://127.0.0.1:%d/metrics' % pool.metrics[1]],
                          capture_output=True, text=True)
    assert '# EOF' in done.stdout, done.stderr


def test_port_in_use_ends_the_start(start, directory):
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        s.listen()
        done = tend.run('echo', 'port', '127.0.0.1:0', 'metrics', s.getsockname()[1])
    assert done.returncode == tend.EX_UNAVAILABLE
    assert 'another server listens there' in done.stderr
