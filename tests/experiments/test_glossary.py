from pathlib import Path

import pytest

from experiments.glossary import markdown, written_into
from features.outcomes import OUTCOMES
from features.signals import SIGNALS

README = Path(__file__).parents[2] / "features" / "README.md"


def test_the_glossary_is_what_the_dictionary_says() -> None:
    text = README.read_text(encoding="utf-8")
    assert written_into(text) == text, "run python -m experiments.glossary"


def test_every_name_is_in_it() -> None:
    text = markdown()
    for name in (*SIGNALS, *OUTCOMES):
        assert f"| `{name}` |" in text


def test_every_row_has_as_many_cells_as_its_head() -> None:
    width = 0
    for line in markdown().splitlines():
        if line.startswith("|---"):
            width = line.count("|")
        elif line.startswith("| ") and width:
            assert line.replace("\\|", "").count("|") == width, line
        elif not line.startswith("|"):
            width = 0


def test_missing_markers_are_named() -> None:
    with pytest.raises(ValueError, match="markers are missing"):
        written_into("# no markers")
