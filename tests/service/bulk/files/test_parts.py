"""Files are read as rows with their numbers, whatever their format."""

import gzip
import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from serialize.files.place_error import PlaceError
from serialize.files.places import input_files
from service.bulk.files.parts import Part, parts_of
from service.bulk.files.rows import CsvOptions
from service.bulk.files.text_reader import _Content, _csv_blocks
from service.bulk.files.typed_reader import BATCH_ROWS

UTF8 = CsvOptions()
TABLE = pa.table({"a": [1, 2, 3], "b": ["x", None, "z"]})


def read(path: Path, options: CsvOptions = UTF8) -> list[tuple[int, dict[str, Any]]]:
    """The rows of a file with their numbers."""
    (file,) = input_files([str(path)])
    found: list[tuple[int, dict[str, Any]]] = []
    for part in parts_of(file, options):
        for rows in part.rows():
            found += zip(rows.numbers.tolist(), rows.batch.to_pylist(), strict=True)
    return found


def faults(path: Path) -> dict[int, str]:
    """What is wrong with the rows that could not be taken apart."""
    (file,) = input_files([str(path)])
    return {
        number: fault.detail
        for part in parts_of(file, CsvOptions())
        for rows in part.rows()
        for number, found in rows.faults.items()
        for fault in found
    }


def numbers(part: Part) -> list[int]:
    return [number for rows in part.rows() for number in rows.numbers.tolist()]


def test_a_row_group_is_a_part_and_rows_are_counted_through_them(tmp_path: Path) -> None:
    rows = 256 * 1024
    pq.write_table(pa.table({"a": list(range(2 * rows + 1))}), tmp_path / "a.parquet", row_group_size=rows)
    (file,) = input_files([str(tmp_path / "a.parquet")])

    found = list(parts_of(file, UTF8))

    assert [(part.number, part.share) for part in found] == [(0, 1 / 3), (1, 2 / 3), (2, 1.0)]
    assert [numbers(part) for part in found] == [list(range(rows)), list(range(rows, 2 * rows)), [2 * rows]]


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_small_row_groups_and_batches_are_one_part(name: str, tmp_path: Path) -> None:
    if name == "a.parquet":
        pq.write_table(TABLE, tmp_path / name, row_group_size=2)
    else:
        with pa.ipc.new_file(str(tmp_path / name), TABLE.schema) as writer:
            writer.write_table(TABLE, max_chunksize=2)
    (file,) = input_files([str(tmp_path / name)])

    (part,) = parts_of(file, UTF8)

    assert [rows.numbers.tolist() for rows in part.rows()] in ([[0, 1], [2]], [[0, 1, 2]])
    assert read(tmp_path / name) == list(enumerate(TABLE.to_pylist()))


def test_blocks_of_text_are_joined_and_every_part_can_be_read_again(tmp_path: Path) -> None:
    lines = [f"{i},{'x' * 1000}" for i in range(60_000)]
    (tmp_path / "a.csv").write_text("a,b\n" + "\n".join(lines))
    (file,) = input_files([str(tmp_path / "a.csv")])

    once, again = [[numbers(part) for part in parts_of(file, UTF8)] for _ in range(2)]

    assert once == again
    assert [number for part in once for number in part] == list(range(60_000))
    assert len(once) == 2


def test_a_long_batch_of_arrow_is_read_in_parts(tmp_path: Path) -> None:
    table = pa.table({"a": list(range(BATCH_ROWS + 5))})
    with pa.ipc.new_file(str(tmp_path / "a.arrow"), table.schema) as writer:
        writer.write_table(table)

    found = read(tmp_path / "a.arrow")

    assert [number for number, _ in found] == [row["a"] for _, row in found] == list(range(BATCH_ROWS + 5))


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("a,b\n1,x\n2,\n3,z\n", CsvOptions()),
        ("\ufeffa,b\r\n1,x\r\n2,\r\n3,z", CsvOptions()),
        ('"a";"b"\n1;"x"\n2;""\n3;z\n', CsvOptions(";")),
    ],
)
def test_the_cells_of_csv_are_text(tmp_path: Path, name: str, text: str, options: CsvOptions) -> None:
    content = text.encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)

    assert read(tmp_path / name, options) == [
        (0, {"a": "1", "b": "x"}),
        (1, {"a": "2", "b": ""}),
        (2, {"a": "3", "b": "z"}),
    ]


def test_csv_may_have_another_encoding_and_line_breaks_in_quotes(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes('näme,b\n"x\ny",ü\n'.encode("cp1252"))

    assert read(tmp_path / "a.csv", CsvOptions(encoding="cp1252")) == [(0, {"näme": "x\ny", "b": "ü"})]
    with pytest.raises(PlaceError, match=r"a\.csv cannot be read: .*utf-8"):
        read(tmp_path / "a.csv")


def test_a_row_of_csv_with_another_number_of_values_is_a_fault_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1\n1,2\n1,2,3\n4,5\n6\n")

    assert read(tmp_path / "a.csv") == [(1, {"a": "1", "b": "2"}), (3, {"a": "4", "b": "5"})]
    expected = "expected 2 values, as many as the header has names; got"
    assert faults(tmp_path / "a.csv") == {0: f"{expected} 1", 2: f"{expected} 3", 4: f"{expected} 1"}


def test_odd_rows_of_csv_in_several_blocks_keep_the_numbers_right(tmp_path: Path) -> None:
    lines = [f"{i},{'x' * 1000}" if i % 1000 else str(i) for i in range(10_000)]
    (tmp_path / "a.csv").write_text("a,b\n" + "\n".join(lines))

    found = read(tmp_path / "a.csv")

    assert all(number == int(row["a"]) for number, row in found)
    assert len(found) == 9990
    assert list(faults(tmp_path / "a.csv")) == list(range(0, 10_000, 1000))


def test_a_csv_file_without_rows_has_none(tmp_path: Path) -> None:
    for text in ("a,b\n", "a,b", ""):
        (tmp_path / "a.csv").write_text(text)

        assert read(tmp_path / "a.csv") == []


def test_empty_lines_of_ndjson_are_counted_and_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_text('{"a": 1}\n\n  \n{"a": 2}')

    assert read(tmp_path / "a.ndjson") == [(0, {"line": b'{"a": 1}'}), (3, {"line": b'{"a": 2}'})]


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "a.csv.gz", "a.ndjson.gz"])
def test_a_damaged_file_is_one_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"no such thing at all")

    with pytest.raises(PlaceError, match=rf"{name} cannot be read: [^\n]+\.$"):
        read(tmp_path / name)


@pytest.mark.parametrize("name", ["a.parquet", "a.csv"])
def test_two_columns_of_one_name_are_refused(tmp_path: Path, name: str) -> None:
    if name == "a.csv":
        (tmp_path / name).write_text("a,a\n1,2\n")
    else:
        pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"]), tmp_path / name)

    with pytest.raises(PlaceError, match=r"cannot be read: two columns are called 'a'; rename one of them\.$"):
        read(tmp_path / name)


def test_rows_of_csv_that_are_all_odd_are_all_faults(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b,c\n1,2\n3\n")

    assert read(tmp_path / "a.csv") == []
    assert list(faults(tmp_path / "a.csv")) == [0, 1]


def test_nothing_but_the_reader_of_csv_touches_the_file(tmp_path: Path) -> None:
    """pyarrow reads in a thread of its own: a seek beside it doubled rows."""
    (tmp_path / "a.csv").write_text("a\n" + "\n".join(map(str, range(2_000_000))))
    (file,) = input_files([str(tmp_path / "a.csv")])

    class OnlyRead:
        def __init__(self, content: bytes) -> None:
            self.read = io.BytesIO(content).read

    shares, rows = [], 0
    content = _Content(OnlyRead((tmp_path / "a.csv").read_bytes()), file)  # type: ignore[arg-type]
    for block in _csv_blocks(content, UTF8):
        rows += block.rows.batch.num_rows
        shares.append(block.share)

    assert (rows, shares) == (2_000_000, sorted(shares))
    assert len(shares) > 3


def test_layouts_that_pyarrow_knows_in_part_are_read(tmp_path: Path) -> None:
    texts = pa.array(["a", None, "a"])
    table = pa.table(
        {"view": texts.cast(pa.string_view()), "bytes": texts.cast(pa.binary_view()), "runs": pc.run_end_encode(texts)}
    )
    with pa.ipc.new_file(str(tmp_path / "a.arrow"), table.schema) as writer:
        writer.write_table(table)

    (file,) = input_files([str(tmp_path / "a.arrow")])
    ((batch,),) = ([rows.batch for rows in part.rows()] for part in parts_of(file, UTF8))

    assert batch.schema.types == [pa.string(), pa.binary(), pa.string()]
    assert batch.column("runs").to_pylist() == ["a", None, "a"]


def test_a_damaged_page_is_one_sentence(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": list(range(10_000))}), tmp_path / "a.parquet")
    content = bytearray((tmp_path / "a.parquet").read_bytes())
    content[20:200] = bytes(range(180))
    (tmp_path / "a.parquet").write_bytes(content)

    with pytest.raises(PlaceError, match=r"a\.parquet cannot be read: "):
        read(tmp_path / "a.parquet")


def test_columns_of_text_may_be_read_as_codes(tmp_path: Path) -> None:
    pq.write_table(TABLE.append_column("c", pa.array([["x"], ["y"], []])), tmp_path / "a.parquet")
    (file,) = input_files([str(tmp_path / "a.parquet")])
    (part,) = parts_of(file, UTF8)

    (rows,) = part.rows(["a", "b", "c", "no such column"])

    assert [pa.types.is_dictionary(kind) for kind in rows.batch.schema.types] == [False, True, False]
    assert rows.batch.column("b").to_pylist() == ["x", None, "z"]
