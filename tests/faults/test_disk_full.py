"""The disk is full: under the database, under the uploads. Nothing is half written; room made, the job goes on."""

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.lease import ATTEMPTS
from tests.faults.conftest import ASK, POSTGRESQL, Cluster, Installation, answers, create_database, small_disk

pytestmark = pytest.mark.fault
KIB = 1024


@pytest.fixture
def on_a_small_disk(tmp_path: Path) -> Iterator[tuple[Installation, Path]]:
    """An installation whose database has a disk to itself, and a file that keeps nearly all of it."""
    disk = Path(tempfile.mkdtemp(prefix="aa-small-disk-"))  # not below tmp_path, where PostgreSQL's user may not go
    try:
        with small_disk(disk, "160m" if POSTGRESQL else "16m"):
            yield from _installed_on(disk, tmp_path)
    finally:
        disk.rmdir()


def _installed_on(disk: Path, data: Path) -> Iterator[tuple[Installation, Path]]:
    if POSTGRESQL:
        cluster = Cluster(disk, "-c min_wal_size=2MB", "-c max_wal_size=8MB", "-c autovacuum=off")
        cluster.start()
        create_database(cluster, "test_small")
        made = Installation(data, cluster.url("test_small"))
        made.cluster = cluster
    else:
        made = Installation(data, f"sqlite:///{disk / 'accessaudience.sqlite3'}")
    made.run("manage.py", "migrate", "--verbosity=0")
    yield made, disk / "filler"
    made.end()
    if made.cluster:
        made.cluster.stop("immediate")


def fill(filler: Path, but: int) -> None:
    """Leave only `but` bytes of the disk of `filler`."""
    free = int(subprocess.check_output(["df", "--output=avail", "-B1", str(filler.parent)]).split()[-1])
    with filler.open("wb") as file:
        for _ in range((free - but) // KIB):
            file.write(bytes(KIB))


def test_full_disk_under_the_database_leaves_nothing_and_the_page_says_so(
    on_a_small_disk: tuple[Installation, Path],
) -> None:
    installation, filler = on_a_small_disk
    job = installation.queue()
    before = installation.catalogue()
    fill(filler, but=1_500 * KIB)
    worker = installation.worker()
    installation.until(lambda site: is_over(site, filler))
    worker.terminate()
    worker.wait(60)
    filler.unlink(missing_ok=True)
    restart_if_crashed(installation)
    assert installation.catalogue() == before
    installation.reap()
    installation.assert_sound()
    if installation.job().status == "failed":
        assert installation.job().message in installation.ask(f"/data/imports/{job}/")
        installation.try_again()
    assert installation.work_once() == 0
    installation.assert_imported()


def is_over(installation: Installation, filler: Path) -> bool:
    """Whether the job has met the full disk: it was tried again, or failed, or the server has crashed."""
    try:
        job = installation.job()
    except Exception:
        return True
    return job.status == "failed" or job.attempt >= ATTEMPTS or (job.status == "waiting" and job.attempt > 0)


def restart_if_crashed(installation: Installation) -> None:
    """Start PostgreSQL again if the full disk has ended it, as whoever makes room would."""
    if installation.cluster and not installation.cluster.is_running():
        installation.cluster.start()


UPLOAD = """
from django.core.files.uploadedfile import SimpleUploadedFile
content = b"Segment name\\r\\n" + b"".join(b"Segment %d\\r\\n" % number for number in range(40_000))
answer = client.post("/data/upload/", {
    "object_type": "segments", "channel": ["email"], "file": SimpleUploadedFile("big.csv", content),
})
left = [str(path) for path in django.conf.settings.UPLOADS_DIR.rglob("*") if path.is_file()]
text = answer.content.decode()
print(json.dumps([answer.status_code, "disk" in text, ImportJob.objects.count(), left]))
"""


@pytest.mark.once
def test_full_disk_under_the_uploads_refuses_a_file_and_keeps_nothing_of_it(installation: Installation) -> None:
    uploads = installation.data / "uploads"
    uploads.mkdir()
    with small_disk(uploads, "128k"):
        status, says_so, jobs, left = answers(installation.python(f"import django.conf\n{ASK}{UPLOAD}"))
    assert (status, says_so) == (507, True)
    assert (jobs, left) == (0, [])


@pytest.mark.once
def test_full_disk_under_what_comes_in_refuses_a_file_and_keeps_nothing_of_it(installation: Installation) -> None:
    incoming = installation.data / "incoming"
    incoming.mkdir(exist_ok=True)
    with small_disk(incoming, "128k"):
        status, says_so, jobs, left = answers(installation.python(f"import django.conf\n{ASK}{UPLOAD}"))
        assert list(incoming.iterdir()) == []
    assert (status, says_so) == (507, True)
    assert (jobs, left) == (0, [])


@pytest.mark.once
def test_full_disk_under_the_uploads_ends_a_check_with_nothing_changed(installation: Installation) -> None:
    uploads = installation.data / "uploads"
    uploads.mkdir()
    with small_disk(uploads, "400k"):  # the upload has room there, its plan has not
        job = installation.queue()
        before = installation.catalogue()
        installation.execute("UPDATE imports_importjob SET goal = 'check'")
        for _ in range(ATTEMPTS):
            assert installation.work_once() == 0
        assert (installation.job().status, installation.job().attempt) == ("failed", ATTEMPTS)
        assert installation.catalogue() == before
        installation.assert_sound()
        assert "Nothing was changed." in installation.ask(f"/data/imports/{job}/")
        subprocess.run(["mount", "-o", "remount,size=64m", str(uploads)], check=True)
        installation.try_again()
        assert installation.work_once() == 0
        assert installation.job().status == "ready"
