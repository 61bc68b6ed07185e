"""The address follows the page, and leads it where it is a link; the browser is always behind."""

from __future__ import annotations

from pages.shared import address as address_module

PAGE = "explore/gallery"
CLASS, SIZE = "gallery/class", "gallery/size"


def class_of(app) -> str:
    return app.selectbox(key=CLASS).value


def choose(app, name: str) -> None:
    app.selectbox(key=CLASS).set_value(name).run()


def says(app, **query: str) -> None:
    """Let the browser's next word come with this address."""
    for name, value in query.items():
        app.query_params[name] = value
    app.run()


def test_an_address_that_was_just_written_over_is_no_link(open_page, finished, address) -> None:
    app = open_page(PAGE, cls="astronaut", size="S")
    choose(app, "cat")
    says(app, cls="astronaut")  # sent before the new address had arrived
    assert (class_of(app), address(app)["cls"]) == ("cat", "cat")
    app.query_params["cls"] = "astronaut"
    choose(app, "coffee")  # two moves in a hurry
    says(app, cls="cat")
    assert (class_of(app), address(app)["cls"]) == ("coffee", "coffee")
    app.segmented_control(key=SIZE).set_value("L").run()
    assert "size" not in address(app)
    says(app, size="S")  # taken away, it does not come back by itself
    assert app.segmented_control(key=SIZE).value == "L"
    assert "size" not in address(app)


def test_it_is_a_link_once_the_browser_had_the_newest_or_by_the_back_button(open_page, finished, monkeypatch) -> None:
    app = open_page(PAGE, cls="astronaut")
    choose(app, "cat")
    app.run()
    says(app, cls="astronaut")
    assert class_of(app) == "astronaut"
    choose(app, "coffee")
    monkeypatch.setattr(address_module, "is_back_button", lambda: True)
    says(app, cls="astronaut")
    assert class_of(app) == "astronaut"


def test_who_comes_back_to_the_page_by_a_link_sees_what_it_names(open_page, finished) -> None:
    app = open_page(PAGE, cls="astronaut")
    choose(app, "cat")
    app.switch_page("pages/manage/runs.py").run()
    app.query_params["cls"] = "astronaut"
    app.switch_page("pages/explore/gallery.py").run()
    assert class_of(app) == "astronaut"
