"""A form as a browser without script would send it: read from the page, changed, and posted with one button."""

from html.parser import HTMLParser


class _Form(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self.buttons: list[str] = []
        self._text = self._select = ""
        self._writing: list[str] = []
        self._first = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {key: value or "" for key, value in attrs}
        name = given.get("name", "")
        if tag == "input" and name:
            if given.get("type") != "checkbox" or "checked" in given:
                self.fields[name] = given.get("value", "")
        elif tag == "textarea":
            self._text, self._writing = name, []
        elif tag == "select":
            self._select, self._first = name, True
        elif tag == "option" and self._select:
            self._option(given)
        elif tag == "button":
            self.buttons.append(given.get("value", ""))

    def _option(self, given: dict[str, str]) -> None:
        if self._first or "selected" in given:
            self.fields[self._select] = given.get("value", "\0")
        self._first = False

    def handle_data(self, data: str) -> None:
        if self._text:
            self._writing.append(data)
        if self._select and self.fields.get(self._select) == "\0":
            self.fields[self._select] = data.strip()

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._text:
            self.fields[self._text] = "".join(self._writing)
            self._text = ""
        elif tag == "select":
            self._select = ""


def fields(page: str) -> dict[str, str]:
    """Name and value of every field of the page's main part."""
    form = _Form()
    form.feed(page.partition('id="main"')[2])
    return form.fields


def buttons(page: str) -> list[str]:
    """Values of the buttons of the page's main part."""
    form = _Form()
    form.feed(page.partition('id="main"')[2])
    return form.buttons
