"""Lines of progress that the engine reads."""

from vtspolicy.runner.disk.progress import EVERY, ProgressLines


class Watch:
    """A clock that stands still until it is moved."""

    now = 100.0

    def __call__(self):
        return self.now


def test_short_work_writes_no_line():
    lines = []
    progress = ProgressLines(lines.append, Watch())
    progress(50, 100)
    progress(100, 100)
    assert lines == []


def test_a_line_comes_each_time_the_interval_has_passed():
    lines, watch = [], Watch()
    progress = ProgressLines(lines.append, watch)
    for done in range(0, 1000, 10):
        watch.now += EVERY / 10
        progress(done, 1000)
    assert lines[:2] == ["progress 9%\n", "progress 19%\n"]
    assert len(lines) <= 11


def test_the_same_percentage_is_not_repeated():
    lines, watch = [], Watch()
    progress = ProgressLines(lines.append, watch)
    for done in (370, 371, 372):
        watch.now += EVERY + 1
        progress(done, 1000)
    assert lines == ["progress 37%\n"]
