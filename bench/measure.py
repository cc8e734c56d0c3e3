"""A round of the servers of a row, by its kind. A window of a server is a dict of figures."""
import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import time

from processes import (TICKS, clock_of, machine_ticks, private_kib, settled, tree_descriptors,
                       tree_dirty_kib, tree_of, tree_seconds)
from server import NotBuilt, Trouble, make_ready, pin

ANSWER_PATIENCE = 60    # seconds beyond a window, for a load generator to come to its end
LEAST_MESSAGES = 10     # of each connection in a window
WINDOW_PAUSE = 0.002    # seconds for a server to go to sleep after its last answer
ARRIVAL_PATIENCE = 10   # seconds for a server to accept all that are connected


class Machine:
    """The processors since it was made."""

    def __init__(self, options):
        self.processors = options.processors
        self.ticks, self.began = machine_ticks(), time.monotonic()

    def others(self, used):
        """What share of them went to others than those who used so much."""
        ticks, took = machine_ticks() - self.ticks, time.monotonic() - self.began
        return max(0.0, (ticks / TICKS - used) / took / self.processors)


def figures(used, operations, load_used, seconds):
    return {'cpu_seconds': used, 'cpu_per_million': used / operations * 1e6,
            'per_second': operations / seconds, 'load_busy': load_used / seconds}


# ---- short connections ----

def run_load(options, port, connections, seconds):
    """Runs the load generator; its answer, and the processor time it used itself."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [os.path.join(options.bench, 'load'), '--port', str(port), '--connections',
         str(connections), '--seconds', str(seconds), '--concurrency',
         str(options.concurrency)],
        stdout=subprocess.PIPE, text=True, preexec_fn=lambda: pin(options.load_core),
        timeout=seconds + ANSWER_PATIENCE, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, 1):
        raise Trouble(f'the load generator failed with status {done.returncode}')
    seen = json.loads(done.stdout)
    if seen['connections'] == 0:
        raise Trouble(f'no connection was answered ({seen["first_error"]})')
    return seen, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def accept_window(options, server):
    run_load(options, server.port, options.connections, options.warm_up)
    master = server.process.pid
    before, machine = tree_seconds(settled(master)), Machine(options)
    seen, load_used = run_load(options, server.port, options.connections, options.seconds)
    tree = settled(master)
    used = tree_seconds(tree) - before
    seen.update(figures(used, seen['connections'], load_used, seen['seconds']),
                others=machine.others(used + load_used))
    if server.row.name == 'prefork':
        seen['worker_private_kib'] = idle_worker(master, tree)
    return seen


def idle_worker(master, tree):
    """Private memory of each worker that waits for a connection, in KiB; the median."""
    sizes = []
    for pid in tree.keys() - {master}:
        try:
            sizes.append(private_kib(pid))
        except OSError:
            continue            # not ours to look at, or it has just ended
    return statistics.median(sizes) if sizes else None


# ---- connections that stay ----

class EchoLoad:
    """echo_load, step by step: connected and warm when made, then go(), then the end."""

    def __init__(self, options, server, **words):
        where = ('--path', server.path) if server.path else ('--port', str(server.port))
        command = [os.path.join(options.bench, 'echo_load'), *where]
        for name, value in words.items():
            command += ['--' + name.replace('_', '-'), str(value)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            preexec_fn=lambda: make_ready(options.load_core))
        self.expect('ready')

    def expect(self, word):
        if self.line().strip() != word:
            self.close()
            raise Trouble(f'echo_load: expected {word!r}')

    def line(self):
        text = self.process.stdout.readline()
        if not text:
            raise Trouble(f'echo_load ended with status {self.process.wait()}')
        return text

    def say(self):
        self.process.stdin.write('\n')
        self.process.stdin.flush()

    def go(self):
        """One window: what it saw, and the processor time it used."""
        before = tree_seconds(tree_of(self.process.pid))
        self.say()
        seen = json.loads(self.line())
        return seen, tree_seconds(tree_of(self.process.pid)) - before

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        try:
            self.process.wait(ANSWER_PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Side:
    """One server of an echo row, running, with a load that is connected to it and warm."""

    def __init__(self, options, server):
        row = server.row
        self.server, self.load = server, None
        server.start(options.server_core)
        # Enough on each connection that all of them have buffers; the rest of the warm-up is shared.
        self.load = EchoLoad(
            options, server, connections=row.connections, size=row.size, depth=row.depth,
            warm_up=max(2 * row.depth, options.warm_messages // row.connections),
            seconds=options.seconds,
            messages=row.depth * max(options.messages // options.windows,
                                     LEAST_MESSAGES * row.connections))
        # Nobody comes or goes from here on.
        self.pids = list(settled(server.process.pid))

    def clocks(self):
        return sum(map(clock_of, self.pids)) / 1e9, clock_of(self.load.process.pid) / 1e9

    def window(self):
        server, load = self.clocks()
        self.load.say()
        seen = json.loads(self.load.line())
        time.sleep(WINDOW_PAUSE)
        if seen['messages'] == 0:
            raise Trouble(f'no message came back ({seen["first_error"]})')
        server, load = (after - before for after, before in zip(self.clocks(), (server, load)))
        seen.update(figures(server, seen['messages'], load, seen['seconds']), load_used=load)
        return seen

    def close(self):
        if self.load is not None:
            self.load.close()


def echo_round(options, servers, number):
    """
    All servers of an echo row at a time, and short windows of each in turn: what slows the machine
    for a moment slows neighbours alike. Every other time in reverse order.
    """
    with contextlib.ExitStack() as stack:
        sides = []
        for server in servers:
            stack.callback(server.stop)
            with trouble_of(server, number):
                side = Side(options, server)
                stack.callback(side.close)
                sides.append(side)
        machine, used, rounds = Machine(options), 0, []
        for window in range(options.windows):
            for side in sides if window % 2 else reversed(sides):
                if side.server.trouble:
                    continue
                with trouble_of(side.server, number):
                    seen = side.window()
                    note(side.server, dict(round=number, window=window, **seen))
                    rounds.append(side.server.rounds[-1])
                    used += seen['cpu_seconds'] + seen['load_used']
        others = machine.others(used)
        for seen in rounds:
            seen['others'] = others


def await_descriptors(master, least):
    deadline = time.monotonic() + ARRIVAL_PATIENCE
    while tree_descriptors(tree_of(master)) < least:
        if time.monotonic() > deadline:
            raise Trouble(f'did not accept all connections in {ARRIVAL_PATIENCE} s')
        time.sleep(0.05)


def warm_memory(options, server):
    """Some traffic, so that what is there once is there; then the memory without any client."""
    with EchoLoad(options, server, connections=64, warm_up=16):
        pass
    tree = settled(server.process.pid)
    time.sleep(0.1)
    return tree_dirty_kib(tree), tree_descriptors(tree)


def idle_window(options, server):
    base, descriptors = warm_memory(options, server)
    count = options.idle
    master = server.process.pid
    with EchoLoad(options, server, connections=count, warm_up=0, messages=count) as load:
        await_descriptors(master, descriptors + count - 64)
        silent = tree_dirty_kib(settled(master))
        seen, _ = load.go()
        spoken = tree_dirty_kib(settled(master))
    if seen['messages'] < count:
        raise Trouble(f'only {seen["messages"]} of {count} were answered ({seen["first_error"]})')
    seen.update(base_kib=base, silent_bytes=(silent - base) * 1024 / count,
                spoken_bytes=(spoken - base) * 1024 / count)
    return seen


def slow_window(options, server):
    base, _ = warm_memory(options, server)
    with EchoLoad(options, server, push=options.push) as load:
        load.say()
        taken = json.loads(load.line())['pushed']
        grown = tree_dirty_kib(settled(server.process.pid)) - base
        seen, _ = load.go()
    if seen['bytes'] != taken:
        raise Trouble(f'{taken} bytes went out, {seen["bytes"]} came back '
                      f'({seen["first_error"]})')
    seen.update(taken_mib=taken / 1048576, grown_kib=max(0, grown))
    return seen


# ---- timers ----

def timers_window(options, server):
    done = subprocess.run([*server.entry.command, '--count', str(options.timers)],
                          stdout=subprocess.PIPE, text=True, timeout=600, check=False,
                          preexec_fn=lambda: pin(options.server_core))
    if not done.stdout:
        raise Trouble(f'it failed with status {done.returncode}')
    seen = json.loads(done.stdout)
    seen['start_stop_ns'] = seen['start_ns'] + seen['stop_ns']
    seen['errors'] = seen['timers'] - seen['fired']
    seen['first_error'] = 'some never ran' if seen['errors'] else ''
    if server.entry.kind == 'tend' and seen['early']:
        seen['errors'] += seen['early']
        seen['first_error'] = f'{seen["early"]} ran early'
    return seen


# ---- rounds ----

WINDOWS = {'accept': accept_window, 'idle': idle_window, 'slow': slow_window,
           'timers': timers_window}


@contextlib.contextmanager
def trouble_of(server, number):
    """What goes wrong inside is kept with the server, which is not measured any more."""
    try:
        yield
    except NotBuilt as e:
        server.skipped = str(e)
    except (Trouble, OSError, ValueError, subprocess.SubprocessError) as e:
        server.trouble = str(e)
        print(f'{server.row.name}: {server.name}: given up in round {number}: {e}',
              file=sys.stderr)


def note(server, seen):
    server.rounds.append(seen)
    if seen['errors']:
        print(f'{server.name}: {seen["errors"]} errors in round {seen["round"]}, the first: '
              f'{seen["first_error"]}', file=sys.stderr)


def measure(options, servers, number):
    """One round of the servers of a row."""
    servers = [s for s in servers if not s.trouble and not s.skipped]
    if servers and servers[0].row.kind == 'echo':
        echo_round(options, servers, number)
        return
    for server in servers:
        with trouble_of(server, number):
            try:
                if server.row.kind != 'timers':
                    server.start(options.server_core)
                note(server, dict(round=number, window=0,
                                  **WINDOWS[server.row.kind](options, server)))
            finally:
                server.stop()
