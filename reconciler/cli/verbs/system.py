"""``pydock system``: what the daemon keeps on the disk as a whole."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

from reconciler import errors
from reconciler.cli import columns, exits, group, output, params, session, table, times
from reconciler.cli.verbs import image


@click.group("system")
def system() -> None:
    """Show, check and clean up what the server keeps on disk."""


def sub(name: str, *examples: str) -> Callable[[Callable[..., Any]], click.Command]:
    """Makes a function the verb ``pydock system NAME``."""

    def decorate(function: Callable[..., Any]) -> click.Command:
        command = group.verb(name, *examples)(function)
        system.add_command(command)
        return command

    return decorate


@sub("df", "pydock system df", "pydock system df -v")
@click.option("-v", "--verbose", is_flag=True, help="Show each image, container, log and leftover too.")
@click.option(
    "-o", "--output", "form", type=params.PLAIN, default=params.TABLE, help="Output format; a table by default."
)
@click.pass_obj
def df(run: session.Session, verbose: bool, form: params.Format) -> None:
    """Show what uses disk space.

    Layers that images share are counted once. RECLAIMABLE is the space of unused images and of leftovers: what a crash
    or an abandoned pull left behind.
    """
    found = run.client.disk_usage()
    if form.name:
        sys.stdout.write(output.value(found, form))
        return
    sys.stdout.write(table.render(("TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"), _rows(found)))
    disk = found["disk"]
    free, size = columns.size(disk["free"]), columns.size(disk["size"])
    print(f"Disk: {disk['usedPercent']:g}% of {size} used, {free} free, driver {table.clean(found['driver'])}")
    if found["warning"]:
        print(f"Warning: {found['warning']}")
    if verbose:
        sys.stdout.write(_images(found["images"]) + _containers(found["containers"]))
        sys.stdout.write(_logs(found["logs"]) + _leftovers(found["leftovers"]))


def _rows(found: dict[str, Any]) -> list[tuple[str, ...]]:
    images = {each["digest"] for each in found["images"]}
    used = {each["digest"] for each in found["images"] if each["usedBy"] or each["keptBy"]}
    made, left = found["containers"], found["leftovers"]
    running = sum(each["running"] for each in made)
    over = sum(each["size"] for each in left)
    return [
        _row("Images", len(images), len(used), found["layers"] + found["blobs"], found["reclaimable"]),
        _row("Containers", len(made), running, sum(each["size"] for each in made), 0),
        _row("Logs", len(found["logs"]), running, sum(each["size"] for each in found["logs"]), 0),
        _row("Leftovers", len(left), 0, over, over),
    ]


def _row(what: str, total: int, active: int, size: int, free: int) -> tuple[str, ...]:
    share = f" ({100 * free // size}%)" if free else ""
    return what, str(total), str(active), image.freed(size), image.freed(free) + share


def _images(found: list[dict[str, Any]]) -> str:
    rows = [
        (
            each["reference"] or columns.NONE,
            image.short(each["imageId"]),
            columns.size(each["size"]),
            image.freed(each["shared"]),
            image.freed(each["own"]),
            times.ago(each["usedAt"]),
            ", ".join([*each["usedBy"], *each["keptBy"]]) or columns.NONE,
        )
        for each in found
    ]
    return _part("Images", ("REFERENCE", "IMAGE ID", "SIZE", "SHARED", "OWN", "LAST USED", "USED BY"), rows)


def _containers(found: list[dict[str, Any]]) -> str:
    rows = [(each["key"], "yes" if each["running"] else "no", image.freed(each["size"])) for each in found]
    return _part("Writable layers of containers", ("CONTAINER", "RUNS", "SIZE"), rows)


def _logs(found: list[dict[str, Any]]) -> str:
    return _part("Logs", ("CONTAINER", "SIZE"), [(each["key"], image.freed(each["size"])) for each in found])


def _leftovers(found: list[dict[str, Any]]) -> str:
    rows = [(each["what"], each["name"], image.freed(each["size"])) for each in found]
    return _part("Leftovers", ("WHAT", "NAME", "SIZE"), rows)


@sub("prune", "pydock system prune --dry-run", "pydock system prune --all --yes", "pydock system prune --collect")
@click.option("-a", "--all", "everything", is_flag=True, help="Remove all unused images, not only untagged ones.")
@click.option("--collect", is_flag=True, help="Remove only what the daemon's own collection would remove now.")
@params.dry_run_option("Only show what would be removed.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
@click.pass_context
def prune(context: click.Context, everything: bool, collect: bool, dry_run: str, yes: bool) -> None:
    """Remove images that nothing uses, and leftovers.

    Images are removed as by 'pydock image prune'. Leftovers are what a crash or an abandoned pull left behind. No
    container is removed, not even a stopped one: containers are declared, and go with their objects.
    """
    if everything and collect:
        raise click.UsageError("--all cannot be mixed with --collect: the daemon's own collection keeps recent images.")
    run: session.Session = context.obj
    found = run.client.collectible() if collect else _unused(run, everything)
    if not found["items"] and not found["leftovers"]:
        print("Nothing to remove. Containers stay, stopped ones too: they are declared.")
        return
    _show(found)
    if dry_run:
        return
    if not yes:
        image.ask()
    if collect:
        done = run.client.collect()
        for name in done["removed"]:
            print(f"{table.clean(name)} removed")
        print(f"{image.freed(done['freed'])} freed")
    elif not _remove(run, found):
        context.exit(exits.FAILED)


def _unused(run: session.Session, everything: bool) -> dict[str, Any]:
    found = run.client.images_unused(everything=everything)
    left = run.client.leftovers_remove(dry_run=True)
    return found | {"leftovers": left["items"], "freed": found["freed"] + left["freed"]}


def _show(found: dict[str, Any]) -> None:
    left = found["leftovers"]
    over = sum(each["size"] for each in left)
    if found["items"]:
        sys.stdout.write(image.plan(found | {"freed": found["freed"] - over}))
    if left:
        print(f"Leftovers: {len(left)}, {image.freed(over)} will be free")
    print("Containers stay, stopped ones too: they are declared.", flush=True)


def _remove(run: session.Session, found: dict[str, Any]) -> bool:
    """Exactly the images that were shown, and what is left over by now."""
    good = True
    for names in image.by_image(found["items"]).values():
        good = image.remove(run, names, exact=True) and good
    if found["leftovers"]:
        done = run.client.leftovers_remove()
        print(f"{len(done['items'])} leftovers removed, {image.freed(done['freed'])} freed")
    return good


@sub("check", "pydock system check", "pydock system check --repair")
@click.option("--repair", is_flag=True, help="Fetch and unpack again what is damaged.")
@click.option(
    "-o", "--output", "form", type=params.PLAIN, default=params.TABLE, help="Output format; lines by default."
)
@click.pass_context
def check(context: click.Context, repair: bool, form: params.Format) -> None:
    """Check that the images on disk are intact.

    Every blob is compared with its digest, every unpacked layer with what its blob unpacks to, and both with what the
    database counts on. That reads all of them, and takes its time. With --repair what is damaged is fetched anew from
    where its image came, but nothing is pulled away from under a running container. Writable layers of containers are
    not looked at. The exit status is 1 if damage is left.
    """
    run: session.Session = context.obj
    findings, summary = [], {}
    for item in run.client.system_check(repair=repair):
        if "summary" in item:
            summary = item["summary"]
            continue
        findings.append(item)
        if not form.name:
            sys.stdout.write(_finding(item))
            sys.stdout.flush()
    if not summary:
        raise errors.Temporary("the server ended the check before it was complete: try again")
    sys.stdout.write(output.value({"findings": findings, "summary": summary}, form) if form.name else _sum(summary))
    if summary["damaged"] > summary["repaired"]:
        context.exit(exits.FAILED)


def _finding(item: dict[str, Any]) -> str:
    lines = [f"{item['what']} {item['name']}: {item['problem']}"]
    lines += [f"  {what}: {', '.join(item[what])}" for what in ("images", "containers") if item[what]]
    if item["outcome"] == "repaired":
        lines.append("  repaired")
    elif item["outcome"] != "damaged":
        lines.append(f"  not repaired: {item['outcome']}")
    return "".join(f"{table.clean(line)}\n" for line in lines)


def _sum(summary: dict[str, Any]) -> str:
    left = summary["damaged"] - summary["repaired"]
    words = [f"{summary['blobs']} blobs and {summary['layers'] - summary['unchecked']} layers checked"]
    if summary["unchecked"]:
        words.append(f"{summary['unchecked']} layers not checked: what they came from is not kept, or damaged")
    if summary["leftovers"]:
        words.append(f"{summary['leftovers']} leftovers: 'pydock system prune' removes them")
    if summary["unfinished"]:
        words.append(f"{summary['unfinished']} temporary files that nobody is at work on: they go at the next start")
    if summary["repaired"]:
        words.append(f"{summary['repaired']} repaired")
    words.append(
        f"{left} damaged: 'pydock system check --repair' fetches them anew"
        if left
        else "no damage left"
        if summary["repaired"]
        else "no damage"
    )
    return "".join(f"{word}\n" for word in words)


def _part(title: str, headers: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    return f"\n{title}:\n" + table.render(headers, rows) if rows else ""
