"""What page tests read off a page, and the events and cards they put before it."""

from __future__ import annotations

import json
from typing import Any

from streamlit.proto.WidgetStates_pb2 import WidgetState

from delt_engine.data.catalogue import load_dataset
from delt_engine.jobs.tasks import Task
from delt_engine.models.card import TeacherCard
from delt_engine.runs.processes import this_process


def put_task(work: Task, log: str, *, is_running: bool = True) -> None:
    """Leave a task behind as its process would: at work, or gone."""
    work.path.mkdir(parents=True, exist_ok=True)
    process = this_process() if is_running else this_process().model_copy(update={"created": 1.0})
    (work.path / "process.json").write_text(process.model_dump_json())
    (work.path / "log.txt").write_text(log + "\n")


def captions(app) -> str:
    return " ".join(entry.value for entry in app.caption)


def texts(app) -> str:
    """All words on the page that are no widget's."""
    entries = (*app.markdown, *app.caption, *app.info, *app.subheader)
    return " ".join(str(entry.value) for entry in entries)


def planned_dataset(app) -> str:
    """The dataset that the session plans with; which one is the default does not matter here."""
    return app.session_state["delt/session"].draft.dataset


def metrics(app) -> dict[str, str]:
    return {entry.label: entry.value for entry in app.metric}


def keys(app) -> set[str]:
    """The keys of all buttons."""
    return {entry.key for entry in app.button}


def components(app) -> list[dict[str, Any]]:
    """What each browser component (a grid of images, a film) is to draw."""
    protos = [entry.proto for entry in app.get("bidi_component")]
    return [json.loads(proto.mixed.json if proto.HasField("mixed") else proto.json) for proto in protos]


def tell(app, key: str, **state: Any) -> None:
    """Let the browser say the state of the component ``key``, as it does when the reader has moved something in it."""
    (component,) = (entry.proto for entry in app.get("bidi_component") if entry.proto.id.endswith(f"-{key}"))
    _say(app, WidgetState(id=component.id, json_value=json.dumps(state)))


def select_row(app, column: str, row: int) -> None:
    """Select a row of the first table that sorts and has this column."""
    (table, *_) = (frame.proto for frame in app.dataframe if column in frame.value.columns)
    selection = {"selection": {"rows": [row], "columns": [], "cells": []}}
    _say(app, WidgetState(id=table.id, string_value=json.dumps(selection)))


def _say(app, word: WidgetState) -> None:
    """Run the page with one more word of the browser."""
    said = app._tree.get_widget_states

    def with_word() -> Any:
        words = said()
        words.widgets.append(word)
        return words

    app._tree.get_widget_states = with_word
    app.run()


def move(app, key: str = "rounds/recover", **number: float) -> None:
    """Move MI or RI (``iterations``, ``round_iterations``): the browser tells both, and a word of its own."""
    (name,), now = number, pair(app, key)
    known = {"iterations": now[0], "round_iterations": now[1]}
    tell(app, key, moved={"word": repr(number), "name": name, **known, **number})


def pair(app, key: str = "rounds/recover") -> tuple[int, int]:
    """MI and RI as the control shows them."""
    lines = control(app, key)["lines"]
    return lines["iterations"]["value"], lines["round_iterations"]["value"]


def control(app, key: str = "rounds/recover") -> dict[str, Any]:
    """What the control of MI and RI is to draw."""
    (found,) = (entry.proto for entry in app.get("bidi_component") if entry.proto.id.endswith(f"-{key}"))
    return json.loads(found.mixed.json if found.HasField("mixed") else found.json)


def traces(app, place: int = 0) -> list[dict[str, Any]]:
    """The lines and bars of a figure."""
    return json.loads(app.get("plotly_chart")[place].proto.spec)["data"]


def table_with(app, column: str):
    """The first table that sorts and has this column."""
    return next(frame.value for frame in app.dataframe if column in frame.value.columns)


def photos_card(**changes: Any) -> TeacherCard:
    """The card of a teacher of photos that has no file."""
    data = load_dataset("photos")
    network = {"name": "photos-net", "network": "resnet18", "width": 0.25, "stem": "small", "num_classes": 10}
    images = {"class_names": data.spec.class_names, "image_size": 32, "mean": data.spec.mean, "std": data.spec.std}
    origin = {"dataset": "photos", "dataset_fingerprint": data.fingerprint, "accuracy": 94.2, "epochs": 20}
    return TeacherCard(**(network | images | origin | {"source": "a test", "fingerprint": "beef"} | changes))


def press(app, *keys: str) -> None:
    """Click these buttons one after the other."""
    for key in keys:
        app.button(key=key).click().run()
