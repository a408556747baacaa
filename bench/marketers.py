"""What people do while bench/load.py looks: a locustfile, run by it as `locust --headless -f bench/marketers.py KIND`.

Goes in: LOAD_COOKIES, a file with the session of each person, by kind; LOAD_TOLD, where to write to. Comes out there:
for each kind of request how many, how many failed and how long they took; and what was done, as the pages said it was.
A refusal because another change is being written is an expected answer, and is counted apart.
Must not know: databases, Django.
"""

import io
import json
import os
import random
import re
import statistics
import time
from collections import Counter
from html.parser import HTMLParser
from typing import Any
from uuid import uuid4

from locust import HttpUser, between, constant, events, task

CHANNELS = ("email", "sms", "meta")
WORDS = ("retail", "pets", "luxury", "lapsed", "travel", "zq", "dstillery > pets", "xylophone")
ROWS = (20, 200)  # of an upload
LIVE = 'hx-trigger="every 1s"'  # stands on the page of an import that has not ended
REFUSED = {  # by what the page says: what many people at once must expect
    "is being written here": "refused, busy",
    "Somebody changed this segment meanwhile": "refused, changed meanwhile",
}
UNDO = re.compile(r'action="/activity/(\d+)/undo/"')
SEGMENT = re.compile(r'href="(/channels/\w+/segments/(\d+)/)"')
MAPPING = re.compile(r'"(/data/imports/[0-9a-f-]+/mapping/)"')
START = re.compile(r'formaction="(/data/imports/[0-9a-f-]+/)start/"')
PATIENCE = 240.0  # seconds that an import may take before that is a failure

done: Counter[str] = Counter()  # what the pages said has happened
unexpected: Counter[str] = Counter()
uploads: list[float] = []  # milliseconds from the sending of a file to the page that says it is imported
with open(os.environ["LOAD_COOKIES"], encoding="utf-8") as file:
    sessions: dict[str, list[str]] = json.load(file)


class Form(HTMLParser):
    """The fields of the first form on a page that is sent to `action`, as they stand there."""

    def __init__(self, page: str, action: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self._action, self._inside, self._found = action, False, False
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Take in a field of the form."""
        given = dict(attributes)
        if tag == "form" and not self._found:
            self._inside = self._found = (given.get("action") or "").split("?")[0] == self._action
        elif self._inside and tag == "input" and given.get("name"):
            ticked = given.get("type") not in ("checkbox", "radio") or "checked" in given
            if ticked and given.get("type") not in ("file", "submit"):
                self.fields[str(given["name"])] = given.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        """Notice the end of the form."""
        if tag == "form":
            self._inside = False


class Visitor(HttpUser):
    """Somebody who is signed in."""

    abstract = True
    kind = ""

    def on_start(self) -> None:
        """Sit down with a session of one's own."""
        self.client.cookies.set(*sessions[self.kind].pop().split("=", 1))

    def ask(self, path: str, name: str, sent: dict[str, str] | None = None, **how: Any) -> str:
        """Get a page, or send a form; return what came back. All but 200, and what was no page of ours, is an error."""
        method = "GET" if sent is None else "POST"
        with self.client.request(method, path, name=name, data=sent, catch_response=True, **how) as answer:
            page: str = answer.text or ""
            refused = next((word for says, word in REFUSED.items() if says in page), "")
            if answer.status_code in (409, 422, 423) and refused:
                done[refused] += 1
                answer.success()
            elif answer.status_code != 200:
                unexpected[f"{name}: {answer.status_code or answer.error}"] += 1
                answer.failure(f"{answer.status_code}")
            elif "/accounts/login/" in answer.url:
                unexpected[f"{name}: signed out"] += 1
                answer.failure("signed out")
        return page

    def send(self, page: str, path: str, name: str, **typed: str) -> str:
        """Send the form of `page` that goes to `path`, with what is typed into it."""
        return self.ask(path, name, Form(page, path).fields | typed)


class Marketer(Visitor):
    """Browses, edits and uploads."""

    kind = "marketer"
    wait_time = between(1, 5)

    def list_of(self, query: str = "", name: str = "Segments") -> str:
        """The Segments tab of a channel; mostly the large one."""
        slug = random.choices(CHANNELS, (6, 1, 1))[0]
        return self.ask(f"/channels/{slug}/segments/{query}", name)

    def some_segment(self) -> str:
        """The path of a segment of the list."""
        found = SEGMENT.findall(
            self.ask("/channels/email/segments/" + random.choice(("", "?sort=-updated")), "Segments")
        )
        return str(random.choice(found)[0]) if found else ""

    @task(8)
    def look(self) -> None:
        """A page of the list, and the next."""
        found = re.search(r'href="(\?[^"]*cursor=[^"]+)"', self.list_of())
        if found:
            self.ask("/channels/email/segments/" + found[1].replace("&amp;", "&"), "Segments, next page")

    @task(5)
    def search(self) -> None:
        """A search as one types."""
        self.list_of(f"?q={random.choice(WORDS)}", "Segments, searched")

    @task(4)
    def narrow(self) -> None:
        """A filter or another order."""
        query = random.choice(("?status=inactive", "?source=csv", "?sort=segment_id", "?sort=-name"))
        self.list_of(query, "Segments, filtered or sorted")

    @task(4)
    def detail(self) -> None:
        """A segment with its history."""
        if path := self.some_segment():
            self.ask(path, "Segment")

    @task(5)
    def other_pages(self) -> None:
        """What is beside the list."""
        path, name = random.choice(
            (
                ("/", "Overview"),
                ("/segments/", "Across channels"),
                ("/activity/", "Activity"),
                ("/data/imports/", "Imports"),
            )
        )
        self.ask(path, name)

    @task(3)
    def add(self) -> None:
        """A segment by hand."""
        path = f"/channels/{random.choice(CHANNELS)}/segments/add/"
        mark = uuid4().hex
        page = self.ask(path, "Add, form")
        self.noted("add", self.send(page, path, "Add", name=f"By hand {mark}", segment_id=f"hand-{mark}"))

    @task(3)
    def edit(self) -> None:
        """Another link for a segment."""
        if path := self.some_segment():
            page = self.ask(path + "edit/", "Edit, form")
            link = f"https://example.com/{uuid4().hex}"
            self.noted("edit", self.send(page, path + "edit/", "Edit", link=link))

    @task(3)
    def switch(self) -> None:
        """A segment made active or inactive."""
        if path := self.some_segment():
            page = self.ask(path, "Segment")
            form = Form(page, path + "status/").fields
            if form.pop("active", None) is None:
                form["active"] = "on"
            self.noted("status", self.ask(path + "status/", "Switch", form))

    def noted(self, what: str, page: str) -> None:
        """Count a change that the page says was made; take some back."""
        change_set = UNDO.search(page)
        if not change_set:
            done[f"{what}, refused"] += 1
            return
        done[what] += 1
        if random.random() < 0.3:
            path = f"/activity/{change_set[1]}/undo/"
            if UNDO.search(self.send(page, path, "Undo")):
                done["undo"] += 1
                done[f"{what}, undone"] += 1

    @task(2)
    def upload(self) -> None:
        """A small file, watched until it is imported."""
        page = self.ask("/data/upload/", "Upload, form")
        rows = random.randint(*ROWS)
        mark = uuid4().hex
        lines = ["Segment name,Segment ID,Link", *(f"Upload {mark} {row},up-{mark}-{row}," for row in range(rows))]
        start = time.perf_counter()
        files = {"file": (f"{mark}.csv", io.BytesIO("\n".join(lines).encode()), "text/csv")}
        form = Form(page, "/data/upload/").fields | {"object_type": "segments", "channel": random.choice(CHANNELS)}
        page = self.ask("/data/upload/", "Upload", form, files=files)
        while MAPPING.search(page) and not START.search(page) and time.perf_counter() - start < PATIENCE:
            time.sleep(1)  # it is being checked
            page = self.ask(MAPPING.findall(page)[0], "Matching, as it is checked")
        if not (path := START.search(page)):
            unexpected["Upload: not to be started"] += 1
            return
        token = Form(page, f"{path[1]}discard/").fields
        page = self.ask(f"{path[1]}start/", "Upload and Import", token)
        while LIVE in page and time.perf_counter() - start < PATIENCE:
            time.sleep(1)
            as_htmx = {"HX-Request": "true", "HX-Target": "import-status"}
            page = self.ask(path[1], "Import, as it runs", headers=as_htmx)
        if LIVE in page:
            unexpected["Upload: never imported"] += 1
            return
        done["import"] += 1
        done["rows imported"] += rows
        uploads.append((time.perf_counter() - start) * 1000)


class Reader(Visitor):
    """Reads our list of segments without a pause."""

    kind = "reader"
    wait_time = constant(0)
    path = "/channels/email/segments/"
    queries = ("", "?status=inactive", "?q=dstillery+>+pets", "?sort=segment_id")

    @task
    def read(self) -> None:
        """The list as it comes, filtered, searched, sorted."""
        for query in self.queries:
            self.ask(self.path + query, f"{self.kind}: list")


class AdminReader(Reader):
    """Reads Django admin's list of the same table."""

    kind = "admin"
    path = "/admin/segments/segment/"
    queries = ("?channel__id__exact=1", "?channel__id__exact=1&active__exact=0", "?q=dstillery+>+pets", "?o=2")


@events.quitting.add_listener
def tell(environment: Any, **_: Any) -> None:
    """Write down how it went."""
    stats = environment.stats
    requests = [
        {
            "name": entry.name,
            "requests": entry.num_requests,
            "failures": entry.num_failures,
            "a_second": entry.total_rps,
            "p50": entry.get_response_time_percentile(0.5),
            "p95": entry.get_response_time_percentile(0.95),
        }
        for entry in [*sorted(stats.entries.values(), key=lambda entry: entry.name), stats.total]
    ]
    if len(uploads) > 1:
        percent = statistics.quantiles(uploads, n=100, method="inclusive")
        whole = {"name": "An upload, from its file to its end", "requests": len(uploads), "failures": 0}
        requests.insert(-1, whole | {"a_second": None, "p50": percent[49], "p95": percent[94]})
    with open(os.environ["LOAD_TOLD"], "w", encoding="utf-8") as file:
        json.dump({"requests": requests, "done": done, "unexpected": unexpected}, file)
