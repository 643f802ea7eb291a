from dataclasses import replace

import pytest

from experiments.results import RUN, markdown, written_into
from features.errors import InputError
from tests.fakes.report_content import content


def test_every_family_and_baseline_stands_in_the_table_marked_simulated() -> None:
    summary = content().summary
    text = markdown(summary.to_json())
    assert "Simulated data" in text
    assert text.count("simulated |") == 2
    for entry in summary.targets:
        for score in entry.families:
            assert f"{score.mae.mean:.4g} (" in text
    assert "*persistence*" in text
    assert "**LightGBM**" in text


def test_plant_data_are_not_called_simulated() -> None:
    assert "imulated" not in markdown(content(simulated=False).summary.to_json())


def test_a_quick_run_is_no_result() -> None:
    with pytest.raises(InputError, match="quick run"):
        markdown(replace(content().summary, quick=True).to_json())


def test_only_the_part_between_the_markers_changes() -> None:
    text = f"before\n{RUN.begin}\nold\n{RUN.end}\nafter\n"
    written = written_into(text, "new")
    assert written.startswith("before\n")
    assert written.endswith("\nafter\n")
    assert "old" not in written
    assert written_into(written, "new") == written
    with pytest.raises(ValueError, match="markers are missing"):
        written_into("nothing", "new")
