"""A Kubernetes API server and kubelet for tests: the wire protocol and faults on demand, with no containers behind it.

cluster.py     the state that a test sets up: pods.py, containers.py, logs.py, store.py (other objects, versions)
server.py      HTTPS in front of it: connection.py, exchange.py; api.py finds out who answers: log_api.py,
               objects_api.py, exec_api.py, writes_api.py, discovery.py
faults.py      what shall go wrong
recorded.py     recordings/ of a real server, which this one replays (tests/test_kubeapi.py)
__main__.py    a process with many lines, for benchmarks
"""
