"""Mirror the attachments of packs and claims into a folder or a bucket.

    report = await sync_attachments(client, packs=ids, claims=ids, to="archive", site_id="MLM")
    report.downloaded, report.skipped, report.failed, report.bytes

Layout of the target, readable without the API:

    packs/{pack}/{filename}              each file, under the name that the API gave it
    packs/{pack}/manifest.json           the description of each file, see `Manifest`
    claims/{claim}/…                     the same for claims
    quarantine/packs/{pack}/{filename}   files that the API flags as a potential security threat

The job can be repeated. A file that matches its manifest is not fetched again, a damaged one is,
and a job that was killed continues where it stopped. Only a complete file gets its final name, and
it is on disk before a manifest names it. A file with its final name and its listed size is adopted
if no manifest names it.

Several jobs may share a folder, also with the same ids. Each writes into partial files of its own,
and the entries of both get into the manifest.

For more than one machine, `plan_shards` splits the ids into `Shard`s, which can be pickled,
`run_shard` mirrors one of them, and `merge_reports` adds up the reports.

A bucket requires obstore: `pip install 'mlmsg[sync]'`. A folder requires nothing. Start processes
that mirror into a bucket with the method "spawn" or "forkserver", see `shards`.
"""

from .ids import Id, Ids
from .job import sync_attachments
from .manifest import Listed, Manifest, ManifestEntry
from .report import EventKind, Failure, SyncEvent, SyncReport, ThreadId, ThreadKind, merge_reports
from .seller import sync_seller
from .shards import Shard, plan_shards, run_shard
from .target import TargetError, TargetLike

__all__ = [
    "EventKind",
    "Failure",
    "Id",
    "Ids",
    "Listed",
    "Manifest",
    "ManifestEntry",
    "Shard",
    "SyncEvent",
    "SyncReport",
    "TargetError",
    "TargetLike",
    "ThreadId",
    "ThreadKind",
    "merge_reports",
    "plan_shards",
    "run_shard",
    "sync_attachments",
    "sync_seller",
]
