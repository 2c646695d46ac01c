"""``pydock image``: the images that are on the host, whether or not an object asks for them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import click

from reconciler import errors
from reconciler.cli import (
    archives,
    changing,
    columns,
    completing,
    exits,
    group,
    layers,
    output,
    params,
    report,
    session,
    table,
    times,
)


@click.group("image")
def image() -> None:
    """Show and remove the images on the host.

    These are the images that were pulled; 'pydock get images' shows the objects that ask for images. REF is a
    reference, an image id or a digest, or the first digits of an id or digest.
    """


def _sub(name: str, *examples: str) -> Callable[[Callable[..., Any]], click.Command]:
    def decorate(function: Callable[..., Any]) -> click.Command:
        command = group.verb(name, *examples)(function)
        image.add_command(command)
        return command

    return decorate


def _listing(called: str, *examples: str) -> click.Command:
    """``image ls``, which ``images`` is short for."""

    @group.verb(called, *examples)
    @click.option(
        "-o", "--output", "form", type=params.OBJECTS, default=params.TABLE, help="Output format; a table by default."
    )
    @click.pass_obj
    def command(run: session.Session, form: params.Format) -> None:
        """List the images on the host.

        USED BY counts the containers that were made from an image, or name it. SIZE is that of all layers, unpacked; of
        it, OWN is what no other image has.
        """
        found = run.client.images()
        if form.name == "name":
            sys.stdout.write("".join(f"{table.clean(name(each))}\n" for each in found))
        elif form.name in ("", "wide"):
            _table(found, wide=form.name == "wide")
        else:
            sys.stdout.write(output.value(found, form))

    return command


def _table(found: list[dict[str, Any]], *, wide: bool) -> None:
    if not found:
        print("No images found.", file=sys.stderr)
        return
    headers = ["REFERENCE", "IMAGE ID", "SIZE", "USED BY", *(["KEPT BY", "SHARED", "OWN", "DIGEST"] if wide else [])]
    sys.stdout.write(table.render(headers, [_row(each, wide) for each in found]))


def _row(each: dict[str, Any], wide: bool) -> list[str]:
    used = each.get("usedBy") or []
    row = [each.get("reference") or columns.NONE, short(each["imageId"]), columns.size(each.get("size"))]
    row.append((", ".join(used) or columns.NONE) if wide else str(len(used)))
    if not wide:
        return row
    parts = [columns.size(each.get(part)) for part in ("shared", "own")]
    return [*row, ", ".join(each.get("keptBy") or []) or columns.NONE, *parts, str(each["digest"])]


image.add_command(_listing("ls", "pydock image ls", "pydock image ls -o wide"))
images = _listing("images", "pydock images")


@_sub("inspect", "pydock image inspect nginx:1.27", "pydock image inspect 3f2a91c0d4e5 -o yaml")
@click.argument("reference", metavar="REF", shell_complete=completing.images)
@click.option("-o", "--output", "form", type=params.PLAIN, default="json", show_default=True, help="Output format.")
@click.pass_obj
def inspect(run: session.Session, reference: str, form: params.Format) -> None:
    """Show one image: digests, configuration, layers, and who uses it."""
    sys.stdout.write(output.value(run.client.image(reference), form))


@_sub("history", "pydock image history nginx:1.27")
@click.argument("reference", metavar="REF", shell_complete=completing.images)
@click.option(
    "-o", "--output", "form", type=params.PLAIN, default=params.TABLE, help="Output format; a table by default."
)
@click.pass_obj
def history(run: session.Session, reference: str, form: params.Format) -> None:
    """Show how an image was made, last step first."""
    found = run.client.image_history(reference)
    if form.name:
        sys.stdout.write(output.value(found, form))
    elif found:
        rows = [_step(each) for each in found]
        sys.stdout.write(table.render(("CREATED", "LAYER", "CREATED BY", "COMMENT"), rows))
    else:
        print("The image's configuration tells no history.", file=sys.stderr)


def _step(each: dict[str, Any]) -> tuple[str, str, str, str]:
    layer = "no" if each.get("emptyLayer") else "yes"
    return times.since(each.get("created")), layer, str(each.get("createdBy") or ""), str(each.get("comment") or "")


@_sub("tree", "pydock image tree", "pydock image tree nginx:1.27")
@click.argument("reference", metavar="[REF]", required=False, default="", shell_complete=completing.images)
@click.option(
    "-o", "--output", "form", type=params.PLAIN, default=params.TABLE, help="Output format; a table by default."
)
@click.pass_obj
def tree(run: session.Session, reference: str, form: params.Format) -> None:
    """Show the layers of images, and which images share them.

    With REF: only the layers of that image, and the images built on it.
    """
    found = run.client.image_tree(reference)
    if form.name:
        sys.stdout.write(output.value(found, form))
    elif found:
        sys.stdout.write(layers.render(found))
    else:
        print("No images found.", file=sys.stderr)


@_sub("rm", "pydock image rm nginx:1.26", "pydock image rm 3f2a91c0d4e5", "pydock image rm --dry-run nginx:1.26")
@click.argument("references", nargs=-1, required=True, metavar="REF...", shell_complete=completing.images)
@params.dry_run_option("Only show what would be removed, and how much that frees.")
@click.pass_context
def rm(context: click.Context, references: tuple[str, ...], dry_run: str) -> None:
    """Forget images, and remove what no other image needs.

    What a container or an Image object uses is refused.
    """
    run: session.Session = context.obj
    failed = False
    for reference in references:
        failed = not remove(run, [reference], exact=False, dry_run=bool(dry_run)) or failed
    if failed:
        context.exit(exits.FAILED)


def remove(run: session.Session, references: list[str], *, exact: bool, dry_run: bool = False) -> bool:
    """Whether they could be removed; otherwise it has been told why."""
    try:
        gone = run.client.image_remove(references, exact=exact, dry_run=dry_run)
    except (errors.Conflict, errors.NotFound, errors.Invalid) as error:
        report.error(error)
        return False
    for each in gone["items"]:
        print(f"{table.clean(name(each))} {'would be removed' if dry_run else 'removed'}", flush=True)
    if dry_run:
        print(f"{freed(gone['freed'])} would be free")
    return True


@_sub("prune", "pydock image prune", "pydock image prune --all --dry-run", "pydock image prune --all --yes")
@click.option("-a", "--all", "everything", is_flag=True, help="Remove all unused images, not only untagged ones.")
@params.dry_run_option("Only show what would be removed.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
@click.pass_context
def prune(context: click.Context, everything: bool, dry_run: str, yes: bool) -> None:
    """Remove images that nothing uses.

    Those are images that have lost their last reference; with --all every image that no container and no Image object
    uses. Exactly the images that are shown are removed, but none that has come into use meanwhile.
    """
    run: session.Session = context.obj
    found = run.client.images_unused(everything=everything)
    if not found["items"]:
        print("Nothing to remove.")
        return
    sys.stdout.write(plan(found))
    sys.stdout.flush()
    if dry_run:
        return
    if not yes:
        ask()
    failed = False
    for names in by_image(found["items"]).values():
        failed = not remove(run, names, exact=True) or failed
    if failed:
        context.exit(exits.FAILED)


def plan(found: dict[str, Any]) -> str:
    """What goes. Layers that images share are counted once, and those that others need not at all."""
    rows = [
        (each.get("reference") or columns.NONE, short(each["imageId"]), columns.size(each["size"]), freed(each["own"]))
        for each in found["items"]
    ]
    count = len({each["digest"] for each in found["items"]})
    total = f"Total: {count} image{'' if count == 1 else 's'}, {freed(found['freed'])} will be free\n"
    return table.render(("REFERENCE", "IMAGE ID", "SIZE", "OWN"), rows) + total


def freed(size: int) -> str:
    """Bytes, also none."""
    return columns.size(size) if size else "0B"


def by_image(found: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Digest → its names."""
    names: dict[str, list[str]] = {}
    for each in found:
        names.setdefault(each["digest"], []).append(name(each))
    return names


def ask() -> None:
    if not sys.stdin.isatty():
        raise click.UsageError("There is no terminal to ask at: --yes removes what is shown.")
    if not click.confirm("Remove these?"):
        raise errors.Forbidden("nothing was removed")


def name(each: dict[str, Any]) -> str:
    """The reference, or the digest of what has none."""
    return str(each.get("reference") or each["digest"])


def short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12]


@_sub("tag", "pydock image tag nginx:1.27 registry.example/team/nginx:1.27")
@click.argument("source", metavar="REF", shell_complete=completing.images)
@click.argument("target", metavar="REFERENCE")
@click.pass_obj
def tag(run: session.Session, source: str, target: str) -> None:
    """Add a reference to an image.

    If another image had that reference, it loses it, and stays under its digest until it is removed.
    """
    found = run.client.image_tag(source, target)
    print(f"{table.clean(name(found))}: {found['digest']}")


@_sub("load", "pydock image load -i images.tar", "docker save nginx:1.27 | pydock image load")
@click.option(
    "-i", "--input", "path", metavar="FILE", default="-", help="An archive, or the directory of an OCI layout."
)
@click.option("--name", metavar="REFERENCE", default="", help="The reference for the only image in it.")
@click.pass_obj
def load(run: session.Session, path: str, name: str) -> None:
    """Load images from an archive; from standard input if no file is named.

    Archives of docker save and podman save, OCI archives and OCI layouts, also packed with gzip, bzip2, xz or zstd.
    Everything in them is verified. Images that have their names already lose them, and stay under their digests.
    """
    with archives.plain(path) as (pieces, length):
        for each in archives.follow("load", run.client.image_load(pieces, length, name)):
            print(f"Loaded image: {table.clean(each['reference'])}")


@_sub("import", "pydock image import rootfs.tar.gz registry.example/base:1 -c 'CMD [\"/bin/sh\"]'")
@click.argument("path", metavar="FILE|-")
@click.argument("reference", metavar="REFERENCE")
@click.option("-c", "--change", "changes", multiple=True, metavar="INSTRUCTION", help=f"One of {changing.KNOWN}.")
@click.option("-m", "--message", metavar="TEXT", default="", help="A comment for the image's history.")
@click.pass_obj
def import_(run: session.Session, path: str, reference: str, changes: tuple[str, ...], message: str) -> None:
    """Make an image from an archive of a root file system.

    The archive becomes its only layer. It may be packed with gzip, bzip2, xz or zstd.
    """
    config = changing.config(changes)
    with archives.plain(path, kept=("gzip", "zstd")) as (pieces, length):
        for each in archives.follow("import", run.client.image_import(reference, pieces, length, config, message)):
            print(f"{table.clean(each['reference'])}: {each['digest']}")


@_sub("save", "pydock image save -o images.tar nginx:1.27 redis:7", "pydock image save nginx:1.27 | docker load")
@click.argument("references", nargs=-1, required=True, metavar="REF...", shell_complete=completing.images)
@click.option("-o", "--output", "path", metavar="FILE", default="-", help="Write to FILE instead of standard output.")
@click.option(
    "--format", "form", type=click.Choice(("docker-archive", "oci-archive")), default="docker-archive",
    show_default=True, help="The former is an OCI layout too.",
)  # fmt: skip
@click.pass_obj
def save(run: session.Session, references: tuple[str, ...], path: str, form: str) -> None:
    """Write images to an archive.

    Layers stay packed as they came, so that digests stay the same. A file is there when it is complete.
    """
    archives.write(path, run.client.image_save(references, docker=form == "docker-archive"))
