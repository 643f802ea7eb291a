"""Dialects, and the traps of the usual reader that made this one necessary."""

import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import ContractError, InputError, MappingError
from features.tables.delimited import decode, delimiter_of, header_name, rows_of
from features.tables.reading import Dialect, read_raw
from features.tables.values import (
    Clock,
    Marks,
    is_missing,
    parse_days,
    parse_numbers,
    parse_text,
    parse_times,
    settle_marks,
)

EXPECTED = {"pot", "voltage"}


def read(tmp_path, data: bytes, name: str = "plant.csv", expected=EXPECTED, **dialect):
    (tmp_path / name).write_bytes(data)
    return read_raw(tmp_path / name, Dialect(**dialect), expected)


# the traps of the usual reader, each shown and then met


def test_a_decimal_comma_in_a_comma_file_is_refused_where_pandas_shifts_the_columns(tmp_path):
    data = b"pot,voltage\n101,4,05\n102,4,06\n"
    wrong = pd.read_csv(io.BytesIO(data))
    assert wrong["pot"].tolist() == [4, 4]
    assert wrong["voltage"].tolist() == [5, 6]
    with pytest.raises(ContractError, match="decimal comma"):
        read(tmp_path, data)


def test_a_thousands_dot_beside_a_decimal_comma_is_read_where_pandas_keeps_text():
    data = b"pot;voltage\n101;955,2\n102;1.020,5\n"
    assert not pd.api.types.is_numeric_dtype(pd.read_csv(io.BytesIO(data), sep=";", decimal=",")["voltage"])
    cells = ["955,2", "1.020,5"]
    marks = settle_marks(cells, None, None, "file")
    assert parse_numbers(cells, marks).values.tolist() == [955.2, 1020.5]


@pytest.mark.parametrize("encoding", ["gb18030", "utf-8", "utf-16"])
def test_an_encoding_that_decodes_anything_is_refused_where_pandas_reads_wrong_names(tmp_path, encoding):
    data = "槽号,工作平均\n101,3.9\n102,3.8\n".encode(encoding)
    if encoding != "utf-16":
        assert "槽号" not in pd.read_csv(io.BytesIO(data), encoding="latin-1").columns
    with pytest.raises(MappingError, match="declare"):
        read(tmp_path, data, expected={"槽号", "工作平均"}, encoding="latin-1")
    raw = read(tmp_path, data, expected={"槽号", "工作平均"})
    assert list(raw.headers) == ["槽号", "工作平均"]


def test_one_text_state_leaves_a_column_numeric_and_no_number_is_infinite_where_pandas_makes_it_so():
    cells = ["3.9", "Bad Input", "I/O Timeout", "1E400", "3.8"]
    assert not pd.api.types.is_numeric_dtype(pd.Series(cells))
    assert np.isinf(pd.to_numeric(pd.Series(cells), errors="coerce")).sum() == 1
    parsed = parse_numbers(cells, Marks())
    assert parsed.values[[0, 4]].tolist() == [3.9, 3.8]
    assert parsed.missing.tolist() == [False, True, True, False, False]
    assert parsed.problem[3] == "not a finite number"


def test_a_repeated_header_is_kept_apart_where_pandas_renames_it(tmp_path):
    data = b"pot,voltage,voltage\n101,3.9,4.0\n"
    assert list(pd.read_csv(io.BytesIO(data)).columns) == ["pot", "voltage", "voltage.1"]
    raw = read(tmp_path, data)
    assert raw.repeated == {"voltage"}
    assert list(raw.headers) == ["pot"]


def test_local_times_that_do_not_exist_or_occur_twice_are_problems_where_pandas_raises_for_the_column():
    cells = ["2025-03-30 02:30", "2025-10-26 02:30", "2025-06-01 12:00"]
    with pytest.raises(ValueError, match=r"2025-03-30|nonexistent|02:30"):
        pd.to_datetime(pd.Series(cells)).dt.tz_localize("Europe/Berlin")
    parsed = parse_times(cells, Clock("Europe/Berlin"))
    assert "does not exist" in parsed.problem[0]
    assert "occurs twice" in parsed.problem[1]
    assert parsed.values[2] == pd.Timestamp("2025-06-01T10:00Z")


# text


@given(
    st.lists(
        st.tuples(st.integers(1, 999), st.floats(3.0, 5.0).map(lambda v: round(v, 3))),
        min_size=3,
        max_size=20,
    ),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "gb18030"]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_whatever_dialect_is_written_is_found(rows, delimiter, encoding, end):
    lines = [delimiter.join(("槽号", "工作平均")), *(delimiter.join(map(str, row)) for row in rows)]
    data = (end.join(lines) + end).encode(encoding)
    text, _, _ = decode(data, None, "file")
    expected = {"槽号", "工作平均"}
    assert delimiter_of(text, expected, "file") == delimiter
    kept, faults, notes = rows_of(text, delimiter, "file", None, expected)
    assert [(int(a), float(b)) for _, (a, b) in kept[1:]] == rows
    assert not faults
    assert not notes


def test_bytes_of_a_western_code_page_are_not_taken_for_chinese():
    with pytest.raises(MappingError, match="declare its encoding"):
        decode("Zelle;Spannung;Prüfer\n1;3,9;Müller\n".encode("cp1252"), None, "file")


def test_a_declared_encoding_is_taken_strictly():
    with pytest.raises(MappingError, match="is not utf-8"):
        decode("槽号".encode("gb18030"), "utf-8", "file")
    with pytest.raises(MappingError, match="unknown"):
        decode(b"pot", "utf-99", "file")


def test_rows_that_do_not_split_are_set_aside_with_their_line(tmp_path):
    raw = read(tmp_path, b"pot,voltage\n1,3.9\n2,3.9,extra\n3,3.8\n\n4,3\0.7\n5,3.7\n6,3.6\n7")
    assert raw.rows.tolist() == [2, 4, 7, 8]
    assert [(fault.row, fault.rule) for fault in raw.faults] == [(3, "ragged"), (6, "nul"), (9, "truncated")]


def test_a_header_below_a_title_is_found(tmp_path):
    raw = read(tmp_path, b"Daily report,\nLine 1,\npot,voltage\n1,3.9\n2,3.8\n")
    assert list(raw.headers) == ["pot", "voltage"]
    assert raw.rows.tolist() == [4, 5]


def test_headers_are_compared_in_one_form():
    assert header_name(" 运行时间（分） ") == header_name("运行时间(分)")
    assert header_name("Cell\nvoltage") == "Cell voltage"


@pytest.mark.parametrize(
    ("data", "name", "error", "message"),
    [
        (b"", "a.csv", ContractError, "empty"),
        (b"pot,voltage\n", "a.csv", ContractError, "no rows"),
        (b"pot,voltage\n1,2\n", "a.pdf", InputError, "not read"),
        (b"PK\x03\x04rest", "a.csv", InputError, "holds excel"),
        (b"pot,voltage\n1,2\n", "a.xlsx", InputError, "holds text"),
        (b"PK\x03\x04rest", "a.xlsx", InputError, "cannot be read"),
        (b"PAR1rest", "a.parquet", InputError, "cannot be read"),
        (b"pot\n1\n2\n", "a.csv", MappingError, "delimiter"),
        (b'pot,voltage\n"1,2\n3,4\n', "a.csv", ContractError, "export it again"),
    ],
)
def test_a_file_that_is_none_is_refused_by_name(tmp_path, data, name, error, message):
    with pytest.raises(error, match=message):
        read(tmp_path, data, name)


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(InputError, match=r"gone\.csv"):
        read_raw(tmp_path / "gone.csv", Dialect(), EXPECTED)


# Excel and Parquet


def excel(tmp_path, sheets: dict[str, pd.DataFrame]):
    file = tmp_path / "report.xlsx"
    with pd.ExcelWriter(file, engine="openpyxl") as writer:
        for name, frame in sheets.items():
            frame.to_excel(writer, sheet_name=name, index=False)
    return file


def test_excel_keeps_text_numbers_and_repeated_headers_as_they_are(tmp_path):
    frame = pd.DataFrame([["001", 3.9, "Bad Input"], ["002", 4, None]], columns=["pot", "voltage", "noise"])
    raw = read_raw(excel(tmp_path, {"data": frame}), Dialect(), EXPECTED)
    assert raw.cells.to_numpy().tolist() == [["001", 3.9, "Bad Input"], ["002", 4, None]]
    assert raw.rows.tolist() == [2, 3]


def test_the_sheet_that_carries_the_headers_is_taken(tmp_path):
    file = excel(
        tmp_path, {"cover": pd.DataFrame({"x": [1]}), "days": pd.DataFrame({"pot": [1], "voltage": [3.9]})}
    )
    assert read_raw(file, Dialect(), EXPECTED).source == "report.xlsx[days]"
    with pytest.raises(MappingError, match="no sheet 'nights'"):
        read_raw(file, Dialect(sheet="nights"), EXPECTED)


def test_two_sheets_alike_are_refused(tmp_path):
    same = pd.DataFrame({"pot": [1], "voltage": [3.9]})
    file = excel(tmp_path, {"a": same, "b": same})
    with pytest.raises(MappingError, match="name one"):
        read_raw(file, Dialect(), EXPECTED)
    assert read_raw(file, Dialect(sheet="b"), EXPECTED).source == "report.xlsx[b]"


def test_a_declared_header_row_is_taken(tmp_path):
    frame = pd.DataFrame([["pot", "voltage"], [1, 3.9]], columns=["title", "of the sheet"])
    raw = read_raw(excel(tmp_path, {"a": frame}), Dialect(header_row=2), EXPECTED)
    assert list(raw.headers) == ["pot", "voltage"]


def test_parquet_keeps_its_numbers_and_days(tmp_path):
    pd.DataFrame({"pot": [1, 2], "day": pd.to_datetime(["2025-01-01", None])}).to_parquet(
        tmp_path / "a.parquet"
    )
    raw = read_raw(tmp_path / "a.parquet", Dialect(), {"pot"})
    assert raw.cells[0].tolist() == [1, 2]
    assert raw.cells[1].tolist() == [pd.Timestamp("2025-01-01"), None]


# cells


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["3.863", "944.0"], Marks(".", "")),
        (["3,863", "944,0"], Marks(",", "")),
        (["7,545", "944.5"], Marks(".", ",")),
        (["7.545", "944,5"], Marks(",", ".")),
        (["1,020.5", "12"], Marks(".", ",")),
        (["12", "13"], Marks(".", "")),
    ],
)
def test_the_marks_of_a_file_follow_from_its_numbers(cells, expected):
    assert settle_marks(cells, None, None, "file") == expected


@pytest.mark.parametrize("cells", [["7,545", "3,863"], ["3,5", "2.25"]])
def test_marks_that_cannot_be_settled_are_refused(cells):
    with pytest.raises(MappingError, match="declare decimal"):
        settle_marks(cells, None, None, "file")


def test_a_stray_cell_of_the_other_kind_is_a_fault_of_its_row():
    cells = ["3.85"] * 50 + ["3,86"]
    parsed = parse_numbers(cells, settle_marks(cells, None, None, "file"))
    assert parsed.problem[50] == "not a number"
    assert np.isfinite(parsed.values[:50]).all()


@given(
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.sampled_from([Marks(), Marks(","), Marks(",", ".")]),
)
def test_a_written_number_is_read_back(value, marks):
    if marks.thousands and "e" in repr(value):
        return
    written = repr(value).replace(".", marks.decimal)
    assert parse_numbers([written], marks).values[0] == value


@pytest.mark.parametrize("cell", ["3.9.1", "0x10", "1_000", "٣", "1e", "true", "4,5,6", "nan%", "--5"])
def test_what_is_no_number_is_a_problem(cell):
    parsed = parse_numbers([cell], Marks())
    assert parsed.problem[0] == "not a number"
    assert np.isnan(parsed.values[0])


def test_a_truth_value_or_a_date_is_no_number():
    parsed = parse_numbers([True, pd.Timestamp("2025-05-04"), 1, 1.0], Marks())
    assert parsed.problem.tolist() == ["not a number", "not a number", "", ""]


@pytest.mark.parametrize(
    "cell", [None, float("nan"), "", " ", "--", "#N/A", "Bad Input", "I/O TIMEOUT", "无", "-9999", -9999]
)
def test_the_ways_of_writing_no_value(cell):
    assert is_missing(cell, ("-9999",))


@pytest.mark.parametrize("cell", [0, "0", "-5", -1.0, "bad news"])
def test_a_value_is_no_missing_one(cell):
    assert not is_missing(cell)


def test_a_cell_number_keeps_its_text_and_loses_only_excels_point_zero():
    assert parse_text([2001.0, 2001, "007", " A-1 "]).values.tolist() == ["2001", "2001", "007", "A-1"]


@pytest.mark.parametrize(
    "cell",
    ["2025-10-01", "2025/10/1", "20251001", 20251001, "2025年10月01日", pd.Timestamp("2025-10-01 08:00")],
)
def test_days_with_the_year_first_are_read(cell):
    assert parse_days([cell], Clock("Asia/Shanghai")).values[0] == pd.Timestamp("2025-10-01")


@pytest.mark.parametrize("cell", ["01.10.2025", "10/01/2025", "1/10/25", "yesterday", "9999-01-01", 45931])
def test_a_day_that_could_be_a_month_is_not_guessed(cell):
    assert parse_days([cell], Clock("Asia/Shanghai")).problem[0]


def test_declared_formats_and_shifts_are_followed():
    clock = Clock("Asia/Shanghai", formats=("%d.%m.%Y",), shift_hours=-24)
    assert parse_days(["01.10.2025"], clock).values[0] == pd.Timestamp("2025-09-30")
    excel_serial = Clock("Asia/Shanghai", formats=("excel",))
    assert parse_days([45931], excel_serial).values[0] == pd.Timestamp("2025-10-01")
    noon = Clock("Asia/Shanghai", time_of_day="12:00")
    assert parse_times(["2025-10-01"], noon).values[0] == pd.Timestamp("2025-10-01T04:00Z")
    assert parse_times(["2025-10-01 08:30"], noon).values[0] == pd.Timestamp("2025-10-01T00:30Z")
