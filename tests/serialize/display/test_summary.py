"""The description of an artifact is short and harmless, whatever names its columns and classes have."""

from serialize.checks.golden_rows import GoldenRows
from serialize.display.summary import as_html, as_text, summary
from serialize.manifest import Manifest
from serialize.signature import Column, Signature
from serialize.task import Task


def manifest(name: str, columns: int, **more: object) -> Manifest:
    signature = Signature("frame", tuple(Column(f"{name}{i}", "number", False, "float64") for i in range(columns)))
    return Manifest(
        name=name,
        task=Task("binary", (f"{name} no", "yes"), "yes", 0.25),
        signature=signature,
        profile={},
        golden=GoldenRows((), (), 0.0),
        metrics={"method": "none", "metrics": {}},
        importances={"metric": "roc_auc", "columns": {}},
        libraries={},
        not_compiled="No rule for this step.",
    )


def test_many_columns_with_long_names_that_span_lines_take_few_lines() -> None:
    text = as_text(summary(manifest("a\nlong " * 50, 500), "0" * 12, path=None))

    assert len(text.splitlines()) == 6
    assert max(map(len, text.splitlines())) < 130
    assert "and 492 more" in text
    assert "metrics:   none" in text
    assert "compiled:  no. No rule for this step." in text


def test_names_are_escaped_in_html() -> None:
    page = as_html(summary(manifest("<script>", 1), "0" * 12, path=None))

    assert "<script>" not in page
    assert "&lt;script&gt;0 (number)" in page
