"""Compares what was acknowledged with the log and with everything that an administrator took out of it."""

import json

from tests.chaos.administrator import Administrator
from tests.chaos.audits.labels import audit_labels, histories
from tests.chaos.audits.rows import Audit, audit, rows
from tests.chaos.recorder import Recorder
from tests.chaos.stage import Stage


def audit_erased(stage: Stage, recorder: Recorder, administrator: Administrator) -> Audit:
    """Each acknowledged prediction must be once in the log, in an export or in the answer to its erasure, with its
    labels. It may be missing if its erasure was asked for. A label may meet 404 only for an erased id."""
    exported = administrator.exported
    stored = [*rows(stage.database_url), *exported.rows]
    known = {row[1] for row in stored}
    gone = administrator.asked - known  # asked for, but without an answer that shows the row
    acknowledged = [one for one in recorder.acknowledged() if json.dumps(one.id) not in gone]
    labelled = [one for one in recorder.labelled() if json.dumps(one.id) not in gone]
    found = audit(acknowledged, stored)
    audit_labels(found, labelled, stored, {**histories(stage.database_url), **exported.histories})
    taken = {row[1] for row in exported.rows} | administrator.asked
    found.blame("404 for an id that was not erased", sum(json.dumps(id_) not in taken for id_ in recorder.unknown()))
    found.blame("a file in EXPORTS that no answer named", administrator.other_files())
    for reason, count in administrator.faults.items():
        found.blame(reason, count)
    return found
