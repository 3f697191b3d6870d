"""What a feed takes in memory: that of a whole process, because what a driver keeps Python does not count."""

import subprocess
import sys

from sqlalchemy import make_url

_MANY = 300_000

_READING = """
import resource, sys
from syncd.mis import Mis

def read(query):
    with Mis(sys.argv[1]).read("learners", query) as rows:
        return sum(1 for _ in rows.stream)

read(sys.argv[2].replace("300000", "3000"))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
count = read(sys.argv[2])
print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""

#: Rows of some 800 bytes: held at once they are a quarter of a gigabyte.
_QUERIES = {
    "sqlite": f"""
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {_MANY})
        SELECT i, hex(zeroblob(200)) AS a, hex(zeroblob(200)) || i AS b FROM n
    """,
    "postgresql": f"SELECT i, repeat('a', 400) AS a, repeat('b', 400) || i AS b FROM generate_series(1, {_MANY}) n(i)",
    "mysql": f"SELECT seq, REPEAT('a', 400) AS a, CONCAT(REPEAT('b', 400), seq) AS b FROM seq_1_to_{_MANY}",
}


def test_a_process_that_reads_a_large_feed_does_not_grow_with_it(url: str) -> None:
    query = _QUERIES[make_url(url).get_backend_name()]
    finished = subprocess.run(
        [sys.executable, "-c", _READING, url, query], capture_output=True, text=True, check=True, timeout=240
    )
    count, kilobytes = map(int, finished.stdout.split())
    assert count == _MANY
    assert kilobytes < 10_000
