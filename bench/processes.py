"""What /proc tells of a server: which processes it has, what they used, what they hold."""
import os
import time

TICKS = os.sysconf('SC_CLK_TCK')
SETTLE_PATIENCE = 1     # seconds for the last children to be reaped
SETTLE_PAUSE = 0.02     # seconds between two looks at the processes


def read(path):
    with open(path, encoding='utf-8', errors='replace') as f:
        return f.read()


def stat_of(pid):
    """The fields of /proc/PID/stat after the name, which may itself hold blanks and brackets."""
    return read(f'/proc/{pid}/stat').rpartition(')')[2].split()


def tree_of(master):
    """The master and all its descendants, zombies included, as {pid: fields of its stat}."""
    stats = {}
    for name in os.listdir('/proc'):
        if name.isdigit():
            try:
                stats[int(name)] = stat_of(name)
            except OSError:
                continue        # it ended while we looked
    tree = {master} & stats.keys()
    grown = True
    while grown:
        more = {pid for pid, fields in stats.items() if int(fields[1]) in tree} - tree
        tree |= more
        grown = bool(more)
    return {pid: stats[pid] for pid in tree}


def own_seconds(pid, fields):
    """User and system time of one process. schedstat counts nanoseconds, stat only ticks."""
    ticks = (int(fields[11]) + int(fields[12])) / TICKS
    try:
        exact = sum(int(read(f'/proc/{pid}/task/{task}/schedstat').split()[0]) / 1e9
                    for task in os.listdir(f'/proc/{pid}/task'))
    except (OSError, IndexError):
        return ticks
    return max(ticks, exact)    # a thread that has ended is missing from the exact sum


def tree_seconds(tree):
    """What the processes of a tree used, and what those used that they have waited for."""
    reaped = sum(int(fields[13]) + int(fields[14]) for fields in tree.values()) / TICKS
    return reaped + sum(own_seconds(pid, fields) for pid, fields in tree.items())


def clock_of(pid):
    """Nanoseconds that all threads of a living process have used, to this moment. See
    clock_getcpuclockid(3); the numbers are the kernel's."""
    return time.clock_gettime_ns((~pid << 3) | 2)


def settled(master):
    """The tree, once nobody comes or goes and no zombie is left, or time is up."""
    deadline = time.monotonic() + SETTLE_PATIENCE
    before = None
    while True:
        tree = tree_of(master)
        zombies = any(fields[0] == 'Z' for fields in tree.values())
        if (tree.keys() == before and not zombies) or time.monotonic() > deadline:
            return tree
        before = tree.keys()
        time.sleep(SETTLE_PAUSE)


def rollup_kib(pid, *names):
    """The sum of some lines of smaps_rollup."""
    return sum(int(line.split()[1]) for line in read(f'/proc/{pid}/smaps_rollup').splitlines()
               if line.partition(':')[0] in names)


def private_kib(pid):
    return rollup_kib(pid, 'Private_Clean', 'Private_Dirty')


def tree_dirty_kib(tree):
    """What the processes have written to and share with nobody; swapped out or not."""
    return sum(rollup_kib(pid, 'Private_Dirty', 'Swap') for pid in tree)


def tree_descriptors(tree):
    return sum(len(os.listdir(f'/proc/{pid}/fd')) for pid in tree)


def machine_ticks():
    """Busy and stolen processor ticks of the whole machine."""
    user, nice, system, _, _, irq, softirq, steal = map(int, read('/proc/stat').split()[1:9])
    return user + nice + system + irq + softirq + steal
