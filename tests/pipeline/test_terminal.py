import io
import json
import os
import pty
import re
import termios
import threading

import pytest
from rich.console import Console

from pipeline.layout import Output
from pipeline.progress import Progress, apply_line, read_events
from pipeline.summary import Outcome, Summary
from pipeline.terminal import (
    LiveDisplay,
    PlainDisplay,
    RenderedProgress,
    duration,
    make_console,
    make_display,
    printable,
)
from pipeline.verdict import print_verdict

HOSTILE = "[bold red]cat[/]\x1b[2J\x07\u202etxt"
SHOWN = r"[bold red]cat[/]\x1b[2J\x07\u202etxt"

EVENTS = [
    '{"time": 100, "event": "plan", "nodes": ["ImageExampleGen", "Trainer", "Pusher"]}',
    '{"time": 100, "event": "node_started", "node": "ImageExampleGen"}',
    '{"time": 101, "event": "images", "train": 7, "val": 1, "test": 2, "rejected": 0}',
    '{"time": 104.2, "event": "node_finished", "node": "ImageExampleGen", "cached": true}',
    '{"time": 105, "event": "node_started", "node": "Trainer"}',
    '{"time": 106, "event": "epoch", "stage": "head", "epoch": 8, "epochs": 8, "loss": 0.31,'
    ' "accuracy": 0.9, "val_loss": 0.4, "val_accuracy": 0.875}',
    '{"time": 107, "event": "epoch", "stage": "blocks", "epoch": 1, "epochs": 4, "loss": 0.3}',
    json.dumps({"time": 108, "event": "warning", "text": f"class {HOSTILE}"}),
    json.dumps(
        {"time": 109, "event": "progress", "what": f"read {HOSTILE}", "done": 3, "total": 9}
    ),
]


def summary_of(verdict, **facts):
    outcome = Outcome.model_validate({"verdict": verdict, **facts})
    return Summary.of(
        outcome,
        run_id="20261124-042535-ab12",
        backbone="efficientnet-lite0",
        data="/data",
        seconds={"Trainer": 100.0, "total": 130.4},
    )


def verdict_text(summary, output, width=200, terminal=False):
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=terminal, highlight=False)
    print_verdict(console, summary, output)
    return stream.getvalue()


@pytest.fixture
def progress():
    progress = Progress(started=60)
    for line in EVENTS:
        assert apply_line(progress, line) is not None
    return progress


def rendered(progress, width, now=110.0):
    console = Console(file=io.StringIO(), width=width, highlight=False)
    with console.capture() as capture:
        console.print(RenderedProgress(progress, now))
    return capture.get()


def controls(text):
    return [character for character in text if not character.isprintable() and character != "\n"]


@pytest.mark.parametrize("width", [30, 60, 200])
def test_a_line_a_node_fits_the_terminal(progress, width):
    lines = rendered(progress, width).splitlines()

    assert len(lines) == 6
    assert max(map(len, lines)) <= width


def test_nodes_show_state_time_and_epochs(progress):
    lines = rendered(progress, 200).splitlines()

    assert re.fullmatch(r"ImageExampleGen +cached +4\.2 s", lines[0])
    assert re.fullmatch(r"Trainer +running +5\.0 s", lines[1])
    assert lines[2].strip() == (
        "head 8/8  loss 0.310  accuracy 0.900  val_loss 0.400  val_accuracy 0.875"
    )
    assert lines[3].strip() == "blocks 1/4  loss 0.300"
    assert lines[4].strip() == f"read {SHOWN} 3/9"
    assert lines[5].split() == ["Pusher", "waiting"]


def test_the_start_shows_before_there_is_a_plan():
    progress = Progress(started=60)
    running = rendered(progress, 80, now=101.0)
    progress.stop(110.0)

    assert re.fullmatch(r"starting TensorFlow and TFX +running +41 s\n", running)
    assert re.fullmatch(r"starting TensorFlow and TFX +failed +50 s\n", rendered(progress, 80))


def test_a_node_that_was_running_when_the_child_died_failed(progress):
    progress.stop(120.0)

    assert re.search(r"Trainer +failed +15 s", rendered(progress, 80, now=500.0))
    assert progress.seconds() == {"ImageExampleGen": 4.2, "Trainer": 15.0}


def test_plain_lines_hold_no_control_characters(progress, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    stream = io.StringIO()
    display = make_display(stream, verbose=True)
    display.start(progress)
    for line in EVENTS:
        display.on_event(apply_line(progress, line), progress)
    display.on_log(f"log {HOSTILE}")
    display.close()

    assert isinstance(display, PlainDisplay)
    text = stream.getvalue()
    assert not controls(text)
    assert f"warning: class {SHOWN}\n" in text
    assert "ImageExampleGen: cached, 4.2 s\n" in text
    assert text.endswith(f"    read {SHOWN} 3/9\n")
    assert "    images: 7 train, 1 val, 2 test; 0 set aside\n" in text
    assert capsys.readouterr() == ("", f"log {SHOWN}\n")


def test_plain_lines_tell_progress_now_and_then(progress):
    stream = io.StringIO()
    display = make_display(stream, verbose=False)
    for second in range(0, 100):
        display.on_event({"event": "progress", "time": 1000.0 + second}, progress)

    assert stream.getvalue().count("\n") == 4


def test_the_log_stays_away_unless_asked_for(progress, capsys):
    stream = io.StringIO()
    make_display(stream, verbose=False).on_log("log")

    assert stream.getvalue() == ""
    assert capsys.readouterr() == ("", "")


LONG = "z" * 200
SHORT_RULES = [
    {"metric": "accuracy", "value": 0.91, "bound": ">= 0.85", "passed": True},
    {"metric": "recall", "slice": "label=hat", "value": 0.5, "bound": ">= 0.8", "passed": False},
]
RULES = [
    *SHORT_RULES,
    {
        "metric": "recall",
        "slice": f"label={LONG}",
        "value": 0.5,
        "interval": [-0.1, 0.02],
        "bound": ">= serving 0.8123 - 0.01",
        "passed": False,
        "reason": "183 images are needed, there are 20",
    },
]


def refusal(output, **where):
    return verdict_text(summary_of("refused", rules=RULES), output, **where)


@pytest.mark.parametrize("width", [40, 80])
def test_no_word_of_a_rule_is_torn_on_a_narrow_terminal(output, monkeypatch, width):
    monkeypatch.setenv("TERM", "xterm")
    text = re.sub(r"\x1b\[[0-9;]*m", "", refusal(output, width=width, terminal=True))
    rules = [line for line in text.splitlines() if str(output.root) not in line]
    assert max(map(len, rules)) <= width
    words = text.split()
    for word in ("FAILED", "recall", "label=hat", "+0.0200]", "serving", "needed,", "images"):
        assert word in words
    assert LONG in re.sub(r"\s", "", text)
    (page,) = (line for line in text.splitlines() if line.endswith("report.html"))
    assert str(output.run("20261124-042535-ab12").report) in page


def test_in_a_log_a_rule_is_one_line(output):
    lines = [line for line in refusal(output, width=120).splitlines() if line.startswith("  ")]
    assert len(lines) == len(RULES)
    assert lines[2] == (
        f"  FAILED  recall  label={LONG}  0.5000 [-0.1000, +0.0200] (183 images are needed, "
        "there are 20)  >= serving 0.8123 - 0.01"
    )


def test_rules_that_fit_are_a_table(output):
    text = verdict_text(summary_of("refused", rules=SHORT_RULES), output, width=60)
    lines = [line for line in text.splitlines() if line.startswith("  ")]
    assert lines == [
        "  passed  accuracy  all        0.9100  >= 0.85",
        "  FAILED  recall    label=hat  0.5000  >= 0.8",
    ]


def test_a_nodes_time_is_seen_on_a_narrow_terminal(progress):
    lines = rendered(progress, 40).splitlines()
    assert re.fullmatch(r"ImageExampleGen +cached +4\.2 s", lines[0])


def test_a_wide_table_in_a_log_is_not_folded_at_eighty_columns():
    assert make_console(io.StringIO()).width == 120


@pytest.mark.parametrize(
    ("name", "value"), [("TERM", "dumb"), ("JPY_PARENT_PID", "1"), ("NO_COLOR", "1")]
)
def test_where_the_cursor_or_colours_are_not_wanted(progress, monkeypatch, name, value):
    """A terminal that can't move its cursor, a notebook (both plain), and one without colours."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv(name, value)
    text = on_a_terminal(progress, columns=40)
    assert "Trainer" in text
    codes = set(re.findall(r"\x1b\[[^a-zA-Z]*[a-zA-Z]", text))
    if name == "NO_COLOR":
        assert codes <= {"\x1b[0m", "\x1b[1m", "\x1b[2m"} | CURSOR
    else:
        assert not controls(text.replace("\r\n", "\n"))


CURSOR = {"\x1b[?25l", "\x1b[?25h", "\x1b[1A", "\x1b[2K"}


def on_a_terminal(progress, columns):
    """What a run writes to a pseudo-terminal."""
    main, side = pty.openpty()
    termios.tcsetwinsize(side, (24, columns))
    received: list[bytes] = []
    reader = threading.Thread(target=read_all, args=(main, received))
    reader.start()
    with open(side, "w", encoding="utf-8") as stream:
        display = make_display(stream, verbose=True)
        display.start(progress)
        for line in EVENTS:
            display.on_event(json.loads(line), progress)
        display.close()
    reader.join()
    os.close(main)
    return b"".join(received).decode()


def read_all(descriptor, into):
    while True:
        try:
            data = os.read(descriptor, 4096)
        except OSError:  # the other side is closed
            return
        if not data:
            return
        into.append(data)


def test_on_a_terminal_lines_are_live_and_hostile_text_is_only_text(progress, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    main, side = pty.openpty()
    received: list[bytes] = []
    reader = threading.Thread(target=read_all, args=(main, received))
    reader.start()
    with open(side, "w", encoding="utf-8") as stream:
        display = make_display(stream, verbose=True)
        display.start(progress)
        display.on_event({"event": "warning", "text": HOSTILE}, progress)
        display.on_log(HOSTILE)
        display.close()
    reader.join()
    os.close(main)

    text = b"".join(received).decode()
    assert isinstance(display, LiveDisplay)
    assert "\x1b[2J" not in text
    assert "\x07" not in text
    assert text.count(SHOWN) >= 2
    assert "Trainer" in text
    assert text.rstrip().endswith("\x1b[?25h")  # the cursor is back


def test_a_refusal_shows_every_rule_against_its_bound(output: Output):
    rules = [
        {"metric": "accuracy", "value": 0.91, "bound": ">= 0.85", "passed": True},
        {
            "metric": "accuracy",
            "slice": f"label={HOSTILE}",
            "bound": ">= 0.7",
            "passed": False,
            "reason": "no test image belongs to this slice",
        },
    ]
    summary = summary_of(
        "refused",
        rules=rules,
        metrics={"accuracy": 0.91, "auc": None},
        images={"train": 7, "val": 1, "test": 2, "rejected": 0},
    )

    text = verdict_text(summary, output)

    assert "refused  run 20261124-042535-ab12, 2 min 10 s\n" in text
    words = " ".join(text.split())
    assert "passed accuracy all 0.9100 >= 0.85" in words
    assert f"FAILED accuracy label={SHOWN} no test image belongs to this slice >= 0.7" in words
    assert "test split: accuracy 0.9100\n" in text
    assert "nothing was pushed" in text
    assert not controls(text)


def test_what_a_server_got_wrong_is_shown_and_where_its_log_is(output):
    rules = [
        {"metric": "serving refuses text: status", "value": 500, "bound": "4xx", "passed": False},
        {"metric": "serving by REST v1", "value": 0, "bound": "<= 1", "passed": True},
    ]
    serving = {"rules": rules, "log": "/somewhere/server.log"}
    text = verdict_text(summary_of("refused", serving=serving), output)
    assert "serving refuses text: status" in text
    assert "REST v1" not in text
    assert "/somewhere/server.log" in text
    told = summary_of("pushed", serving={"rules": rules[1:]})
    assert "on a real server: 1 checks passed" in verdict_text(told, output)


def test_a_narrow_terminal_keeps_paths_in_one_piece(output):
    path = "/a/rather/long/path/" * 6 + "1"

    text = verdict_text(summary_of("pushed", pushed_path=path), output, width=60)

    assert f"pushed: {path}\n" in text


def test_a_fault_shows_its_message_line_by_line_and_where_the_log_is(output):
    error = {"kind": "fault", "message": f"killed; the last lines:\n{HOSTILE}"}

    text = verdict_text(summary_of("failed", error=error), output)

    assert f"killed; the last lines:\n{SHOWN}\n" in text
    assert str(output.run("20261124-042535-ab12").log) in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (9.94, "9.9 s"), (41.4, "41 s"), (125, "2 min 05 s"), (3720, "1 h 02 min")],
)
def test_times_are_written_as_people_say_them(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [("é 猫", "é 猫"), ("a\tb\rc", r"a\tb\rc"), ("\x9b2J", r"\x9b2J"), ("\udcff", r"\udcff")],
)
def test_only_what_does_not_print_is_escaped(text, shown):
    assert printable(text) == shown


def test_events_of_a_run_that_told_nothing_add_up_to_nothing(tmp_path):
    assert read_events(tmp_path / "missing.jsonl").nodes == {}


def test_a_search_is_told_member_by_member(output):
    tried = {"backbone": "efficientnet-b0", "weights": "imagenet", "problem": ""}
    search = {
        "stopped": "every member was tried",
        "trials": [
            {**tried, "val_accuracy": 0.8},
            {**tried, "val_accuracy": None, "problem": f"no {HOSTILE}"},
        ],
    }
    text = verdict_text(summary_of("pushed", search=search), output)
    assert "tried efficientnet-b0, imagenet: val accuracy 0.8000\n" in text
    assert f"tried efficientnet-b0, imagenet: no {SHOWN}\n" in text
    assert "the search ended: every member was tried\n" in text


def test_what_was_looked_at_before_a_training_is_told_with_what_pays(output):
    findings = [
        {"what": "images", "found": "2 new", "bound": ">= 5", "pays": False},
        {"what": "classes", "found": f"new: {HOSTILE}", "pays": True},
    ]
    decision = {"retrain": True, "forced": False, "findings": findings}
    text = " ".join(verdict_text(summary_of("pushed", retrain=decision), output).split())
    assert "what is new since the model that serves does not images 2 new >= 5" in text
    assert f"pays classes new: {SHOWN}" in text
    assert "next: a server that watches" in text
    ended = {"retrain": False, "forced": False, "findings": findings[:1], "serving": "/models/3"}
    told = summary_of("unchanged", retrain=ended, pushed_path="/models/3")
    text = verdict_text(told, output)
    assert "looked at first: nothing is new that pays a training\n" in text
    assert "serving: /models/3\n" in text
    assert "next: nothing; what is new does not pay a training. '--force' trains" in text
