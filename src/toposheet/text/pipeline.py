"""Text preparation: it writes a tokenizer, shards of tokens and a manifest to one folder."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from toposheet.errors import NotFound, RunError, UserError
from toposheet.files import path_of, refuse_other_files
from toposheet.packages import check_package
from toposheet.text.documents import TRAIN, File, cards, list_files, survey
from toposheet.text.folders import in_words
from toposheet.text.plan import HERE, PLAN, WORK, Executor, Plan, Preparation, cut, read_split, record_path
from toposheet.text.progress import n_tokens, progress
from toposheet.text.shards import MANIFEST, SPLITS, TOKENIZER, Manifest, Shard, read_manifest
from toposheet.text.tokenizer import end_of_text, load_tokenizer, tokenizer_hash, train_tokenizer
from toposheet.wording import counted

SAMPLE = 10**8
"""Approximate number of characters on which a tokenizer is trained."""


def prepare(
    preparation: Preparation,
    out: Path,
    executor: Executor = HERE,
    say: Callable[[str], None] = lambda line: None,
) -> Manifest | None:
    """Prepare text for training. Interrupted work continues, and a finished folder is not changed.

    The function writes `tokenizer/` (Hugging Face format), shards of tokens (`train-00000.bin`,
    `validation-00000.bin`, ...) and at the end `manifest.json`. The manifest also lists the files that were read and
    the files that were left out.

    Args:
        preparation: The request: sources, tokenizer, split and so on.
        out: The output folder.
        executor: The place where the work is done.
        say: A function that is called with lines of text about the files and the result.

    Returns:
        The manifest. None if tasks are still on a cluster: call the function again when they are done.

    Raises:
        NotFound: A source, a tokenizer or a package is missing.
        UserError: A source holds something other than text, or the folder holds something else. The message says what.
        RunError: A task failed, or a file cannot be read from the hub.
    """
    out = path_of(out).absolute()
    if (out / MANIFEST).is_file():
        manifest = read_manifest(out)
        _check_same(preparation, manifest, out)
        _remove_work(out)
        say(f"{out} is prepared already: {_counts(manifest)}{_left_out(manifest.left_out)}")
        return manifest
    plan = _resumed(preparation, out) if (out / PLAN).is_file() else _started(preparation, out, say)

    from toposheet.text.executors import execute

    started, before = time.perf_counter(), n_tokens(out, plan.dtype)
    with progress(out, plan.dtype):
        n_left = execute(out, plan, executor)
    if n_left and executor.kind == "slurm":
        tasks = f"{counted(len(plan.tasks), 'task')} {'is' if n_left == 1 else 'are'}"
        say(f"{n_left} of {tasks} on Slurm: run the same command again when they are done")
        return None
    if n_left:
        raise RunError(
            f"{n_left} of {counted(len(plan.tasks), 'task')} failed: read {out / WORK}/logs, then run the same command "
            "to continue"
        )
    manifest = _finished(plan, out)
    seconds, done = time.perf_counter() - started, n_tokens(out, plan.dtype) - before
    speed = f", in {seconds:.1f} s ({done / seconds:,.0f} tokens/s)" if done else ""
    say(f"{_counts(manifest)}{speed}: {out}{_left_out(plan.left_out)}")
    return manifest


def _started(preparation: Preparation, out: Path, say: Callable[[str], None]) -> Plan:
    """Return the plan of new work, and write the plan and the tokenizer to the output folder.

    Nothing is written before all checks have passed.
    """
    strangers = [path.name for path in out.iterdir() if path.name != WORK] if out.is_dir() else []
    if not (out / WORK).is_dir():
        refuse_other_files(out, strangers)
    surveyed = survey(preparation.sources)
    say(_read_and_left_out([file.path for file in surveyed.files], surveyed.left_out))
    tasks = cut(surveyed.files)
    for package in ("datatrove", "pyarrow"):
        check_package(package, "preparing text needs", "toposheet[data]")
    if preparation.tokenizer == TRAIN:
        assert preparation.vocabulary is not None
        tokenizer = train_tokenizer(_sample(preparation, tasks), preparation.vocabulary)
    else:
        try:
            tokenizer = load_tokenizer(str(preparation.tokenizer))
        except NotFound as error:
            raise NotFound(f"{error}; or train a tokenizer on your text with --tokenizer train") from None
    (out / WORK).mkdir(parents=True, exist_ok=True)  # marks the folder as an output folder of this function
    tokenizer.save_pretrained(out / TOKENIZER)
    vocabulary = max(tokenizer.get_vocab().values()) + 1
    plan = Plan(preparation, tasks, end_of_text(tokenizer), vocabulary, surveyed.left_out)
    plan.save(out)
    return plan


def _sample(preparation: Preparation, tasks: Sequence[Sequence[File]]) -> Iterator[str]:
    """Yield text for the training of a tokenizer: the first training documents of every task."""
    for files in tasks:
        length = 0
        for piece, split in read_split(preparation, files):
            if split == "train":
                yield piece.text
                length += len(piece.text)
            if length > SAMPLE / len(tasks):
                break


def _resumed(preparation: Preparation, out: Path) -> Plan:
    """Return the plan of unfinished work in the output folder. It must agree with the request."""
    plan = Plan.load(out)
    advice = f"choose another folder, or remove {out} to start again"
    if differences := plan.preparation.differences(preparation):
        raise UserError(f"{out} holds other unfinished work ({'; '.join(differences)}): {advice}")
    files = list_files(preparation.sources)
    if changed := sorted(set(plan.files) ^ set(files)):
        raise UserError(
            f"{out} holds unfinished work on files that changed since then, e.g. {changed[0].path}: {advice}"
        )
    return plan


def _check_same(preparation: Preparation, manifest: Manifest, out: Path) -> None:
    """Refuse a finished folder that holds another text than the request asks for.

    If all sources are paths that still exist, the number and the size of their files are compared too.

    Raises:
        UserError: The message says what differs.
    """
    differences = Preparation.of(manifest.preparation).differences(preparation)
    if not differences and all(path_of(source).exists() for source in preparation.sources):
        files = list_files(preparation.sources)
        stored, asked = (manifest.files, manifest.bytes), (len(files), sum(file.size for file in files))
        if stored != asked:
            differences = [f"files and bytes are {stored} there, but {asked} now"]
    if differences:
        raise UserError(f"{out} holds other text ({'; '.join(differences)}): choose another folder")


def _finished(plan: Plan, out: Path) -> Manifest:
    """Write and return the manifest of the finished shards, and remove the work folder."""
    records = [json.loads(record_path(out, rank).read_text(encoding="utf-8")) for rank in range(len(plan.tasks))]
    shards = [Shard(**shard) for record in records for shard in record["shards"]]
    manifest = Manifest(
        preparation=dataclasses.asdict(plan.preparation),
        corpora=[entry for source in plan.preparation.sources for entry in cards(source, plan.preparation.licence)],
        files=len(plan.files),
        bytes=sum(file.size for file in plan.files),
        empty_records=sum(record["empty_records"] for record in records),
        tokenizer=tokenizer_hash(out / TOKENIZER),
        vocabulary=plan.vocabulary,
        dtype=plan.dtype,
        shards=tuple(sorted(shards, key=lambda shard: SPLITS.index(shard.split))),
        read=[file.path for file in plan.files],
        left_out=plan.left_out,
    )
    for split in SPLITS:
        if not manifest.tokens(split):
            n_documents = sum(shard.documents for shard in shards)
            for shard in shards:
                (out / shard.file).unlink()
            shutil.rmtree(out / TOKENIZER)
            _remove_work(out)
            with contextlib.suppress(OSError):  # other files are in it
                out.rmdir()
            if not n_documents:
                raise UserError("the files hold no text: give files with at least two documents")
            if n_documents == 1:
                raise UserError(
                    "the text has 1 document, but the training and the validation need different documents: divide it, "
                    "for example into a .jsonl file with a line for each document"
                )
            raise UserError(
                f"the {split} split has no document ({counted(n_documents, 'document')} in total), with a validation "
                f"fraction of {plan.preparation.validation_fraction}: "
                + (
                    f"raise it, for example --validation-fraction {max(0.05, min(0.5, round(10 / n_documents, 2)))}"
                    if split == "validation"
                    else "lower it, for example --validation-fraction 0.05"
                )
            )
    manifest.save(out)
    _remove_work(out)
    return Manifest.load(out)


def _remove_work(out: Path) -> None:
    for path in (out / WORK, *out.glob(".writing-*")):
        shutil.rmtree(path, ignore_errors=True)


def _counts(manifest: Manifest) -> str:
    parts = [
        f"{counted(manifest.documents(split), 'document')}, {counted(manifest.tokens(split), 'token')} {name}"
        for split, name in (("train", "to train on"), ("validation", "held out"))
    ]
    if manifest.empty_records:
        parts.append(f"{counted(manifest.empty_records, 'record')} without text left out")
    return "; ".join(parts)


def _read_and_left_out(read: Sequence[str], left_out: Mapping[str, str]) -> str:
    """Return one line that lists the files that are read and the files that are left out."""
    names = ", ".join(Path(path).name for path in read[:3]) + (f" and {len(read) - 3} more" if len(read) > 3 else "")
    files = "1 file is" if len(read) == 1 else f"{len(read):,} files are"
    return f"{files} read: {names}{_left_out(left_out)}"


def _left_out(left_out: Mapping[str, str]) -> str:
    """Return a sentence that lists the files that are left out, with relative paths. Empty if no files are left out."""
    if not left_out:
        return ""
    folder = os.path.commonpath([str(Path(path).parent) for path in left_out])
    return f". Left out: {in_words(left_out, Path(folder))}"
