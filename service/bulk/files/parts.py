"""The parts of files: each is read and scored at once, in this process or in another one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from serialize.files.formats import TYPED
from serialize.files.places import InputFile
from service.bulk.files.rows import CsvOptions, Rows
from service.bulk.files.text_reader import text_blocks
from service.bulk.files.typed_reader import Units, read_units, unit_rows

_PART_ROWS = 256 * 1024
_PART_BLOCKS = 8


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a file: units that are still to be read, or rows that were read. `number` counts the parts of the file
    from 0 on, and `share` is how much of the file has been read after this part, from 0 to 1."""

    file: InputFile
    number: int
    content: Units | Sequence[Rows]
    share: float

    def rows(self, encoded: Sequence[str] = ()) -> Iterator[Rows]:
        """The rows in order; `encoded` is as in `read_units`. Raises PlaceError."""
        if isinstance(self.content, Units):
            yield from read_units(self.file, self.content, encoded)
        else:
            yield from self.content


def parts_of(file: InputFile, options: CsvOptions) -> Iterator[Part]:
    """The parts of a file in order. The same file always gives the same parts. A part of Parquet or Arrow is a row
    group, or several small ones. Raises PlaceError."""
    if file.format.name in TYPED:
        rows = unit_rows(file)
        for number, units in enumerate(_joined(rows)):
            yield Part(file, number, units, units.end / len(rows))
        return
    number, blocks = 0, text_blocks(file, options)
    while found := list(islice(blocks, _PART_BLOCKS)):
        yield Part(file, number, [block.rows for block in found], found[-1].share)
        number += 1


def _joined(rows: Sequence[int]) -> Iterator[Units]:
    """The units with these numbers of rows; small ones that follow each other are joined until they have the rows of a
    part."""
    first = first_row = found = 0
    for number, count in enumerate(rows):
        found += count
        if found >= _PART_ROWS or number == len(rows) - 1:
            yield Units(first, number + 1, first_row)
            first, first_row, found = number + 1, first_row + found, 0
