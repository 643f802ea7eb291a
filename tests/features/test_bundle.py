import json
import math
import os
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.bundle import (
    CARD,
    MANIFEST,
    MODEL,
    PARITY,
    PROTOCOL,
    DataInfo,
    FeatureInfo,
    IdentificationInfo,
    IntervalInfo,
    LeverInfo,
    Manifest,
    OutcomeInfo,
    Parity,
    RecipeInfo,
    SupportInfo,
    TargetInfo,
    UnavailableInfo,
    output_names,
    read_bundle,
    read_manifest,
)
from features.bundle.encoding import canonical, parse, sha256
from features.bundle.files import LIMITS
from features.bundle.graph import OPSETS
from features.bundle.manifest import manifest_from
from features.errors import BundleCorruptError, BundleForeignError, BundleProtocolError
from features.levers import default_levers, default_limits
from features.plant import Plant

PLANT = Plant("testline", "Asia/Shanghai", 420.0, 40, 60.0, simulated=True)
LEVERS = default_levers(PLANT)[:2]
KNOWN = IdentificationInfo(
    "identified", "follows", "it moved", "有响应", 120, 0.6, 90.5, {"energy_kwh_per_t": "follows"}
)


def manifest(files: dict[str, str] | None = None) -> Manifest:
    features = [FeatureInfo("noise_mv_last", "mV", 0.0, 500.0, 28, True)]
    for lever in LEVERS:
        for name, window in ((f"{lever.name}_last", 28), (lever.name, 0)):
            features.append(FeatureInfo(name, lever.unit, lever.low, lever.high, window, False))
    interval = IntervalInfo(
        "conformal", 0.9, {"overall": {"share": 0.89, "rows": 40.0}, "young": {"share": None}}
    )
    scores = {"boosting": {"mae": 0.1 + 0.2, "r2": None}}
    return Manifest(
        protocol=PROTOCOL,
        name="testline",
        version="1.2",
        created="2025-01-01T00:00:00+00:00",
        code_revision="0123abc",
        data=DataInfo("0" * 64, ("2024-01-01", "2024-06-30"), ("2024-07-01", "2024-07-31"), 100, True),
        seed=7,
        horizon_days=7,
        targets=(TargetInfo("energy_kwh_per_t", "kWh/t"),),
        unavailable=(UnavailableInfo("net_anode_kg_per_t", "butts are not weighed (残极未称重)"),),
        outcomes=(
            OutcomeInfo(
                "energy_kwh_per_t",
                "kWh/t",
                "boosting",
                5,
                True,
                interval,
                scores,
                scores,
                {},
                scores,
                {"kind": "Sum"},
            ),
            OutcomeInfo("mean_noise_mv", "mV", "ridge", 5, False, interval, scores, {}, {}, {}, {}),
        ),
        features=tuple(features),
        recipe=RecipeInfo("1" * 64, {"arithmetic": 1, "signals": ["noise_mv"]}),
        levers=tuple(LeverInfo.of(lever, lever.name, f"{lever.name}_last", KNOWN) for lever in LEVERS),
        limits=default_limits(LEVERS),
        plant=PLANT,
        support=SupportInfo(0.05),
        opset=dict(OPSETS),
        files=files or {MODEL: "a" * 64, PARITY: "b" * 64, CARD: "c" * 64},
    )


def write(directory: Path) -> Path:
    """A bundle of small files whose content means nothing: reading checks bytes, not meaning."""
    directory.mkdir(parents=True, exist_ok=True)
    content = {MODEL: b"not a model " * 20, PARITY: b"no rows " * 20, CARD: b"# A card\n"}
    for name, data in content.items():
        (directory / name).write_bytes(data)
    hashes = {name: sha256(data) for name, data in content.items()}
    (directory / MANIFEST).write_bytes(manifest(hashes).to_bytes())
    return directory


def edited(directory: Path, **changes: Any) -> None:
    """Rewrite the manifest's fields as an editor would, leaving digest and seal as they are."""
    values = json.loads((directory / MANIFEST).read_bytes())
    (directory / MANIFEST).write_bytes(canonical({**values, **changes}))


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    files = read_bundle(write(tmp_path / "b"))
    assert files.manifest == manifest(dict(files.manifest.files))
    assert files.model == (tmp_path / "b" / MODEL).read_bytes()
    assert files.manifest.to_bytes() == (tmp_path / "b" / MANIFEST).read_bytes()


def test_the_digest_knows_everything_but_the_time_of_creation() -> None:
    first = manifest()
    later = replace(first, created="2031-05-05T05:05:05+08:00")
    assert later.digest == first.digest
    assert later.to_bytes() != first.to_bytes()
    assert replace(first, seed=8).digest != first.digest
    assert replace(first, files={**first.files, MODEL: "d" * 64}).digest != first.digest
    assert replace(first, support=SupportInfo(0.06)).digest != first.digest


def test_an_integer_where_a_float_is_meant_gives_the_same_manifest() -> None:
    whole = replace(manifest(), support=SupportInfo(1))
    assert whole.to_bytes() == replace(manifest(), support=SupportInfo(1.0)).to_bytes()
    assert manifest_from(json.loads(whole.to_bytes())).digest == whole.digest


@pytest.mark.parametrize("name", [MANIFEST, MODEL, PARITY, CARD])
def test_any_single_changed_byte_is_noticed(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "b") / name
    whole = path.read_bytes()
    places = range(0, len(whole), max(1, len(whole) // 120))
    for place in [*places, len(whole) - 1]:
        for flip in (0x01, 0x20, 0x80):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ flip]) + whole[place + 1 :])
            with pytest.raises((BundleCorruptError, BundleProtocolError, BundleForeignError)):
                read_bundle(tmp_path / "b")
    path.write_bytes(whole)
    read_bundle(tmp_path / "b")


@pytest.mark.parametrize("name", [MANIFEST, MODEL, PARITY, CARD])
def test_truncated_or_grown_files_are_refused(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "b") / name
    whole = path.read_bytes()
    for content in (whole[:-1], whole[: len(whole) // 2], b"", whole + b"\n", whole + whole):
        path.write_bytes(content)
        with pytest.raises(BundleCorruptError, match=name):
            read_bundle(tmp_path / "b")


@pytest.mark.parametrize("name", [MODEL, PARITY, CARD])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    (write(tmp_path / "b") / name).unlink()
    with pytest.raises(BundleCorruptError, match=f"lacks.*{name}"):
        read_bundle(tmp_path / "b")


def test_without_a_manifest_it_is_no_bundle(tmp_path: Path) -> None:
    (write(tmp_path / "b") / MANIFEST).unlink()
    with pytest.raises(BundleForeignError, match=r"no manifest\.json"):
        read_bundle(tmp_path / "b")
    with pytest.raises(BundleForeignError, match="cannot be listed"):
        read_bundle(tmp_path / "nowhere")
    with pytest.raises(BundleForeignError, match="cannot be listed"):
        read_bundle(tmp_path / "b" / CARD)


@pytest.mark.parametrize("extra", ["weights.bin", ".hidden", "model.onnx.data"])
def test_an_extra_file_is_named(tmp_path: Path, extra: str) -> None:
    (write(tmp_path / "b") / extra).write_bytes(b"")
    with pytest.raises(BundleCorruptError, match=extra):
        read_bundle(tmp_path / "b")


@pytest.mark.parametrize("name", [MANIFEST, MODEL])
def test_links_pipes_and_directories_are_refused(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "b") / name
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleCorruptError, match="no regular file"):
        read_bundle(tmp_path / "b")
    path.unlink()
    os.mkfifo(path)  # nobody writes: opening it to read would wait for ever
    with pytest.raises(BundleCorruptError, match="no regular file"):
        read_bundle(tmp_path / "b")
    path.unlink()
    path.mkdir()
    with pytest.raises(BundleCorruptError, match="no regular file"):
        read_bundle(tmp_path / "b")


@pytest.mark.parametrize("name", [MANIFEST, MODEL, PARITY, CARD])
def test_a_file_beyond_its_limit_is_not_read(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "b") / name
    with path.open("r+b") as file:
        file.truncate(LIMITS[name] + 1)  # sparse: takes no space
    with pytest.raises(BundleCorruptError, match=f"{name}.*more than"):
        read_bundle(tmp_path / "b")


def test_files_swapped_between_bundles_are_refused(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a"), write(tmp_path / "b")
    (second / MODEL).write_bytes(b"another model")
    hashes = {name: sha256((second / name).read_bytes()) for name in (MODEL, PARITY, CARD)}
    (second / MANIFEST).write_bytes(manifest(hashes).to_bytes())
    read_bundle(second)
    (first / MODEL).write_bytes((second / MODEL).read_bytes())
    with pytest.raises(BundleCorruptError, match=r"model\.onnx.*SHA-256"):
        read_bundle(first)


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 8},
        {"created": "2026-01-01T00:00:00+00:00"},
        {"digest": "0" * 64},
        {"seal": "0" * 64},
        {"more": 1},
        {"name": "../../etc"},
    ],
)
def test_an_edited_manifest_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    edited(write(tmp_path / "b"), **changes)
    with pytest.raises(BundleCorruptError, match="seal"):
        read_bundle(tmp_path / "b")


def resealed(values: dict[str, Any]) -> bytes:
    """What someone who knows the format would write after an edit."""
    rest = {name: value for name, value in values.items() if name not in ("digest", "seal")}
    rest["digest"] = sha256(canonical({name: value for name, value in rest.items() if name != "created"}))
    return canonical({**rest, "seal": sha256(canonical(rest))})


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("seed",), "7", "seed"),
        (("seed",), True, "seed"),
        (("name",), "../../etc/passwd", "must match"),
        (("version",), "A", "must match"),
        (("created",), "2025-01-01T00:00:00", "zone"),
        (("created",), "yesterday", "yesterday"),
        (("data", "rows"), 0, "rows"),
        (("data", "span"), ["2024-02-01", "2024-01-01"], "empty"),
        (("data", "sha256"), "xyz", "SHA-256"),
        (("features", 0, "low"), 600.0, "range"),
        (("features", 0, "name"), "set_voltage_v", "twice"),
        (("features", 0, "extra"), 1, "unknown"),
        (("targets", 0, "name"), "profit", "no outcome"),
        (("levers", 0, "column"), "missing_column", "no features"),
        (("levers", 0, "group"), "weather", "one of"),
        (("levers", 0, "high"), 0.0, "not below"),
        (("limits", 0, "moves"), {"weather": 1.0}, "not offered"),
        (("support", "threshold"), 2.0, "share"),
        (("outcomes", 0, "members"), 0, "members"),
        (("outcomes", 0, "interval", "coverage"), 1.5, "shares"),
        (("plant", "anodes_per_cell"), 0, "anodes_per_cell"),
        (("plant", "timezone"), "Mars/Olympus", "timezone"),
        (("files",), {MODEL: "a" * 64}, "files"),
        (("files", "../outside"), "a" * 64, "files"),
        (("files", MODEL), "nothing", "SHA-256"),
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused_though_resealed(
    tmp_path: Path, path: tuple[str | int, ...], value: object, message: str
) -> None:
    target = write(tmp_path / "b") / MANIFEST
    values = json.loads(target.read_bytes())
    inner = values
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    target.write_bytes(resealed(values))
    with pytest.raises(BundleCorruptError, match=message):
        read_manifest(tmp_path / "b")


def test_a_resealed_manifest_without_change_is_accepted(tmp_path: Path) -> None:
    target = write(tmp_path / "b") / MANIFEST
    assert resealed(json.loads(target.read_bytes())) == target.read_bytes()


@pytest.mark.parametrize(("protocol", "remedy"), [(PROTOCOL + 1, "update"), (0, "train"), (-1, "train")])
def test_another_protocol_is_refused_before_anything_else(tmp_path: Path, protocol: int, remedy: str) -> None:
    target = write(tmp_path / "b") / MANIFEST
    target.write_text(json.dumps({"protocol": protocol, "shape": "unknown to us"}))
    with pytest.raises(BundleProtocolError, match=remedy):
        read_manifest(tmp_path / "b")


@pytest.mark.parametrize(
    "text", ["{}", "[]", "1", '{"protocol": "1"}', '{"protocol": true}', '{"protocol": 1.0}']
)
def test_a_manifest_of_something_else_is_foreign(tmp_path: Path, text: str) -> None:
    (write(tmp_path / "b") / MANIFEST).write_text(text)
    with pytest.raises(BundleForeignError, match="no protocol"):
        read_manifest(tmp_path / "b")


@pytest.mark.parametrize(
    "spoil", [lambda text: text.replace("\n ", "\n  "), lambda text: text.replace("\n", "\r\n")]
)
def test_a_manifest_laid_out_otherwise_is_refused(tmp_path: Path, spoil: Any) -> None:
    target = write(tmp_path / "b") / MANIFEST
    target.write_bytes(spoil(target.read_text(encoding="utf-8")).encode())
    with pytest.raises(BundleCorruptError, match="canonical"):
        read_manifest(tmp_path / "b")


@pytest.mark.parametrize("content", [b"\xff\xfe", b"{", b'{"protocol": 2, "a": NaN}', b"[" * 100_000, b""])
def test_what_is_no_json_is_refused(tmp_path: Path, content: bytes) -> None:
    (write(tmp_path / "b") / MANIFEST).write_bytes(content)
    with pytest.raises(BundleCorruptError):
        read_manifest(tmp_path / "b")


def test_keys_that_stand_twice_are_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        parse(b'{\n "a": 1,\n "a": 2\n}\n')


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(plain)
def test_canonical_text_is_read_back_to_the_same_text(value: object) -> None:
    text = canonical(value)
    assert canonical(parse(text)) == text


def test_canonical_text_does_not_depend_on_the_order_of_keys() -> None:
    assert canonical({"b": 1, "a": [0.1]}) == canonical({"a": [0.1], "b": 1})
    for refused in (math.nan, math.inf, {1, 2}, object()):
        with pytest.raises(ValueError, match="JSON"):
            canonical(refused)


def test_levers_come_back_as_an_operating_window() -> None:
    window = manifest().operating_window
    assert window.levers == LEVERS
    assert window.limits == default_limits(LEVERS)
    assert manifest().lever_columns == ((2, 1), (4, 3))
    assert manifest().design_width == 7


def test_outputs_are_named_in_order() -> None:
    energy, noise = "energy_kwh_per_t", "mean_noise_mv"
    expected = (energy, f"{energy}.lower", f"{energy}.upper", f"{energy}.members", noise, f"{noise}.lower")
    assert output_names(manifest()) == (*expected, f"{noise}.upper", "support")


def parity(seed: int = 1) -> Parity:
    draw = np.random.default_rng(seed)
    X = draw.normal(size=(9, 4)).astype(np.float32)
    X[0, 0] = np.nan
    return Parity(
        X, {"energy": draw.normal(13000, 100, 9), "energy.members": draw.normal(13000, 100, (9, 5))}
    )


def test_parity_rows_survive_storage_to_the_last_bit() -> None:
    read = Parity.from_bytes(parity().to_bytes())
    np.testing.assert_array_equal(read.features, parity().features)
    assert list(read.expected) == sorted(parity().expected)
    for name, values in parity().expected.items():
        np.testing.assert_array_equal(read.expected[name], values)
    assert read.to_bytes() == parity().to_bytes()
    assert parity().to_bytes() != parity(2).to_bytes()


def test_parity_finds_the_rows_that_differ() -> None:
    rows = parity()
    answers = {name: values.copy() for name, values in rows.expected.items()}
    assert rows.broken(answers) == {}
    assert rows.largest_relative(answers) == 0.0
    answers["energy"][2] *= 1 + 0.9e-6
    assert rows.broken(answers) == {}
    answers["energy"][2] *= 1 + 0.9e-6
    answers["energy.members"][7, 3] = np.nan
    broken = rows.broken(answers)
    assert broken["energy"].tolist() == [2]
    assert broken["energy.members"].tolist() == [7]
    with pytest.raises(ValueError, match="shape"):
        rows.broken({**answers, "energy": answers["energy"][:-1]})
    with pytest.raises(ValueError, match="expected"):
        rows.broken({"energy": answers["energy"]})


def test_parity_refuses_objects_other_types_and_missing_numbers(tmp_path: Path) -> None:
    rows = parity()
    with pytest.raises(ValueError, match="not finite"):
        Parity(rows.features, {"a": np.full(9, np.nan)})
    with pytest.raises(ValueError, match="float32"):
        Parity(rows.features.astype(np.float64), {})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="parity answers"):
        Parity(rows.features, {"a": np.zeros(3)})
    pickled = tmp_path / "p.npz"
    np.savez(pickled, features=np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"[Oo]bject arrays"):
        Parity.from_bytes(pickled.read_bytes())
    np.savez_compressed(pickled, features=rows.features)
    with pytest.raises(ValueError, match="compressed"):
        Parity.from_bytes(pickled.read_bytes())
    with pytest.raises(ValueError, match="cannot be read"):
        Parity.from_bytes(b"PK no zip")
    with zipfile.ZipFile(pickled, "w") as archive:
        archive.writestr("other.npy", b"no array")
    with pytest.raises(ValueError, match="magic"):
        Parity.from_bytes(pickled.read_bytes())
