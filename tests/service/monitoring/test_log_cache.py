"""Models of one kind of task share the columns of the log, and nobody keeps them longer than needed."""

import gc
from dataclasses import replace
from weakref import ref

from peewee import Database

from serialize.task import Task
from service.monitoring.log_cache import LogCaches

TASK = Task("binary", (False, True), True, 0.5)


def test_tasks_with_the_same_classes_share_a_cache(database: Database) -> None:
    caches = LogCaches(database)
    kept = caches.of(TASK)

    assert caches.of(replace(TASK, threshold=0.9, positive_class=False)) is kept
    others = [Task("binary", ("no", "yes"), "yes", 0.5), Task("multiclass", (0, 1)), Task("regression")]
    assert len({id(found) for found in (kept, *map(caches.of, others))}) == 4


def test_a_cache_that_nobody_uses_is_freed(database: Database) -> None:
    caches = LogCaches(database)
    kept, other = caches.of(TASK), caches.of(Task("regression"))
    freed = ref(other)
    del other
    gc.collect()

    assert freed() is None
    assert caches.of(TASK) is kept
