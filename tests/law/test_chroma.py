"""The same vectors in ChromaDB, in a process of its own: real, offline, and it may crash."""

import json
import os
import signal
import subprocess
import sys
from datetime import date

import numpy as np
import pytest

from lendsafe.errors import ConfigError, DiskError, LendSafeError
from lendsafe.law import Law, collection
from lendsafe.law.collection import Collection
from lendsafe.law.encoder import is_installed
from lendsafe.law.ways import searching

LABELS = tuple(f"1002-9-{i}" for i in range(40))
VECTORS = np.random.default_rng(7).normal(size=(40, 384)).astype(np.float32)
VECTORS /= np.linalg.norm(VECTORS, axis=1, keepdims=True)


@pytest.fixture
def made(tmp_path):
    said: list[str] = []
    with Collection(tmp_path, "law-test", LABELS, lambda: VECTORS, said.append) as one:
        one.said = said
        yield one


def exact(vector):
    order = np.argsort(-(VECTORS @ vector))
    return [LABELS[i] for i in order[:5]]


def nearest(one, vector):
    return [label for label, _ in one.nearest(vector.tolist(), 5)]


def test_the_nearest_are_those_of_the_exact_search(made):
    for vector in VECTORS[:5]:
        assert nearest(made, vector) == exact(vector)
        _label, cosine = made.nearest(vector.tolist(), 1)[0]
        assert cosine == pytest.approx(1.0, abs=1e-5)
    assert made.said == []


def test_it_runs_in_another_process(made):
    nearest(made, VECTORS[0])
    assert made.process_id not in (None, os.getpid())
    assert "chromadb" not in sys.modules or made.process_id != os.getpid()


@pytest.mark.parametrize("how", [signal.SIGSEGV])
def test_a_process_that_crashes_is_started_again(made, how):
    nearest(made, VECTORS[0])
    os.kill(made.process_id, how)
    assert nearest(made, VECTORS[3]) == exact(VECTORS[3])
    assert len(made.said) == 1
    assert "started again" in made.said[0]
    assert "\n" not in made.said[0]


def test_a_damaged_store_is_built_anew(made):
    nearest(made, VECTORS[0])
    made.close()
    for path in (made._folder / "store").rglob("*"):
        if path.is_file():
            path.write_bytes(b"garbage")
    assert nearest(made, VECTORS[3]) == exact(VECTORS[3])
    assert any("built anew" in line for line in made.said)


def test_a_store_that_was_half_filled_is_filled(tmp_path):
    with Collection(tmp_path, "law-test", LABELS[:10], lambda: VECTORS[:10]) as few:
        nearest(few, VECTORS[0])
    with Collection(tmp_path, "law-test", LABELS, lambda: VECTORS) as whole:
        assert nearest(whole, VECTORS[30]) == exact(VECTORS[30])


WRITER = """
import sys
from pathlib import Path
import numpy as np
from lendsafe.law.collection import Collection
vectors = np.load(sys.argv[2])
labels = [f"1002-9-{i}" for i in range(len(vectors))]
with Collection(Path(sys.argv[1]), "law-test", labels, lambda: vectors) as one:
    print([label for label, _ in one.nearest(vectors[3].tolist(), 5)])
"""


def test_two_that_write_at_once_both_find(tmp_path):
    np.save(tmp_path / "vectors.npy", VECTORS)
    run = [sys.executable, "-c", WRITER, str(tmp_path), str(tmp_path / "vectors.npy")]
    both = [
        subprocess.Popen(run, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    for one in both:
        out, err = one.communicate(timeout=300)
        assert one.returncode == 0, err
        assert out.strip() == str(exact(VECTORS[3]))


def program(monkeypatch, tmp_path, body: str) -> None:
    """Another program in the place of Chroma's."""
    path = tmp_path / "stand_in.py"
    path.write_text(f"import json, sys\n{body}")
    real = subprocess.Popen

    def start(arguments, **named):
        return real([sys.executable, str(path)], **named)

    monkeypatch.setattr(collection.subprocess, "Popen", start)


def test_a_full_disk_is_one_line_that_says_so(made, monkeypatch, tmp_path):
    program(
        monkeypatch,
        tmp_path,
        'print(json.dumps({"error": "InternalError: database or disk is full"}), flush=True)',
    )
    with pytest.raises(DiskError, match="Free some space"):
        nearest(made, VECTORS[0])


def test_a_process_that_always_crashes_is_given_up_with_a_way_out(made, monkeypatch, tmp_path):
    program(monkeypatch, tmp_path, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(LendSafeError, match="--by meaning") as caught:
        nearest(made, VECTORS[0])
    assert "\n" not in str(caught.value)
    assert len(made.said) == 2


def test_a_process_that_hangs_is_not_waited_for(made, monkeypatch, tmp_path):
    monkeypatch.setattr(collection, "_PATIENCE", 0.2)
    program(monkeypatch, tmp_path, "import time; time.sleep(60)")
    with pytest.raises(LendSafeError, match="no answer in"):
        nearest(made, VECTORS[0])


def test_without_the_package_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(collection, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"lendsafe\[rag\]"):
        Collection(tmp_path, "law-test", LABELS, lambda: VECTORS)


@pytest.mark.skipif(not is_installed(), reason="the model's package is not installed")
def test_the_law_in_chroma_finds_what_the_law_in_numpy_finds(tmp_path):
    law, day = Law.load(), date(2026, 11, 27)
    questions = ("May the letter be in Spanish?", "May we consider unpaid hospital bills?")
    with searching(law, day, "chroma", tmp_path) as chroma, searching(law, day, "meaning") as exact_search:
        for question in questions:
            ours = [hit.paragraph.label for hit in exact_search.find(question, 5)]
            assert next(hit.paragraph.label for hit in chroma.find(question, 5)) == ours[0]
            assert len(set(ours) & {hit.paragraph.label for hit in chroma.find(question, 5)}) >= 4


QUIET = """
import sys, json
hosts = []
sys.addaudithook(lambda event, a: hosts.append(str(a)) if event in ("socket.getaddrinfo", "socket.connect") else None)
sys.argv = ["x", sys.argv[1], "law-test"]
from lendsafe.law.chroma_process import main
try:
    main()
finally:
    sys.stderr.write("HOSTS " + json.dumps(hosts))
"""


def test_it_calls_nobody(tmp_path):
    asked = [
        {"do": "add", "ids": ["a"], "vectors": [[1.0, 0.0]]},
        {"do": "query", "vector": [1.0, 0.0], "n": 1},
        {"do": "dance"},
        {"do": "count"},
    ]
    lines = "".join(json.dumps(one) + "\n" for one in asked)
    ran = subprocess.run(
        [sys.executable, "-c", QUIET, str(tmp_path)], input=lines, capture_output=True, text=True, timeout=300
    )
    answers = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [sorted(one) for one in answers] == [
        ["ready"],
        ["count"],
        ["distances", "ids"],
        ["error"],
        ["count"],
    ]
    assert ran.stderr.rpartition("HOSTS ")[2] == "[]"
