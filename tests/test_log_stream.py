"""Following logs through what goes wrong: numbered lines are counted, nothing is lost or doubled without a gap.

The server speaks the recorded wire protocol (tests/kubeapi); client, threads and sockets are real.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import timedelta, timezone
from itertools import pairwise
from threading import Event

import pytest

from egresslog.sources.cluster.buffer import Buffer
from egresslog.sources.cluster.clock import Clock, backoff
from egresslog.sources.cluster.pods import Target
from egresslog.sources.coverage import Gap

from .following import GATEWAY, ORIGIN, SECOND, T0, following, numbered
from .kubeapi.cluster import Cluster
from .kubeapi.faults import Fault
from .kubeapi.server import Server


@pytest.fixture
def cluster() -> Cluster:
    cluster = Cluster()
    cluster.add_pod(GATEWAY)
    return cluster


@pytest.fixture
def server(cluster: Cluster) -> Iterator[Server]:
    with Server(cluster) as server:
        yield server


def write(cluster: Cluster, first: int, last: int, at: int, step: int = SECOND // 100, pod: str = GATEWAY) -> None:
    """Numbered lines, the first stamped ``at``."""
    log = cluster.pod("istio-system", pod).log()
    for place, line in enumerate(numbered(first, last)):
        log.write(line, at=at + place * step)


def logs_read(server: Server) -> int:
    return sum(request.path.endswith("/log") for request in server.requests)


BREAKS = {
    "reset": [Fault("reset", after_lines=50)],
    "reset again and again": [Fault("reset", after_lines=1, times=5)],
    "cut after a line": [Fault("cut", after_lines=100)],
    "cut within a line": [Fault("cut", after_bytes=2345)],
    "cut within a stamp": [Fault("cut", after_bytes=2340)],
    "cut before the first line": [Fault("cut", after_bytes=7)],
    "closed cleanly, and the container runs": [Fault("end", after_lines=120)],
    "closed cleanly within a line": [Fault("end", after_bytes=2345)],
    "refused": [Fault("status", code=500), Fault("status", code=503, times=2)],
    "too many requests": [Fault("status", code=429, retry_after=1, message="slow down")],
    "never answered": [Fault("hang")],
    "half-open": [Fault("silence", after_lines=30)],
    "one after the other": [
        Fault("reset", after_lines=10),
        Fault("cut", after_bytes=1000),
        Fault("status", code=500),
        Fault("silence", after_lines=70),
        Fault("end", after_lines=90),
    ],
    "the kubelet has no watches left": [
        Fault("end", after_lines=60, message="failed to create fsnotify watcher: too many open files", times=3)
    ],
}


@pytest.mark.parametrize("faults", BREAKS.values(), ids=BREAKS)
def test_broken_streams_lose_nothing(cluster: Cluster, server: Server, faults: list[Fault]) -> None:
    """However the stream breaks, each line comes once and in order, and no gap is claimed."""
    for fault in faults:
        fault.happened = 0
    server.faults += faults
    write(cluster, 1, 200, T0)
    with following(server, silence=0.2) as received:
        received.until(lambda: received.count() == 200)
        write(cluster, 201, 300, T0 + 5 * SECOND)
        received.until(lambda: received.count() == 300)
        server.wait(lambda: all(fault.happened == fault.times for fault in faults))
        received.until(lambda: received.count() >= 300)
        assert received.lines() == numbered(1, 300)
        (covered,) = received.follower.coverage
        assert (covered.lines, covered.gaps, covered.error) == (300, [], None)
        assert (covered.first, covered.last) == (T0, T0 + 5 * SECOND + 99 * SECOND // 100)


def test_a_silent_stream_is_asked_for_anew(cluster: Cluster, server: Server) -> None:
    """Old kubelets lose a follower at rotation and say nothing: what is in the new file comes, the rest is a gap."""
    cluster.old_kubelet = True
    write(cluster, 1, 10, T0)
    with following(server, silence=0.2) as received:
        received.until(lambda: received.count() == 10)
        cluster.pod("istio-system", GATEWAY).log().rotate()
        write(cluster, 11, 20, T0 + 3 * SECOND)
        received.until(lambda: received.count() == 20)
        assert received.lines() == numbered(1, 20)
        (covered,) = received.follower.coverage
        # The old file is not served any more: nobody can know whether it had more lines.
        assert covered.gaps == [
            Gap(T0 + 9 * SECOND // 100, T0 + 3 * SECOND, "the log was rotated before it could be read again")
        ]
        assert [notice.text for notice in received.notices_of("gap")] == [covered.gaps[0].reason]


def test_rotation_while_connected(cluster: Cluster, server: Server) -> None:
    """Newer kubelets follow through rotations."""
    write(cluster, 1, 50, T0)
    with following(server) as received:
        received.until(lambda: received.count() == 50)
        for turn in range(1, 6):
            cluster.pod("istio-system", GATEWAY).log().rotate()
            write(cluster, 50 * turn + 1, 50 * turn + 50, T0 + turn * SECOND)
            received.until(lambda turn=turn: received.count() == 50 * turn + 50)
        assert received.lines() == numbered(1, 300)
        assert received.follower.coverage[0].gaps == []


def test_rotation_while_away_is_a_gap_with_its_true_bounds(cluster: Cluster, server: Server) -> None:
    """Lines 21 to 40 were rotated away while nobody read: from the last line read to the first read again."""
    write(cluster, 1, 20, T0)
    with following(server) as received:
        received.until(lambda: received.count() == 20)
        server.stop()
        write(cluster, 21, 40, T0 + 10 * SECOND)
        cluster.pod("istio-system", GATEWAY).log().rotate()
        write(cluster, 41, 60, T0 + 20 * SECOND)
        server.start()
        received.until(lambda: received.count() == 40)
        assert received.lines() == [*numbered(1, 20), *numbered(41, 60)]
        (covered,) = received.follower.coverage
        assert [(gap.start, gap.stop) for gap in covered.gaps] == [(T0 + 19 * SECOND // 100, T0 + 20 * SECOND)]
        assert not covered.is_complete


def test_rotated_away_and_nothing_new(cluster: Cluster, server: Server) -> None:
    """The file is empty after the break: that lines are missing is known only when reading ends."""
    write(cluster, 1, 20, T0)
    with following(server, silence=0.2) as received:
        received.until(lambda: received.count() == 20)
        cluster.pod("istio-system", GATEWAY).log().rotate()
        before = logs_read(server)
        server.faults.append(Fault("reset"))
        server.wait(lambda: logs_read(server) >= before + 2)
        received.follower.close()
        stream = received.follower.coverage[0]
        server.wait(lambda: stream.gaps)
        assert stream.gaps[0].start == T0 + 19 * SECOND // 100


def test_the_same_line_twice_in_one_second(cluster: Cluster, server: Server) -> None:
    """What was written twice comes twice, whatever is read again: the last second comes again whole."""
    log = cluster.pod("istio-system", GATEWAY).log()
    for place in range(30):
        log.write(b"equal", b"equal", at=T0 + place // 10)  # ten pairs to a stamp
    server.faults += [Fault("reset", after_lines=lines) for lines in (7, 14, 21, 28, 35)]
    with following(server) as received:
        received.until(lambda: received.count() == 60)
        log.write(b"last", at=T0 + 5 * SECOND)
        received.until(lambda: received.count() == 61)
        assert received.lines() == [b"equal"] * 60 + [b"last"]
        assert received.follower.coverage[0].gaps == []


def test_standard_error_comes_a_little_late(cluster: Cluster, server: Server) -> None:
    """Two threads of the runtime stamp the two outputs: the order of lines is not quite that of stamps."""
    log = cluster.pod("istio-system", GATEWAY).log()
    log.write(b"a", at=T0 + SECOND)
    with following(server) as received:
        received.until(lambda: received.count() == 1)
        server.stop()
        log.write(b"b", at=T0 + SECOND - 1000, stream="stderr")  # before a, and in the second before
        log.write(b"c", at=T0 + SECOND + 1000)
        server.start()
        received.until(lambda: received.count() == 3)
        assert received.lines() == [b"a", b"b", b"c"]
        assert received.follower.coverage[0].gaps == []


def test_nodes_in_another_time_zone(server: Server, cluster: Cluster) -> None:
    """Some runtimes stamp in the node's zone."""
    cluster.zone = timezone(timedelta(hours=5, minutes=30))
    write(cluster, 1, 50, T0)
    server.faults += [Fault("reset", after_lines=30), Fault("reset", after_lines=45)]
    with following(server) as received:
        received.until(lambda: received.count() == 50)
        assert received.lines() == numbered(1, 50)
        assert (received.follower.coverage[0].first, received.follower.coverage[0].gaps) == (T0, [])


def test_restart_while_connected(cluster: Cluster, server: Server) -> None:
    """The old instance is read to its end, the new one from its beginning."""
    write(cluster, 1, 20, T0)
    pod = cluster.pod("istio-system", GATEWAY)
    with following(server) as received:
        received.until(lambda: received.count() == 20)
        write(cluster, 21, 30, T0 + SECOND)
        pod.restart()
        write(cluster, 31, 40, T0 + 9 * SECOND)
        received.until(lambda: received.count() == 40)
        assert received.lines() == numbered(1, 40)
        (covered,) = received.follower.coverage
        assert (covered.restarts, covered.gaps) == (1, [])
        assert len(received.notices_of("restarted")) == 1


def test_restart_while_away(cluster: Cluster, server: Server) -> None:
    """What the old instance wrote last is in `previous`, which is read once."""
    write(cluster, 1, 20, T0)
    pod = cluster.pod("istio-system", GATEWAY)
    with following(server) as received:
        received.until(lambda: received.count() == 20)
        server.stop()
        write(cluster, 21, 30, T0 + SECOND)
        pod.restart()
        write(cluster, 31, 40, T0 + 9 * SECOND)
        server.start()
        received.until(lambda: received.count() == 40)
        write(cluster, 41, 50, T0 + 19 * SECOND)
        received.until(lambda: received.count() == 50)
        assert received.lines() == numbered(1, 50)
        assert received.follower.coverage[0].gaps == []
        assert sum("previous" in request.query for request in server.requests) == 1


def test_two_restarts_while_away_are_a_gap(cluster: Cluster, server: Server) -> None:
    """The cluster keeps one instance before: lines 21 to 30 are gone with theirs."""
    write(cluster, 1, 20, T0)
    pod = cluster.pod("istio-system", GATEWAY)
    with following(server) as received:
        received.until(lambda: received.count() == 20)
        server.stop()
        write(cluster, 21, 30, T0 + SECOND)
        pod.restart()
        write(cluster, 31, 40, T0 + 10 * SECOND)
        pod.restart()
        write(cluster, 41, 50, T0 + 20 * SECOND)
        server.start()
        received.until(lambda: received.count() == 40)
        assert received.lines() == [*numbered(1, 20), *numbered(31, 50)]
        (covered,) = received.follower.coverage
        assert [(gap.start, gap.stop) for gap in covered.gaps] == [(T0 + 19 * SECOND // 100, T0 + 10 * SECOND)]
        assert covered.restarts == 2


def test_a_container_that_waits_is_awaited(server: Server, cluster: Cluster) -> None:
    """CrashLoopBackOff: the last instance's lines once, then the next one's."""
    write(cluster, 1, 5, T0)
    pod = cluster.pod("istio-system", GATEWAY)
    with following(server) as received:
        received.until(lambda: received.count() == 5)
        pod.wait("CrashLoopBackOff")
        before = logs_read(server)
        server.wait(lambda: logs_read(server) > before)
        pod.start("istio-proxy")
        write(cluster, 6, 10, T0 + 60 * SECOND)
        received.until(lambda: received.count() == 10)
        assert received.lines() == numbered(1, 10)
        assert received.follower.coverage[0].gaps == []


def test_pods_come_and_go(server: Server, cluster: Cluster) -> None:
    """A new replica is followed from its first line, a deleted one to its last."""
    write(cluster, 1, 20, T0)
    with following(server) as received:
        received.until(lambda: received.count() == 20)
        cluster.add_pod("gateway-2")
        write(cluster, 1, 30, T0 + SECOND, pod="gateway-2")
        write(cluster, 21, 25, T0 + SECOND)
        cluster.pod("istio-system", GATEWAY).delete()
        other = "istio-system/gateway-2/istio-proxy"
        received.until(lambda: received.count() == 25 and received.count(other) == 30 and received.notices_of("ended"))
        assert received.lines() == numbered(1, 25)
        assert received.lines(other) == numbered(1, 30)
        assert [notice.origin for notice in received.notices_of("ended")] == [ORIGIN]
        assert all(covered.is_complete for covered in received.follower.coverage)


def test_a_pod_of_the_same_name_is_another(server: Server, cluster: Cluster) -> None:
    """A StatefulSet's pod comes back under its name: its log is a new one, and not a gap in the old."""
    write(cluster, 1, 20, T0)
    with following(server) as received:
        received.until(lambda: received.count() == 20)
        server.stop()
        cluster.pod("istio-system", GATEWAY).delete()
        cluster.add_pod(GATEWAY, ip="10.244.0.9")
        write(cluster, 21, 40, T0 + 60 * SECOND)
        server.start()
        received.until(lambda: received.count() == 40)
        assert received.lines() == numbered(1, 40)
        assert len(received.follower.coverage) == 2
        assert len({covered.container.uid for covered in received.follower.coverage}) == 2


def test_a_pod_that_went_away_unread_is_a_gap(server: Server, cluster: Cluster) -> None:
    """It wrote and was deleted while nobody was connected: from the last line read until now."""
    write(cluster, 1, 20, T0)
    with following(server) as received:
        received.until(lambda: received.count() == 20)
        server.stop()
        write(cluster, 21, 40, T0 + SECOND)
        cluster.pod("istio-system", GATEWAY).delete()
        before = time.time_ns()
        server.start()
        received.until(lambda: received.notices_of("ended"))
        (gap,) = received.follower.coverage[0].gaps
        assert gap.start == T0 + 19 * SECOND // 100
        assert gap.stop is not None
        assert before <= gap.stop <= time.time_ns()


def test_previous_is_read_through_breaks(server: Server, cluster: Cluster) -> None:
    """The log before a restart comes whole, however often its stream breaks."""
    write(cluster, 1, 100, T0)
    cluster.pod("istio-system", GATEWAY).restart()
    write(cluster, 101, 110, T0 + 9 * SECOND)
    server.faults += [Fault("reset", after_lines=30), Fault("status", code=503), Fault("cut", after_bytes=700)]
    with following(server) as received:
        received.until(lambda: received.count() == 110)
        assert received.lines() == numbered(1, 110)
        assert received.follower.coverage[0].gaps == []


def test_a_server_in_trouble_is_waited_for(server: Server, cluster: Cluster) -> None:
    """503 for the log and for the pod, and a token that is refused for a moment: the stream goes on."""
    write(cluster, 1, 20, T0)
    with following(server) as received:
        received.until(lambda: received.count() == 20)
        server.faults += [
            Fault("status", on="log", code=401, reason="Unauthorized", message="Unauthorized", times=2),
            Fault(
                "status", on="get", code=503, reason="ServiceUnavailable", message="apiserver shutting down", times=5
            ),
            Fault("reset"),
        ]
        write(cluster, 21, 40, T0 + SECOND)
        received.until(lambda: received.count() == 40)
        server.wait(lambda: all(fault.happened == fault.times for fault in server.faults))
        write(cluster, 41, 50, T0 + 2 * SECOND)
        received.until(lambda: received.count() == 50)
        assert received.lines() == numbered(1, 50)
        assert received.follower.coverage[0].is_complete


def test_the_server_is_away_for_some_time(server: Server, cluster: Cluster) -> None:
    """Nothing is lost while the file is kept; a pod that came meanwhile is found."""
    write(cluster, 1, 20, T0)
    with following(server) as received:
        received.until(lambda: received.count() == 20)
        server.stop()
        write(cluster, 21, 40, T0 + SECOND)
        cluster.add_pod("gateway-2")
        write(cluster, 1, 5, T0 + SECOND, pod="gateway-2")
        received.until(lambda: received.notices_of("error"))  # that the server is away is reported
        server.start()
        other = "istio-system/gateway-2/istio-proxy"
        received.until(lambda: received.count() == 40 and received.count(other) == 5)
        assert received.lines() == numbered(1, 40)
        assert all(covered.is_complete for covered in received.follower.coverage)


def test_watch_faults(server: Server, cluster: Cluster) -> None:
    """A watch that is too old, broken, or closed is begun anew: new pods are found."""
    with following(server) as received:
        server.faults += [
            Fault(
                "status",
                on="watch",
                code=410,
                reason="Expired",
                message="too old resource version: 1 (2)",
                after_lines=0,
            ),
            Fault("status", on="watch", code=500),
            Fault("cut", on="watch", after_lines=0),
            Fault("end", on="watch", after_lines=0),
            Fault("status", on="list", code=429, retry_after=1),
        ]
        for number in range(3):
            cluster.add_pod(f"gateway-{number}")
            cluster.send_bookmark()
        write(cluster, 1, 5, T0, pod="gateway-2")
        received.until(lambda: received.count("istio-system/gateway-2/istio-proxy") == 5)
        server.wait(lambda: all(fault.happened for fault in server.faults[:4]))
        cluster.add_pod("late")
        write(cluster, 1, 7, T0, pod="late")
        received.until(lambda: received.count("istio-system/late/istio-proxy") == 7)


def test_without_the_right_to_watch_the_list_is_asked_for(server: Server, cluster: Cluster) -> None:
    """`get` and `list` are enough."""
    cluster.forbid("nobody", "watch")
    write(cluster, 1, 5, T0)
    with following(server, user="nobody") as received:
        received.until(lambda: received.count() == 5)
        lists = sum(request.path.endswith("/pods") for request in server.requests)
        cluster.add_pod("late")
        write(cluster, 1, 7, T0, pod="late")
        received.until(lambda: received.count("istio-system/late/istio-proxy") == 7)
        assert sum(request.path.endswith("/pods") for request in server.requests) > lists


def test_one_pod_takes_no_more_than_get(server: Server, cluster: Cluster) -> None:
    """`pod/NAME` neither lists nor watches."""
    cluster.forbid("nobody", "watch")
    cluster.forbid("nobody", "list")
    write(cluster, 1, 5, T0)
    target = Target.parse(f"pod/{GATEWAY}", "istio-system")
    with following(server, [target], user="nobody") as received:
        received.until(lambda: received.count() == 5)
        assert received.notices_of("error") == []


def test_the_kubelets_words_are_no_lines(server: Server, cluster: Cluster) -> None:
    """Text without a stamp amid the body is kept apart, and nothing is lost around it."""
    log = cluster.pod("istio-system", GATEWAY).log()
    log.write(*numbered(1, 5), at=T0)
    log.write_raw(b'failed to watch file "/var/log/pods/x/0.log": no space left on device\n')
    log.write(*numbered(6, 9), at=T0 + SECOND)
    with following(server) as received:
        received.until(lambda: received.count() == 9)
        assert received.lines() == numbered(1, 9)
        (covered,) = received.follower.coverage
        assert covered.diagnostics == ['failed to watch file "/var/log/pods/x/0.log": no space left on device']
        assert (covered.lines, covered.diagnostic_count) == (9, 1)


def test_odd_bytes_pass_unchanged(server: Server, cluster: Cluster) -> None:
    """A path may hold what Python takes for line ends, and bytes that are no UTF-8."""
    odd = [b"a\r b", "NEL \u0085 and \u2028".encode(), b"byte \xe9\xff", b"", b"x" * 100_000]
    cluster.pod("istio-system", GATEWAY).log().write(*odd, at=T0)
    server.faults.append(Fault("cut", after_bytes=50_000))
    with following(server) as received:
        received.until(lambda: received.count() == len(odd))
        assert received.lines() == odd


def test_a_last_line_without_end(server: Server, cluster: Cluster) -> None:
    """A container that is killed in the middle of a line leaves what it wrote."""
    log = cluster.pod("istio-system", GATEWAY).log()
    log.write(b"whole", at=T0)
    pod = cluster.pod("istio-system", GATEWAY)
    with following(server) as received:
        received.until(lambda: received.count() == 1)
        log.write_raw(b"2026-11-18T11:06:41.000000000Z half")
        pod.delete()
        received.until(lambda: received.notices_of("ended"))
        assert received.lines() == [b"whole", b"half"]


def test_tail_begins_with_the_last_lines(server: Server, cluster: Cluster) -> None:
    """`tail=3`: what is older stays away, also when the stream breaks and its second comes again."""
    write(cluster, 1, 50, T0, step=1000)
    server.faults.append(Fault("reset", after_lines=2))
    with following(server, tail=3) as received:
        received.until(lambda: received.count() == 3)
        write(cluster, 51, 60, T0 + SECOND)
        received.until(lambda: received.count() == 13)
        assert received.lines() == numbered(48, 60)
        assert received.follower.coverage[0].gaps == []


def test_since_is_asked_of_the_server(server: Server, cluster: Cluster) -> None:
    """Only lines stamped from then on, whole seconds at least."""
    write(cluster, 1, 100, T0, step=SECOND)
    with following(server, since=T0 + 95 * SECOND) as received:
        received.until(lambda: received.count() == 5)
        assert received.lines() == numbered(96, 100)


def test_a_slow_taker_loses_nothing(server: Server, cluster: Cluster) -> None:
    """Nobody takes a line while 100,000 are written and rotated away: they wait on disk."""
    log = cluster.pod("istio-system", GATEWAY).log()
    with following(server, buffer=Buffer(memory=64 * 1024)) as received:
        received.until(lambda: received.notices_of("started"))
        for turn in range(10):
            log.write(*(b"%-200d" % number for number in range(turn * 10_000, turn * 10_000 + 10_000)))
            server.wait(lambda turn=turn: received.follower.coverage[0].lines == turn * 10_000 + 10_000)
            log.rotate()
        assert received.follower.buffer.on_disk > 10_000_000
        assert received.follower.buffer.in_memory < 4_000_000
        received.until(lambda: received.count() == 100_000)
        assert [int(line) for line in received.lines()] == list(range(100_000))
        assert received.follower.coverage[0].gaps == []


def test_a_full_disk_is_a_gap(server: Server, cluster: Cluster) -> None:
    """What finds no room is counted as missing, with its bounds; what came before and after is whole."""
    log = cluster.pod("istio-system", GATEWAY).log()
    with following(server, buffer=Buffer(memory=100_000, disk=100_000)) as received:
        received.until(lambda: received.notices_of("started"))
        log.write(b"first", at=T0)
        server.wait(lambda: received.follower.coverage[0].lines == 1)
        for number in range(1, 11):
            log.write(*[b"x" * 100_000], at=T0 + number * SECOND)
        server.wait(lambda: received.follower.coverage[0].last == T0 + 10 * SECOND)
        covered = received.follower.coverage[0]
        taken = covered.lines
        assert 1 < taken < 11
        received.until(lambda: received.count() == taken)
        log.write(b"last", at=T0 + 20 * SECOND)
        received.until(lambda: received.count() == taken + 1)
        assert received.lines()[-1] == b"last"
        (gap,) = covered.gaps
        assert (gap.start, gap.stop) == (T0 + taken * SECOND, T0 + 10 * SECOND)


def test_a_reader_that_fell_behind_looks_for_rotation(server: Server, cluster: Cluster) -> None:
    """The stream stalls for a minute of log time and goes on with what comes after a rotation: maybe a gap."""
    now = time.time_ns()
    log = cluster.pod("istio-system", GATEWAY).log()
    log.write(*numbered(1, 5), at=now)
    go_on = Event()
    server.faults.append(Fault("stall", after_lines=7, until=go_on))
    with following(server) as received:
        received.until(lambda: received.count() == 5)
        log.write(b"line 6", b"line 7", at=now + 1)
        received.until(lambda: received.count() == 7)
        log.write(b"late", at=now - 60 * SECOND)  # read now, and stamped a minute ago: a minute behind
        log.rotate()
        log.write(b"line 8", at=now + SECOND)
        go_on.set()
        received.until(lambda: received.count() == 9 and received.notices_of("gap"))
        (gap,) = received.follower.coverage[0].gaps
        assert (gap.start, gap.stop) == (now - 60 * SECOND, now + SECOND)


def test_only_so_many_at_a_time(server: Server, cluster: Cluster) -> None:
    """The rest is refused, with the option that helps; it is taken up when one ends."""
    for number in range(3):
        cluster.add_pod(f"more-{number}")
        write(cluster, 1, 3, T0, pod=f"more-{number}")
    with following(server, max_log_requests=2) as received:
        received.until(lambda: len(received.notices_of("refused")) == 2)
        assert "--max-log-requests" in received.notices_of("refused")[0].text
        assert sum(covered.error is not None for covered in received.follower.coverage) == 2
        for pod in [GATEWAY, "more-0", "more-1", "more-2"]:
            if f"istio-system/{pod}/istio-proxy" not in [notice.origin for notice in received.notices_of("refused")]:
                cluster.pod("istio-system", pod).delete()
        received.until(
            lambda: all(
                received.count(notice.origin) or notice.origin == ORIGIN for notice in received.notices_of("refused")
            )
        )
        server.wait(lambda: all(covered.error is None for covered in received.follower.coverage))


def test_reads_again_with_pauses_that_differ() -> None:
    """Twice as long each time, to a limit, and never two readers in step."""
    times = [[backoff(attempt) for attempt in range(12)] for _ in range(50)]
    for attempt in range(12):
        most = min(30.0, 0.25 * 2**attempt)
        assert all(most / 2 <= one[attempt] <= most for one in times)
    assert len({one[3] for one in times}) > 1
    assert all(a != b for a, b in pairwise(one[11] for one in times))


def test_a_crash_loop_gives_each_instance_once(server: Server, cluster: Cluster) -> None:
    """A dies, B starts and dies, and waits: `previous` is B then, which is read as itself."""
    write(cluster, 1, 10, T0)
    pod = cluster.pod("istio-system", GATEWAY)
    with following(server) as received:
        received.until(lambda: received.count() == 10)
        pod.restart()
        write(cluster, 11, 20, T0 + 9 * SECOND)
        pod.wait("CrashLoopBackOff")
        received.until(lambda: received.count() == 20)
        pod.start("istio-proxy")
        write(cluster, 21, 30, T0 + 60 * SECOND)
        received.until(lambda: received.count() == 30)
        assert received.lines() == numbered(1, 30)
        assert received.follower.coverage[0].gaps == []


def test_what_is_read_first_after_a_break_may_be_anothers(server: Server, cluster: Cluster) -> None:
    """Nothing had come yet when the stream broke; the pod that is there then is another of the same name."""
    with following(server) as received:
        received.until(lambda: received.notices_of("started"))
        server.stop()
        cluster.pod("istio-system", GATEWAY).delete()
        cluster.add_pod(GATEWAY, ip="10.244.0.9")
        write(cluster, 1, 30, T0)
        server.start()
        received.until(lambda: received.count() == 30)
        received.until(lambda: received.notices_of("ended"))
        assert received.lines() == numbered(1, 30)


def test_a_last_line_without_end_before_a_restart(server: Server, cluster: Cluster) -> None:
    """Killed in the middle of a line: `previous` has what there is of it."""
    write(cluster, 1, 5, T0)
    with following(server) as received:
        received.until(lambda: received.count() == 5)
        cluster.pod("istio-system", GATEWAY).log().write_raw(b"2026-11-18T11:06:41.000000000Z half")
        cluster.pod("istio-system", GATEWAY).restart()
        write(cluster, 6, 8, T0 + 9 * SECOND)
        received.until(lambda: received.count() == 9)
        assert received.lines() == [*numbered(1, 5), b"half", *numbered(6, 8)]


def test_tail_of_an_empty_log(server: Server, cluster: Cluster) -> None:
    """`tail=2` and nothing there: all that comes is new, also after a break before the first line."""
    with following(server, tail=2) as received:
        received.until(lambda: received.notices_of("started"))
        server.wait(lambda: server.open_streams)
        server.stop()
        write(cluster, 1, 20, T0)
        server.start()
        received.until(lambda: received.count() == 20)
        assert received.lines() == numbered(1, 20)


def test_tail_nothing_stays_with_nothing_at_a_restart(server: Server, cluster: Cluster) -> None:
    """`tail=0`: what was written before is not wanted, not of the old instance either."""
    now = time.time_ns()
    write(cluster, 1, 1000, now - 3600 * SECOND)
    with following(server, tail=0) as received:
        server.wait(lambda: server.open_streams)
        cluster.pod("istio-system", GATEWAY).restart()
        write(cluster, 1001, 1005, now + 2 * SECOND)
        received.until(lambda: received.count() == 5)
        assert received.lines() == numbered(1001, 1005)


def test_stamps_that_cross_a_second(server: Server, cluster: Cluster) -> None:
    """Of two lines that were stamped in the wrong order, none comes twice after a break."""
    log = cluster.pod("istio-system", GATEWAY).log()
    log.write(b"x", at=T0 + SECOND - 2000)
    log.write(b"y", at=T0 + SECOND + 1000)
    log.write(b"x2", at=T0 + SECOND - 1000, stream="stderr")
    log.write(b"z", at=T0 + SECOND + 2000)
    server.faults.append(Fault("reset", after_lines=4))
    with following(server) as received:
        received.until(lambda: received.count() == 4)
        log.write(b"w", at=T0 + 3 * SECOND)
        received.until(lambda: received.count() == 5)
        assert received.lines() == [b"x", b"y", b"x2", b"z", b"w"]


@pytest.mark.parametrize("status", [None, 500])
def test_what_is_away_in_the_end_is_a_gap(server: Server, cluster: Cluster, status: int | None) -> None:
    """The server or the kubelet has not answered since line 20: what came after is not known, and that is reported."""
    write(cluster, 1, 20, T0)
    with following(server) as received:
        received.until(lambda: received.count() == 20)
        if status:
            server.faults += [Fault("status", code=status, message="kubelet away", times=1000), Fault("reset")]
        else:
            server.stop()
        received.until(lambda: [notice for notice in received.notices_of("error") if notice.origin == ORIGIN])
        received.follower.close()
        (gap,) = received.follower.coverage[0].gaps
        assert (gap.start, gap.reason) == (T0 + 19 * SECOND // 100, "the log could not be read any more")


def test_an_end_while_much_is_read_is_clean(server: Server, cluster: Cluster) -> None:
    """Closed in the middle of a backlog: no gap, no diagnostics, and the threads have ended."""
    log = cluster.pod("istio-system", GATEWAY).log()
    log.write_block(b"".join(b"%-300d\n" % number for number in range(50_000)), 50_000, at=T0)
    for _ in range(5):
        with following(server) as received:
            received.until(lambda received=received: received.count())
            received.follower.close()
            (covered,) = received.follower.coverage
            assert (covered.gaps, covered.diagnostics, covered.error) == ([], [], None)
        assert not [
            thread for thread in threading.enumerate() if thread.name == "egresslog" and "_follow" in repr(thread)
        ]


def test_a_watch_that_ends_at_once_is_no_busy_loop(server: Server, cluster: Cluster) -> None:
    """A proxy that closes watches: pods are found all the same, and the server is not flooded."""
    server.faults.append(Fault("end", on="watch", times=10_000))
    write(cluster, 1, 5, T0)
    with following(server, clock=Clock()) as received:
        received.until(lambda: received.count() == 5)
        cluster.add_pod("late")
        write(cluster, 1, 7, T0, pod="late")
        received.until(lambda: received.count("istio-system/late/istio-proxy") == 7)
        assert len(server.requests) < 40


def test_pauses_stay_short_for_ever() -> None:
    """After a night of silence the number of tries is large."""
    assert backoff(100_000) <= 30


def test_silence_after_a_rotation_is_no_gap(server: Server, cluster: Cluster) -> None:
    """The stream was there when the log was rotated, and then nothing was written for long: nothing is missing."""
    write(cluster, 1, 20, T0)
    log = cluster.pod("istio-system", GATEWAY).log()
    with following(server, silence=0.3) as received:
        received.until(lambda: received.count() == 20)
        log.rotate()
        polls = logs_read(server)
        server.wait(lambda: logs_read(server) >= polls + 3)  # it was looked after, without following
        write(cluster, 21, 30, T0 + 60 * SECOND)
        received.until(lambda: received.count() == 30)
        assert received.lines() == numbered(1, 30)
        assert received.follower.coverage[0].gaps == []
        assert sum("follow" in request.query for request in server.requests) == 1
