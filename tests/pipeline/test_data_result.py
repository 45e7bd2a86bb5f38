"""What `effnet data` prints."""

import io
import json

from rich.console import Console

from components.run_report.parts import (
    DataPart,
    LabelIssue,
    LabelIssues,
    NearDuplicates,
    Thumbnail,
)
from pipeline.data_result import DataReport, print_report
from pipeline.summary import Failure

_ODD = "<script>alert(1)</script>\x1b[31m" + "x" * 200


def _image(number: int, label: str = "hat", split: str = "train") -> Thumbnail:
    return Thumbnail(id=f"{number}.jpg", label=label, split=split, jpeg="AAAA")


def _report(**facts) -> DataReport:
    images = {split: {_ODD: 7, "hat": 9} for split in ("train", "val", "test")}
    issue = LabelIssue(
        image=_image(1), suggested="dress", given_probability=0.01, suggested_probability=0.98
    )
    part = DataPart(
        layout="folders",
        images=images,
        formats={"jpeg": 48},
        rejected_count=7,
        rejected_share=0.125,
        rejected_by_reason={"empty_file": 7},
        rejected=tuple(
            {
                "id": f"{n}.png",
                "label": "hat",
                "reason": "empty_file",
                "detail": "the file is empty",
            }
            for n in range(7)
        ),
        contradictory=({"ids": ("a.jpg", "b.jpg"), "labels": ("hat", _ODD)},),
        contradictory_count=1,
        across_splits=1,
        within_splits=6,
        near_duplicates=(
            NearDuplicates(first=_image(2), second=_image(3, split="test"), distance=2),
        ),
        sample=(_image(4),),
        label_issues=LabelIssues(judged=48, count=1, method="hats version 1", shown=(issue,)),
    )
    return DataReport(root="/data", data=part, advice=("look here",), seconds=3.0, **facts)


def _printed(report: DataReport, width: int) -> str:
    file = io.StringIO()
    print_report(report, Console(file=file, width=width, force_terminal=False, highlight=False))
    return file.getvalue()


def test_a_person_reads_what_matters_even_on_a_narrow_terminal() -> None:
    text = _printed(_report(page="/tmp/effnet-data.html"), 60)
    for part in (
        "images     48: 16 train, 16 val, 16 test",
        "set aside  7 (12.5%): 7 empty_file",
        "  4.png: empty_file, the file is empty\n  and 2 more",
        "look alike 7 pairs: 1 across splits, 6 within",
        "  2.jpg (train) | 3.jpg (test)\n",
        "labels     1 of 48 may be wrong, by hats version 1",
        "  1.jpg: hat (0.01), rather dress (0.98)",
        "look at: look here",
        "page: /tmp/effnet-data.html",
    ):
        assert part in text
    assert "\x1b" not in text


def test_labels_are_text_and_rows_stay_rows() -> None:
    text = _printed(_report(), 80)
    table = text[text.index("class ") :].splitlines()
    assert table[1].split() == ["hat", "9", "9", "9"]
    assert table[2].startswith("<script>alert(1)</script>") and table[2].endswith("7")


def test_of_a_thousand_classes_the_largest_and_smallest_are_shown() -> None:
    counts = {f"class {number:04}": number for number in range(1, 1001)}
    report = DataReport(root="/data", data=DataPart(layout="csv", images={"train": counts}))
    rows = [line for line in _printed(report, 80).splitlines() if line.startswith("class 0")]
    assert len(rows) == 15 and rows[-1].split() == ["class", "0001", "1", "0", "0"]
    assert "... 984 more ..." in _printed(report, 80)


def test_a_program_reads_all_but_the_pictures() -> None:
    report = _report(error=Failure(kind="input", message="one class"))
    document = json.loads(report.to_json())
    assert report.exit_status == 2 and document["error"]["message"] == "one class"
    assert document["data"]["images"]["test"]["hat"] == 9
    assert document["data"]["near_duplicates"][0]["second"] == {
        "id": "3.jpg",
        "label": "hat",
        "split": "test",
    }
    assert "AAAA" not in report.to_json()
