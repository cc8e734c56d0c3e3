"""From rounds to tables. The columns of each kind of row are data."""
import dataclasses
import math
import re
import statistics

RANGE = 17      # "(0.98 to 1.03)" and a blank


@dataclasses.dataclass(frozen=True)
class Column:
    title: str
    key: str
    form: str = '.0f'
    width: int = 12
    limited: bool = False   # a star where the load generator was the limit


RATE = (Column('p50 us', 'p50_us', width=8), Column('p99 us', 'p99_us', width=8))
# What the ratio is taken of, the columns before it, the columns after it.
KINDS = {
    'accept': ('cpu_per_million', (Column('conns/s', 'per_second', width=10, limited=True),
                                   Column('CPU s/mill.', 'cpu_per_million', '.1f')), RATE),
    'echo': ('cpu_per_million', (Column('msgs/s', 'per_second', width=10, limited=True),
                                 Column('CPU s/mill.', 'cpu_per_million', '.3f')), RATE),
    'timers': ('start_stop_ns', (Column('start', 'start_ns', width=8),
                                 Column('move', 'restart_ns', width=8),
                                 Column('stop', 'stop_ns', width=8),
                                 Column('start+stop', 'start_stop_ns')),
               (Column('run out', 'expire_ns', width=8), Column('early', 'early', width=8))),
    'idle': (None, (Column('silent, B', 'silent_bytes'), Column('has spoken, B', 'spoken_bytes',
                                                                width=15),
                    Column('empty, KiB', 'base_kib')), ()),
    'slow': (None, (Column('grown, KiB', 'grown_kib'), Column('taken, MiB', 'taken_mib', '.1f')),
             ()),
}


def middle(server, key):
    values = [r[key] for r in server.rounds if r.get(key) is not None]
    return statistics.median(values) if values else None


def ratios(server, key):
    """Against the bare server's, round by round."""
    if key is None or server.reference is None:
        return []
    held = {(r['round'], r['window']): r[key] for r in server.reference.rounds}
    pairs = ((r[key], held.get((r['round'], r['window']))) for r in server.rounds)
    return [mine / other for mine, other in pairs if other]


def certain(values):
    """Between these two the median lies, with a probability of 95 % or more where there are six values
    that have nothing to do with each other; whatever they are spread like."""
    ordered = sorted(values)
    n, beyond = len(ordered), 0
    # That `beyond` or fewer of n lie on one side of the median, of 2 ** n ways.
    fewer = 1
    while True:
        fewer += math.comb(n, beyond + 1)
        if 2 * fewer > 0.05 * 2 ** n:
            return ordered[beyond], ordered[n - 1 - beyond]
        beyond += 1


def summary(server):
    key, before, after = KINDS[server.row.kind]
    against = ratios(server, key)
    least, most = certain(against) if against else (None, None)
    return {
        'row': server.row.name,
        'kind': server.row.kind,
        'server': server.name,
        'reference': server.reference.name if server.reference else None,
        'trouble': server.trouble,
        'skipped': server.skipped,
        'load_is_the_limit': (middle(server, 'load_busy') or 0) > 0.9,
        'medians': {c.key: middle(server, c.key) for c in (*before, *after)},
        'best': min((r[key] for r in server.rounds), default=None) if key else None,
        'ratio_to_bare': statistics.median(against) if against else None,
        'ratio_least': least,
        'ratio_most': most,
        'errors': sum(r['errors'] for r in server.rounds),
        'worker_private_kib': middle(server, 'worker_private_kib'),
        'rounds': server.rounds,
    }


# ---- lines ----

def cell(s, column):
    value = s['medians'][column.key]
    text = (format(value, column.form) if value is not None else '-').rjust(column.width)
    if column.limited:
        text += '*' if s['load_is_the_limit'] else ' '
    return text


def ratio_cells(s):
    if s['ratio_to_bare'] is None:
        return '-'.rjust(8) + ' ' * RANGE
    if s['server'] == s['reference']:
        return '1.00'.rjust(8) + ' ' * RANGE
    spread = f'({s["ratio_least"]:.2f} to {s["ratio_most"]:.2f})'
    return f'{s["ratio_to_bare"]:8.2f} {spread:<{RANGE - 1}}'


def notes(s):
    said = f'  {s["errors"]} errors' if s['errors'] else ''
    return said + ('  given up' if s['trouble'] else '')


def table_line(s, width):
    key, before, after = KINDS[s['kind']]
    if s['skipped']:
        return f'{s["server"]:<{width}}skipped: {s["skipped"]}'
    cells = [cell(s, c) for c in before]
    if key:
        cells.append(ratio_cells(s))
    cells += [cell(s, c) for c in after]
    return (f'{s["server"]:<{width}}' + ''.join(cells) + notes(s)).rstrip()


def head_line(kind):
    key, before, after = KINDS[kind]
    cells = [c.title.rjust(c.width) + (' ' if c.limited else '') for c in before]
    if key:
        cells.append(f'{"ratio":>8} {"(95 %)":<{RANGE - 1}}')
    return ''.join(cells + [c.title.rjust(c.width) for c in after])


def print_tables(rows, results):
    width = max([len(s['server']) for s in results] + [len(row.name) for row in rows]) + 2
    for row in rows:
        print(f'\n{row.name}: {row.about}\n{"":<{width}}{head_line(row.kind)}'.rstrip())
        for s in results:
            if s['row'] == row.name:
                print(table_line(s, width))
    print_workers(results, width)
    if any(s['load_is_the_limit'] for s in results):
        print('\n*  the load generator had no more to give: compare processor time, '
              'not the rate')


def print_workers(results, width):
    sizes = [s for s in results if s['worker_private_kib'] is not None]
    if sizes:
        print('\nprivate memory of an idle prefork worker')
        for s in sizes:
            print(f'{s["server"]:<{width}}{s["worker_private_kib"]:9.0f} KiB')


def print_environment(env):
    where = (f'server on core {env["server_core"]}, load on core {env["load_core"]}'
             if env['server_core'] is not None else 'nothing pinned')
    print(f'Linux {env["kernel"]}, {env["processors"]} x {env["processor"]}, {where}')
    print(f'{env["rounds"]} rounds; a window is {env["connections"]} short connections '
          f'({env["concurrency"]} at a time); {env["windows"]} windows of echo have '
          f'{env["messages"]} messages; each at most {env["seconds"]:g} s')
    build = env['build']
    if build.get('optimization') == '0' or build.get('b_sanitize', 'none') != 'none' \
            or build.get('b_coverage'):
        print('this build is not optimised or is instrumented: its figures say little')


def warn_of_others(results):
    shares = [r['others'] for s in results for r in s['rounds'] if 'others' in r]
    if shares and statistics.median(shares) > 0.05:
        print(f'\nother processes took {statistics.median(shares):.0%} of the processors '
              '(median, all windows): measure again when it is quiet')


def cpu_model(text, otherwise):
    found = re.search(r'^model name\s*:\s*(.+)$', text, re.MULTILINE)
    return found.group(1) if found else otherwise
