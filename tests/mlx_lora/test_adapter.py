"""The adapter folder: written whole or not at all, read back bit for bit, refused if it is anything else."""

import json
import random
import shutil
import signal

import mlx.core as mx
import numpy as np
import pytest
from model_folders import adapted, assert_same_arrays, mlx_logits, model_folder, numpy_arrays, run_folder

from lendsafe.errors import DivergedError, LendSafeError, RefusedError
from lendsafe.mlx_lora.exchange import adapter, foreign, loading, targets

TARGETS = [("attention",), ("experts",), ("all",), ("model.layers.1.self_attn.q_proj",)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return model_folder(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("adapter") / "run"
    run_folder(folder, path, "q_proj", "experts")
    return path


@pytest.mark.parametrize("wanted", TARGETS)
def test_what_was_saved_is_loaded_bit_for_bit(folder, tmp_path, wanted):
    before = run_folder(folder, tmp_path / "run", *wanted, dropout=0.1)
    base = loading.load(str(folder))
    account = adapter.load(tmp_path / "run", base)
    assert_same_arrays(numpy_arrays(base), numpy_arrays(before))
    np.testing.assert_array_equal(mlx_logits(base.model), mlx_logits(before.model))
    assert account.trainable == sum(array.size for array in numpy_arrays(base).values())


def test_loading_twice_replaces_the_adapters(folder, run):
    base = loading.load(str(folder))
    adapter.load(run, base)
    once = mlx_logits(base.model)
    adapter.load(run, base)
    np.testing.assert_array_equal(mlx_logits(base.model), once)


def test_arrays_and_restore_are_inverse(folder):
    base, _ = adapted(folder, "all")
    before = numpy_arrays(base)
    kept = adapter.arrays(base.model)
    for layer in targets.adapters(base.model).values():
        layer.lora_a, layer.lora_b = layer.lora_a + 1, layer.lora_b + 1
    adapter.restore(base.model, kept)
    assert_same_arrays(numpy_arrays(base), before)


@pytest.mark.parametrize("change", ["missing", "unknown", "shape"])
def test_restoring_other_arrays_is_refused_by_name(folder, change):
    base, _ = adapted(folder, "attention")
    arrays = adapter.arrays(base.model)
    name = next(iter(arrays))
    changed = {
        "missing": {n: a for n, a in arrays.items() if n != name},
        "unknown": arrays | {"model.norm.lora_a": mx.zeros((1,))},
        "shape": arrays | {name: mx.zeros((1, 1))},
    }[change]
    with pytest.raises(RefusedError, match=r"lora_"):
        adapter.restore(base.model, changed)


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_a_value_that_is_not_finite_is_never_written(folder, tmp_path, poison):
    base, config = adapted(folder, "attention")
    adapter.save(tmp_path, base.model, config, base)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    layer = next(iter(targets.adapters(base.model).values()))
    layer.lora_b = layer.lora_b.at[0, 0].add(poison)
    with pytest.raises(DivergedError, match="not finite"):
        adapter.save(tmp_path, base.model, config, base)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_no_pickle_and_no_stray_file_is_written(run):
    assert {path.name for path in run.iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "adapters.safetensors",
    }
    assert all(path.read_bytes()[8:9] == b"{" for path in run.glob("*.safetensors"))


def test_an_adapter_of_another_base_is_refused_by_name(run, tmp_path):
    other = model_folder(tmp_path / "other", seed=5)
    with pytest.raises(RefusedError, match=r"another base than '.*other'") as caught:
        adapter.load(run, loading.load(str(other)))
    assert caught.value.exit_code == 8


def test_a_refused_adapter_leaves_the_model_as_it_was(folder, run, tmp_path):
    base = loading.load(str(folder))
    before = mlx_logits(base.model)
    shutil.copytree(run, tmp_path / "run")
    arrays = {n: np.array(a) for n, a in adapter.read_arrays(run / adapter.MLX_FILE).items()}
    arrays = {n: a[..., :-1] if "lora_b" in n else a for n, a in arrays.items()}
    adapter.write_tensors(tmp_path / "run" / adapter.MLX_FILE, arrays)
    with pytest.raises(RefusedError, match="has shape"):
        adapter.load(tmp_path / "run", base)
    assert not targets.adapters(base.model)
    np.testing.assert_array_equal(mlx_logits(base.model), before)


def test_an_adapter_on_a_quantised_base_is_saved_and_loaded(tmp_path):
    folder = model_folder(tmp_path / "base", intermediate_size=64)
    base = loading.load(str(folder), quantize=4)
    config = adapter.LoraConfig(rank=2, targets=("all",))
    targets.add_adapters(base.model, config)
    for layer in targets.adapters(base.model).values():
        layer.lora_b = layer.lora_b + 0.01
    (tmp_path / "run").mkdir()
    adapter.save(tmp_path / "run", base.model, config, base)
    again = loading.load(str(folder), quantize=4)
    adapter.load(tmp_path / "run", again)
    np.testing.assert_array_equal(mlx_logits(again.model), mlx_logits(base.model))


# -- mutated files ---------------------------------------------------------------------------------


class HangError(Exception):
    """A read took longer than it may."""


def attempt(read, seconds=10):
    """Whether ``read`` succeeded; anything but a one-line error of ours, in time, fails the test."""

    def late(*_):
        raise HangError

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        read()
    except LendSafeError as problem:
        assert "\n" not in str(problem)
        assert len(str(problem)) < 1000
        assert problem.exit_code == 8
        return False
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    return True


SHAPES = [[2, -2], [65536, 65536, 65536, 16384], [], [0], [2**63], [1.5], "x", None, [[1]]]
NOISE = [
    None,
    -1,
    0,
    1e400,
    "\n\n",
    "x" * 5000,
    [],
    {},
    [[]],
    True,
    2**70,
    10**400,
    {"rank": -1},
    "é\ud800",
    [1, "a"],
]


def mutated_header(content, rng):
    """A safetensors file with a broken header: bytes flipped, or a well-formed lie."""
    size = int.from_bytes(content[:8], "little")
    header, body = content[8 : 8 + size], content[8 + size :]
    kind = rng.randrange(5)
    if kind == 0:
        position = rng.randrange(len(header))
        header = header[:position] + bytes([rng.randrange(256)]) + header[position + 1 :]
    elif kind == 1:
        return rng.randrange(2**64).to_bytes(8, "little") + header + body
    elif kind == 2:
        return content[: rng.randrange(len(content))]
    else:
        table = json.loads(header)
        entry = table[rng.choice([name for name in table if name != "__metadata__"])]
        key = rng.choice(["shape", "data_offsets", "dtype"])
        entry[key] = rng.choice([*SHAPES, [0, 0], [5, 3], [0, 2**62], "F64", "I8", "BF16", "F8_E4M3"])
        header = json.dumps(table).encode()
        header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + body


def mutated_config(text, rng):
    """An ``adapter_config.json`` with values, keys or bytes changed."""
    kind = rng.randrange(5)
    if kind == 0:
        position = rng.randrange(len(text))
        return text[:position] + chr(rng.randrange(1, 0x250)) + text[position + 1 :]
    if kind == 1:
        return text[: rng.randrange(len(text))]
    if kind == 2 and rng.random() < 0.2:
        return "[" * rng.choice([10, 100_000])
    table = json.loads(text)
    owner = rng.choice([table, table["lora_parameters"], table["lendsafe"]])
    key = rng.choice([*owner, "unknown\nkey"])
    if kind == 3:
        owner.pop(key, None)
    owner[key] = rng.choice(NOISE) if kind != 3 or rng.random() < 0.5 else owner.get(key)
    return json.dumps(table)


def fuzz_headers(run, folder, tmp_path, count):
    rng, base = random.Random(1), loading.load(str(folder))
    content = (run / adapter.MLX_FILE).read_bytes()
    path = tmp_path / adapter.MLX_FILE
    shutil.copy(run / adapter.CONFIG, tmp_path)
    accepted = 0
    for _ in range(count):
        path.write_bytes(mutated_header(content, rng))
        accepted += attempt(lambda: adapter.load(tmp_path, base))
    assert accepted < count / 5  # most mutations matter


def fuzz_configs(run, folder, tmp_path, count):
    rng, base = random.Random(2), loading.load(str(folder))
    text = (run / adapter.CONFIG).read_text()
    for name in (adapter.MLX_FILE, adapter.PEFT_FILE):
        shutil.copy(run / name, tmp_path)
    accepted = 0
    for _ in range(count):
        changed = mutated_config(text, rng).encode("utf-8", "surrogatepass")
        (tmp_path / adapter.CONFIG).write_bytes(changed)
        accepted += attempt(lambda: adapter.load(tmp_path, base))
        attempt(lambda: foreign.read(tmp_path, base))
    assert accepted < count / 2


def test_mutated_headers_are_refused_in_one_line(run, folder, tmp_path):
    fuzz_headers(run, folder, tmp_path, 500)


def test_mutated_settings_are_refused_in_one_line(run, folder, tmp_path):
    fuzz_configs(run, folder, tmp_path, 500)


@pytest.mark.soak
def test_20000_mutated_headers_are_refused_in_one_line(run, folder, tmp_path):
    fuzz_headers(run, folder, tmp_path, 20_000)


@pytest.mark.soak
def test_20000_mutated_settings_are_refused_in_one_line(run, folder, tmp_path):
    fuzz_configs(run, folder, tmp_path, 20_000)
