"""Measure a mirror into a bucket of S3, beside curl and a program that copies a folder there."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from many_files import CONCURRENCY, FILES_PER_PACK, SIZE, TOKEN, _curl
from measuring import Missing, Section, Way, compare, module, program, run_program, timed
from serving import serve

from mlmsg import Client
from mlmsg.sync import sync_attachments

KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1"}
"""Keys that moto does not look at."""


def store_of(endpoint: str, bucket: str) -> Any:  # noqa: ANN401
    """Return obstore's store of a bucket."""
    return module("obstore.store").S3Store(
        bucket,
        endpoint=endpoint,
        region=KEYS["AWS_REGION"],
        access_key_id="a",
        secret_access_key="b",  # noqa: S106
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )


async def new_bucket(endpoint: str) -> str:
    """Create a bucket, and return its name."""
    name = f"archive-{os.urandom(6).hex()}"
    await run_program("curl", "-sS", "-f", "-X", "PUT", f"{endpoint}/{name}")
    return name


async def check(endpoint: str, bucket: str, files: int) -> None:
    """Check that the files are in the bucket, complete."""
    listed = await module("obstore").list(store_of(endpoint, bucket)).collect_async()
    sizes = [entry["size"] for entry in listed if entry["path"].endswith(".jpg")]
    assert sizes == [SIZE] * files, f"{len(sizes)} files"


@contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    """Set variables of the environment, for the programs that are started meanwhile."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def ways(url: str, endpoint: str, packs: int) -> dict[str, Way]:
    """Return the ways to copy the files of a seller into a bucket."""
    files = packs * FILES_PER_PACK

    async def ours(bucket: str) -> None:
        async with Client(TOKEN, base_url=url, budget=None) as client:
            report = await sync_attachments(
                client,
                packs=range(packs),
                to=store_of(endpoint, bucket),
                site_id="MLM",
                concurrency=CONCURRENCY,
            )
        assert report.downloaded == files

    def copied(*command: str) -> Callable[[str], Any]:
        async def copy(bucket: str) -> None:
            program(command[0])
            with TemporaryDirectory() as folder:
                await _curl(url, packs, "")(Path(folder))
                texts = {"FOLDER": folder, "BUCKET": bucket, "ENDPOINT": endpoint}
                arguments = list(command)
                for name, value in texts.items():
                    arguments = [one.replace(name, value) for one in arguments]
                await run_program(*arguments)

        return copy

    def into_new_bucket(fill: Callable[[str], Any]) -> Way:
        async def way() -> float:
            bucket = await new_bucket(endpoint)
            seconds = await timed(fill(bucket))
            await check(endpoint, bucket, files)
            return seconds

        return way

    rclone = (
        f":s3,provider=Other,env_auth=true,force_path_style=true,"
        f"endpoint='ENDPOINT',region={KEYS['AWS_REGION']}:BUCKET"
    )
    return {
        "mlmsg": into_new_bucket(ours),
        "curl --parallel, then s5cmd cp": into_new_bucket(
            copied(
                "s5cmd", "--endpoint-url", "ENDPOINT", "--numworkers", str(CONCURRENCY),
                "cp", "FOLDER/packs", "s3://BUCKET/",
            )
        ),
        "curl --parallel, then rclone copy": into_new_bucket(
            copied("rclone", "copy", "--config", "", "--s3-no-check-bucket",
                   "--transfers", str(CONCURRENCY), "FOLDER", rclone)
        ),
    }  # fmt: skip


async def measure(quick: bool) -> Section:
    """Return the section about buckets."""
    packs, rounds = (5, 1) if quick else (50, 3)
    heading = "A bucket"
    try:
        module("moto")
        module("obstore")
        with (
            serve("files") as url,
            serve("bucket") as endpoint,
            environment(KEYS),
        ):
            comparison = await compare(
                f"{packs * FILES_PER_PACK} files of {SIZE // 1000} KB into a bucket of moto, "
                f"{CONCURRENCY} at once",
                ways(url, endpoint, packs),
                rounds,
                amount=packs * FILES_PER_PACK,
                unit="files",
            )
    except Missing as reason:
        return Section(heading, [f"Not measured: {reason}."])
    note = (
        "The job also writes a manifest for each thread. moto is a server in Python, and most of "
        "the time is its own."
    )
    return Section(heading, [comparison, note])
