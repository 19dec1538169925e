"""The label store: one DuckDB file, and all SQL of the project.

::

    database      opening the file, for a short read or one transaction; waiting for its lock
    migrations    numbered schema changes; schema prints what they make
    identifiers   UUIDv7, and finding one by its ending
    datasets      ingest: samples, their roles, their given labels
    samples       what training may see; held_out: the test rows, which it may not
    runs, models  invocations, their metrics, and the weights they made
    label_sets    what was accepted, under which policy; tags, rollback, differences
    audits        what people were given to judge of a label set, and their verdicts
    questions     SQL of the user's, and everything known of one sample

Nothing here knows of networks, of decoded inputs, or of what a command prints.
"""

from labelsvc.store.database import Store

__all__ = ["Store"]
