"""The rules of a source, with time as a value."""

from __future__ import annotations

import pytest

from reconciler import errors
from reconciler.control.sources.ledger import facts
from reconciler.model.objects import Owner
from reconciler.testing.sources import ROOT, FakeWorld, key, manifests


@pytest.fixture
def world() -> FakeWorld:
    made = FakeWorld()
    made.look()
    return made


def test_a_file_is_read_after_250_ms_of_quiet_and_not_before(world: FakeWorld) -> None:
    world.write("a.yaml", manifests("a"))
    world.look()
    assert world.decisions.again_at == pytest.approx(world.mono + 0.25)
    world.after(0.2)
    assert world.names() == ""
    world.write("a.yaml", manifests("a", "b"))
    world.after(0.1)
    world.after(0.1)
    assert world.names() == ""
    world.after(0.2)
    assert world.names() == "a b"


def test_at_start_files_that_have_long_been_there_are_read_at_once() -> None:
    world = FakeWorld()
    world.write("old.yaml", manifests("old"))
    world.wall += 1.0
    world.write("new.yaml", manifests("new"))
    world.look()
    assert world.names() == "old"
    world.settle()
    assert world.names() == "new old"


def test_written_byte_by_byte_the_last_good_version_stays(world: FakeWorld) -> None:
    world.write("a.yaml", manifests("a", "b", "c"))
    world.settle()
    text = manifests("a", "b", "c", image="z")
    for length in range(1, len(text), 7):
        world.write("a.yaml", text[:length])
        world.after(0.3)
        assert world.names() == "a b c"
    world.write("a.yaml", text)
    world.settle()
    assert world.names() == "a b c"
    assert world.image("c") == "z"


def test_what_a_file_no_longer_names_goes_after_2_s_of_quiet(world: FakeWorld) -> None:
    world.write("a.yaml", manifests("a", "b"))
    world.settle()
    world.write("a.yaml", manifests("a", image="new"))
    world.after(0.3)
    world.after(1.6)
    assert (world.names(), world.image("a")) == ("a b", "a")
    assert world.state("a.yaml") == ("pending", "loss")
    world.after(0.2)
    assert (world.names(), world.image("a")) == ("a", "new")
    assert world.removed == ["b"]


@pytest.mark.parametrize("later", ["", "kind: [", "# empty"])
def test_what_is_about_to_be_pruned_stays_when_the_file_becomes_empty_or_invalid(world: FakeWorld, later: str) -> None:
    world.write("a.yaml", manifests("a", "b"))
    world.settle()
    world.write("a.yaml", manifests("a"))
    world.after(0.3)
    world.after(0.3)
    world.write("a.yaml", later)
    world.settle()
    world.after(3600)
    assert world.names() == "a b"


def test_a_file_that_never_gets_quiet_does_not_keep_others_for_ever(world: FakeWorld) -> None:
    world.write("a.yaml", manifests("a"))
    world.settle()
    world.delete("a.yaml")
    for number in range(25):
        world.write("log.yaml", "x" * number)
        world.after(0.1)
    assert world.names() == ""


def test_a_deleted_file_takes_what_it_held_after_2_s(world: FakeWorld) -> None:
    world.write("a.yaml", manifests("a", "b"))
    world.settle()
    world.delete("a.yaml")
    world.look()
    world.after(1.9)
    assert world.names() == "a b"
    world.after(0.1)
    assert world.names() == ""
    assert "a.yaml" not in world.recorded


@pytest.mark.parametrize("others", ["quiet", "changing", "none"])
@pytest.mark.parametrize("restart", [False, True])
def test_a_file_that_is_removed_and_written_again_costs_nothing(world: FakeWorld, others: str, restart: bool) -> None:
    """As installers do, with a pause in between: whatever other files do meanwhile, across a restart too."""
    world.write("a.yaml", manifests("a"))
    if others != "none":
        world.write("b.yaml", manifests("b"))
    world.settle()
    uid, text = world.uid("a"), world.texts["a.yaml"]
    world.delete("a.yaml")
    world.look()
    if restart:
        world.restart()
    for number in range(18):
        if others == "changing":
            world.write("b.yaml", manifests("b", image=f"v{number}"))
        world.after(0.1)
    world.texts["a.yaml"] = (text[0], world.wall)
    world.settle()
    world.after(60)
    assert world.uid("a") == uid
    assert world.removed == []


def test_an_editor_that_takes_the_file_away_for_a_moment_hurts_nothing(world: FakeWorld) -> None:
    world.write("a.yaml", manifests("a"))
    world.settle()
    uid = world.uid("a")
    world.delete("a.yaml")
    world.after(0.1)
    world.write("a.yaml", manifests("a", image="b"))
    world.settle()
    assert world.uid("a") == uid
    assert world.image("a") == "b"


@pytest.mark.parametrize("empty", ["", "# nothing yet\n", "---\n---\n"])
def test_an_empty_file_never_prunes(world: FakeWorld, empty: str) -> None:
    world.write("a.yaml", manifests("a"))
    world.settle()
    world.write("a.yaml", empty)
    world.settle()
    world.after(3600)
    assert world.names() == "a"
    assert world.ledger.files.by_path["a.yaml"].empty
    world.restart()
    world.settle()
    world.after(3600)
    assert world.names() == "a"
    world.delete("a.yaml")
    world.settle()
    assert world.names() == ""


def test_an_invalid_version_leaves_the_last_good_one_and_says_why(world: FakeWorld) -> None:
    world.write("a.yaml", manifests("a", "b"))
    world.settle()
    world.write("a.yaml", manifests("a") + "---\nkind: Contaner\n")
    world.settle()
    world.after(3600)
    assert world.names() == "a b"
    assert "did you mean Container?" in world.problems("a.yaml")
    world.restart()
    world.settle()
    world.after(3600)
    assert world.names() == "a b"
    assert world.recorded["a.yaml"][1]


def test_one_bad_file_in_a_thousand(world: FakeWorld) -> None:
    for number in range(999):
        world.write(f"{number}.yaml", manifests(f"c{number}"))
    world.write("bad.yaml", "kind: [")
    world.settle()
    assert len(world.in_force) == 999
    assert "bad.yaml" in world.recorded


def test_a_file_that_is_renamed_keeps_its_objects(world: FakeWorld) -> None:
    world.write("a.yaml", manifests("a", "b"))
    world.settle()
    uids = world.uid("a"), world.uid("b")
    world.move("a.yaml", "sub/z.yaml")
    world.settle()
    world.after(60)
    assert (world.uid("a"), world.uid("b")) == uids
    assert world.item("a") == "sub/z.yaml"
    assert world.removed == []
    assert set(world.recorded) == {"sub/z.yaml"}


def test_a_copy_that_takes_its_time_before_the_original_goes(world: FakeWorld) -> None:
    world.write("a.yaml", manifests("a"))
    world.settle()
    uid = world.uid("a")
    world.write("b.yaml", manifests("a"))
    world.after(0.3)
    assert "container/default/a is already held by a.yaml" in world.problems("b.yaml")
    world.delete("a.yaml")
    world.settle()
    assert (world.uid("a"), world.item("a"), world.removed) == (uid, "b.yaml", [])


def test_the_original_gone_first_and_the_new_file_late(world: FakeWorld) -> None:
    world.write("a.yaml", manifests("a"))
    world.settle()
    uid = world.uid("a")
    world.delete("a.yaml")
    world.look()
    world.after(0.2)
    world.write("b.yaml", manifests("a"))
    world.settle()
    assert (world.uid("a"), world.item("a"), world.removed) == (uid, "b.yaml", [])


def test_a_document_moves_from_one_file_to_another_in_either_order(world: FakeWorld) -> None:
    world.write("a.yaml", manifests("a", "x"))
    world.write("b.yaml", manifests("b"))
    world.settle()
    uid = world.uid("x")
    world.write("a.yaml", manifests("a"))
    world.after(0.5)
    world.write("b.yaml", manifests("b", "x"))
    world.settle()
    assert (world.uid("x"), world.item("x")) == (uid, "b.yaml")
    world.write("a.yaml", manifests("a", "x"))
    world.after(0.5)
    assert "already held by b.yaml" in world.problems("a.yaml")
    world.write("b.yaml", manifests("b"))
    world.settle()
    assert (world.uid("x"), world.item("x")) == (uid, "a.yaml")
    assert world.removed == []
    assert world.problems("a.yaml") == ""


def test_two_files_swap_their_documents_at_once(world: FakeWorld) -> None:
    world.write("a.yaml", manifests("a"))
    world.write("b.yaml", manifests("b"))
    world.settle()
    world.write("a.yaml", manifests("b"))
    world.write("b.yaml", manifests("a"))
    world.settle()
    assert (world.item("a"), world.item("b"), world.removed) == ("b.yaml", "a.yaml", [])


def test_a_second_claim_is_refused_naming_both_and_the_running_one_stays(world: FakeWorld) -> None:
    world.write("z.yaml", manifests("a"))
    world.settle()
    uid = world.uid("a")
    world.write("a.yaml", manifests("a", "b", image="other"))
    world.settle()
    assert (
        world.problems("a.yaml") == "a.yaml: container/default/a is already held by z.yaml: keep it in one of the two"
    )
    assert (world.uid("a"), world.item("a"), world.image("a"), world.names()) == (uid, "z.yaml", "a", "a")


@pytest.mark.parametrize(
    ("ages", "winner"),
    [
        ({}, "web.yaml"),
        ({"web.yaml": (1, 1), "web (copy).yaml": (2, 2), "a.yaml": (3, 3)}, "web.yaml"),
        ({"web.yaml": (3, 3), "web (copy).yaml": (2, 2), "a.yaml": (1, 1)}, "a.yaml"),
        ({"web.yaml": (1, 9), "web (copy).yaml": (1, 2), "a.yaml": (2, 3)}, "web.yaml"),
    ],
)
def test_of_files_that_appear_together_the_older_claim_wins(
    world: FakeWorld, ages: dict[str, tuple[int, int]], winner: str
) -> None:
    """Where times do not tell, the file that is named like a copy of another is the copy."""
    paths = ["web (copy).yaml", "web.yaml", *(["a.yaml"] if ages else [])]
    world.ages = dict(ages)
    for path in paths:
        world.write(path, manifests("x"))
    world.settle()
    for _ in range(2):
        assert world.item("x") == winner
        losers = [path for path in paths if path != winner]
        assert all(f"already held by {winner}" in world.problems(path) for path in losers)
        assert world.remark("x").startswith("SecondClaim: ")
        assert all(path in world.remark("x") for path in losers)
        world.restart()
        world.settle()
    world.delete(*losers)
    world.settle()
    assert world.remark("x") == ""


def test_a_refused_file_falls_back_and_may_refuse_another(world: FakeWorld) -> None:
    world.write("a.yaml", manifests("x"))
    world.write("c.yaml", manifests("y"))
    world.settle()
    world.write("a.yaml", manifests("y"))
    world.write("b.yaml", manifests("x"))
    world.settle()
    assert world.names() == "x y"
    assert (world.item("x"), world.item("y")) == ("a.yaml", "c.yaml")
    assert "held by c.yaml" in world.problems("a.yaml")
    assert "held by a.yaml" in world.problems("b.yaml")


def test_what_the_api_holds_is_refused_until_it_goes(world: FakeWorld) -> None:
    world.foreign[key("a")] = Owner("api", "kubectl")
    world.write("a.yaml", manifests("a", "b"))
    world.settle()
    assert "held by api manager 'kubectl'" in world.problems("a.yaml")
    assert world.names() == ""
    assert world.ledger.wanted == {key("a"): "a.yaml"}
    assert world.contested == ["dir:/m/a.yaml names it too and is refused: api manager 'kubectl' holds it"]
    world.foreign.clear()
    world.look()
    assert world.names() == "a b"
    assert world.ledger.wanted == {}


def test_what_somebody_else_deleted_comes_back(world: FakeWorld) -> None:
    world.write("a.yaml", manifests("a"))
    world.settle()
    del world.in_force[key("a")]
    world.look()
    assert world.names() == "a"


def test_an_unreadable_file_or_folder_is_not_a_deleted_one(world: FakeWorld) -> None:
    world.write("sub/a.yaml", manifests("a"))
    world.write("b.yaml", manifests("b"))
    world.settle()
    world.unreadable["sub"] = "permission denied"
    text = world.texts.pop("sub/a.yaml")
    world.troubles["b.yaml"] = "input/output error"
    for _ in range(2):
        world.settle()
        world.after(3600)
        assert world.names() == "a b"
        assert world.problems("sub/a.yaml") == "sub/a.yaml: permission denied"
        assert world.problems("b.yaml") == "b.yaml: input/output error"
        world.restart()
    world.unreadable.clear()
    world.troubles.clear()
    world.texts["sub/a.yaml"] = text
    world.settle()
    assert world.problems("sub/a.yaml") + world.problems("b.yaml") == ""


def test_a_file_that_changes_while_it_is_read_is_read_later(world: FakeWorld) -> None:
    world.write("a.yaml", manifests("a"))
    world.look()
    scan = world.scan()
    world.mono += 0.3
    world.wall += 0.3
    world.write("a.yaml", manifests("b"))
    decisions = world.ledger.look(world.now(), scan, {}, lambda path, signature: facts.Content(None), world.live)
    assert decisions.puts == ()
    world.settle()
    assert world.names() == "b"


LINES = (
    "apiVersion: pydock.dev/v1\nkind: Container\nmetadata: {name: web}\nspec:\n"
    "  image: app:1.10\n  command: [run]\n  ports:\n"
    "  - {containerPort: 80, hostPort: 80}\n  - {containerPort: 443, hostPort: 443}\n"
    "---\napiVersion: pydock.dev/v1\nkind: Container\nmetadata:\n  name: web-side\nspec:\n  image: side:2.0\n"
)


class TestHalfWritten:
    @pytest.fixture
    def written(self, world: FakeWorld) -> FakeWorld:
        world.write("web.yaml", LINES)
        world.settle()
        world.after(60)
        return world

    def test_a_file_that_is_open_for_writing_is_not_finished_however_quiet(self, written: FakeWorld) -> None:
        written.busy.add("web.yaml")
        new = LINES.replace("1.10", "2")
        written.write("web.yaml", new[: new.index("  command")])
        for _ in range(100):
            written.after(10)
            assert (written.image("web"), written.removed) == ("app:1.10", [])
            assert written.decisions.again_at is None or written.decisions.again_at > written.mono
        assert written.state("web.yaml") == ("busy", "")
        assert written.remark("web").startswith("BeingWritten: web.yaml is still being written")
        written.write("web.yaml", new)
        written.busy.clear()
        written.settle()
        assert (written.image("web"), written.names(), written.removed) == ("app:2", "web web-side", [])
        assert written.remark("web") == ""

    def test_an_ordinary_writer_leaves_no_remark(self, written: FakeWorld) -> None:
        written.busy.add("web.yaml")
        written.write("web.yaml", LINES.replace("1.10", "2"))
        written.after(0.3)
        written.after(0.5)
        written.busy.clear()
        written.look()
        assert (written.image("web"), written.remark("web")) == ("app:2", "")

    def test_no_beginning_of_what_is_in_force_is_taken_for_a_new_version(self, written: FakeWorld) -> None:
        """Writers that close the file in between, or that no look can see."""
        before = dict(written.in_force)
        for length in range(len(LINES)):
            written.write("web.yaml", LINES[:length])
            for _ in range(8):
                written.after(0.6)
                assert (written.names(), written.image("web")) == ("web web-side", "app:1.10"), LINES[:length]
                assert written.image("web-side") == "side:2.0", LINES[:length]
            written.write("web.yaml", LINES)
            written.settle()
        assert [(each.uid, each.remark) for each in written.in_force.values()] == [
            (each.uid, None) for each in before.values()
        ]

    @pytest.mark.parametrize("restart", [False, True])
    def test_what_is_cut_counts_after_5_s(self, written: FakeWorld, restart: bool) -> None:
        written.write("web.yaml", LINES[: LINES.index("---")])
        if restart:
            written.restart()
        written.look()
        written.after(0.3)
        assert written.state("web.yaml") == ("pending", "cut")
        written.after(4.6)
        assert written.names() == "web web-side"
        written.after(0.2)
        assert written.names() == "web"

    @pytest.mark.parametrize("image", ["app:1.10", "app:2"])
    def test_a_version_that_drops_a_field_counts_after_2_s(self, written: FakeWorld, image: str) -> None:
        """From the middle, where no cut can come from: whatever else it changes."""
        written.write("web.yaml", LINES.replace("app:1.10", image).replace("  command: [run]\n", ""))
        written.after(0.3)
        written.after(1.6)
        assert "command" in written.documents[key("web")].spec
        written.after(0.2)
        assert "command" not in written.documents[key("web")].spec
        assert written.image("web") == image

    @pytest.mark.parametrize(
        "edit",
        [
            ("1.10", "1.1"),
            ("1.10", "1.11"),
            ("[run]", "[run, fast]"),
            ("hostPort: 443", "hostPort: 8443"),
            ("side:2.0\n", "side:2.0\n  command: [a]\n"),
        ],
    )
    def test_an_ordinary_edit_counts_after_250_ms(self, written: FakeWorld, edit: tuple[str, str]) -> None:
        old = dict(written.documents)
        written.write("web.yaml", LINES.replace(*edit))
        written.after(0.3)
        assert written.documents != old

    def test_a_source_of_complete_versions_waits_for_nothing(self) -> None:
        world = FakeWorld()
        world.patience = facts.Patience(0, 0, 0, 0)
        world.restart()
        world.write("web.yaml", LINES)
        world.look()
        assert world.names() == "web web-side"
        world.write("web.yaml", LINES[: LINES.index("---")])
        world.look()
        assert world.names() == "web"
        world.delete("web.yaml")
        world.write("other.yaml", manifests("b"))
        world.look()
        assert world.names() == "b"


class TestTakingOver:
    TEXT = manifests("a").replace("{name: a}", '{name: a, annotations: {pydock.dev/take-over: "true"}}')

    def test_a_file_that_says_so_takes_over_what_the_api_owns(self, world: FakeWorld) -> None:
        world.foreign[key("a")] = Owner("api", "kubectl")
        world.write("a.yaml", self.TEXT)
        world.settle()
        assert (world.item("a"), world.problems("a.yaml"), world.contested) == ("a.yaml", "", [])

    def test_it_does_not_from_one_who_says_so_too(self, world: FakeWorld) -> None:
        world.foreign[key("a")] = Owner("api", "kubectl")
        world.marks = {"pydock.dev/take-over": "true"}
        world.write("a.yaml", self.TEXT)
        world.settle()
        assert "already held by api manager 'kubectl'" in world.problems("a.yaml")

    @pytest.mark.parametrize("value", ['"false"', '"yes"'])
    def test_no_other_value_does(self, world: FakeWorld, value: str) -> None:
        world.foreign[key("a")] = Owner("api", "kubectl")
        world.write("a.yaml", self.TEXT.replace('"true"', value))
        world.settle()
        assert "already held by" in world.problems("a.yaml")


class TestRemarks:
    """What an object says while its file and what is in force differ."""

    @pytest.mark.parametrize(
        ("text", "remark"),
        [
            ("kind: [", "Invalid: a.yaml:2:1: "),
            ("# nothing\n", "Empty: a.yaml has no document any more"),
            (manifests("a") + "---\nkind: Contaner\n", "Invalid: a.yaml:4:1: "),
        ],
    )
    def test_while_the_file_is_ahead(self, world: FakeWorld, text: str, remark: str) -> None:
        world.write("a.yaml", manifests("a", "b"))
        world.write("c.yaml", manifests("c"))
        world.settle()
        world.write("a.yaml", text)
        world.settle()
        for _ in range(2):
            assert world.remark("a").startswith(remark)
            assert "stays in force" in world.remark("a")
            assert (world.remark("b"), world.remark("c")) == (world.remark("a"), "")
            world.restart()
            world.settle()
            assert world.remarks == ()
        world.write("a.yaml", manifests("a", "b", image="new"))
        world.settle()
        assert (world.remark("a"), world.remark("b")) == ("", "")

    def test_while_the_file_cannot_be_read(self, world: FakeWorld) -> None:
        world.write("a.yaml", manifests("a"))
        world.settle()
        world.troubles["a.yaml"] = "permission denied"
        world.settle()
        assert world.remark("a") == "Unreadable: a.yaml: permission denied: the last good version stays in force"

    def test_while_its_removal_is_held(self, world: FakeWorld) -> None:
        world.write("a.yaml", manifests("a", "b", "c", "d", "e"))
        world.settle()
        text = world.texts["a.yaml"]
        world.delete("a.yaml")
        world.settle()
        assert world.remark("a").startswith("RemovalHeld: its removal is held back: 5 of 5 objects would go within ")
        world.texts["a.yaml"] = text
        world.settle()
        assert world.remark("a") == ""

    def test_not_while_the_whole_place_is_missing(self, world: FakeWorld) -> None:
        """What is known of every object is known of the source: 10,000 objects need not be written for it."""
        world.write("a.yaml", manifests("a"))
        world.settle()
        world.root = None
        world.settle()
        assert (world.remark("a"), world.held()) == ("", "a")

    def test_while_its_file_is_refused_for_another_object(self, world: FakeWorld) -> None:
        world.write("a.yaml", manifests("a"))
        world.write("b.yaml", manifests("b"))
        world.settle()
        world.write("b.yaml", manifests("b", "a"))
        world.settle()
        assert world.remark("a") == "SecondClaim: b.yaml names it too and is refused: a.yaml holds it"
        assert world.remark("b").startswith("SecondClaim: b.yaml: container/default/a is already held by a.yaml")

    def test_a_move_between_files_says_nothing(self, world: FakeWorld) -> None:
        world.write("a.yaml", manifests("a", "x"))
        world.write("b.yaml", manifests("b"))
        world.settle()
        world.write("a.yaml", manifests("a", image="new"))
        world.write("b.yaml", manifests("b", "x"))
        world.look()
        for _ in range(10):
            world.after(0.3)
            assert (world.remark("x"), world.problems("b.yaml")) == ("", "")
        assert (world.item("x"), world.removed) == ("b.yaml", [])


class TestGuard:
    @pytest.fixture
    def ten(self, world: FakeWorld) -> FakeWorld:
        for number in range(10):
            world.write(f"{number}.yaml", manifests(f"c{number}"))
        world.settle()
        world.after(60)
        return world

    def test_half_may_go_and_more_may_not(self, ten: FakeWorld) -> None:
        ten.delete(*(f"{number}.yaml" for number in range(5)))
        ten.settle()
        assert len(ten.in_force) == 5
        assert ten.memory.held == {}
        ten.delete("5.yaml")
        ten.settle()
        assert len(ten.in_force) == 5
        assert ten.held() == "c5"
        assert (
            ten.memory.reason == "6 of 10 objects would go within 30 s: nothing is removed until that is acknowledged"
        )

    def test_fewer_than_five_may_always_go(self, world: FakeWorld) -> None:
        world.write("a.yaml", manifests("a", "b", "c", "d"))
        world.settle()
        world.after(60)
        world.delete("a.yaml")
        world.settle()
        assert world.names() == ""

    def test_what_is_held_stays_held_after_the_window(self, ten: FakeWorld) -> None:
        ten.delete(*(f"{number}.yaml" for number in range(4)))
        ten.settle()
        ten.delete("4.yaml", "5.yaml")
        ten.settle()
        assert ten.held() == "c4 c5"
        ten.after(3600)
        assert ten.held() == "c4 c5"
        assert len(ten.in_force) == 6

    def test_the_window_slides(self, ten: FakeWorld) -> None:
        for number in range(9):
            ten.delete(f"{number}.yaml")
            ten.settle()
            ten.after(10)
        assert ten.names() == "c9"
        assert ten.memory.held == {}

    def test_later_removals_join_what_is_held(self, ten: FakeWorld) -> None:
        ten.delete(*(f"{number}.yaml" for number in range(6)))
        ten.settle()
        digest = ten.ledger.digest
        ten.after(100)
        ten.delete("6.yaml")
        ten.settle()
        assert ten.held() == "c0 c1 c2 c3 c4 c5 c6"
        with pytest.raises(errors.Conflict):
            ten.acknowledge(digest)
        assert len(ten.in_force) == 10

    def test_an_acknowledgement_covers_exactly_the_shown_set(self, ten: FakeWorld) -> None:
        ten.delete(*(f"{number}.yaml" for number in range(6)))
        ten.settle()
        ten.acknowledge(ten.ledger.digest)
        assert ten.names() == "c6 c7 c8 c9"
        assert ten.ledger.digest == ""
        ten.settle()
        assert set(ten.recorded) == {"6.yaml", "7.yaml", "8.yaml", "9.yaml"}
        ten.delete("6.yaml", "7.yaml")
        ten.settle()
        assert ten.names() == "c8 c9"

    def test_what_comes_back_is_held_no_longer(self, ten: FakeWorld) -> None:
        texts = {path: ten.texts[path] for path in list(ten.texts)[:7]}
        uids = dict(ten.in_force)
        ten.delete(*texts)
        ten.settle()
        back = dict(list(texts.items())[:6])
        ten.texts.update(back)
        ten.after(1)
        ten.settle()
        assert ten.held() == "c6"
        ten.texts.update(texts)
        ten.after(1)
        ten.settle()
        assert (ten.held(), ten.memory.reason) == ("", "")
        assert {each: held.uid for each, held in ten.in_force.items()} == {
            each: held.uid for each, held in uids.items()
        }

    def test_a_restart_forgets_neither_what_is_held_nor_the_window(self, ten: FakeWorld) -> None:
        ten.delete("0.yaml", "1.yaml", "2.yaml")
        ten.settle()
        ten.restart()
        ten.settle()
        ten.delete("3.yaml", "4.yaml", "5.yaml")
        ten.settle()
        assert ten.held() == "c3 c4 c5"
        digest = ten.ledger.digest
        ten.restart()
        ten.after(100)
        ten.settle()
        assert (ten.held(), ten.ledger.digest) == ("c3 c4 c5", digest)
        ten.acknowledge(digest)
        ten.restart()
        ten.settle()
        assert ten.names() == "c6 c7 c8 c9"

    def test_after_a_reboot_the_window_counts_as_of_now(self, ten: FakeWorld) -> None:
        ten.delete("0.yaml", "1.yaml", "2.yaml")
        ten.settle()
        ten.boot_id, ten.mono, ten.root = "other", 5.0, facts.Root(1, 1, 7, 1, "other")
        ten.restart()
        ten.delete("3.yaml", "4.yaml", "5.yaml")
        ten.settle()
        assert ten.held() == "c3 c4 c5"

    def test_new_objects_do_not_make_room_for_removals(self, ten: FakeWorld) -> None:
        for number in range(10):
            ten.write(f"n{number}.yaml", manifests(f"n{number}"))
        ten.delete(*(f"{number}.yaml" for number in range(10)))
        ten.settle()
        assert ten.held() == " ".join(f"c{number}" for number in range(10))

    def test_what_was_made_a_moment_ago_is_guarded_too(self, world: FakeWorld) -> None:
        for number in range(10):
            world.write(f"{number}.yaml", manifests(f"c{number}"))
        world.settle()
        world.delete(*(f"{number}.yaml" for number in range(4)))
        world.settle()
        assert len(world.in_force) == 6
        world.delete(*(f"{number}.yaml" for number in range(4, 10)))
        world.settle()
        assert len(world.in_force) == 6
        assert world.memory.held

    def test_documents_dropped_from_a_file_count_as_well(self, world: FakeWorld) -> None:
        world.write("a.yaml", manifests(*"abcdef"))
        world.settle()
        world.after(60)
        world.write("a.yaml", manifests("a"))
        world.settle()
        assert world.names() == "a b c d e f"
        assert world.held() == "b c d e f"


class TestRoot:
    @pytest.fixture
    def two(self, world: FakeWorld) -> FakeWorld:
        world.write("a.yaml", manifests("a"))
        world.write("b.yaml", manifests("b"))
        world.settle()
        world.after(60)
        return world

    def test_a_missing_directory_prunes_nothing_until_acknowledged(self, two: FakeWorld) -> None:
        two.root = None
        two.settle()
        two.after(3600)
        assert two.names() == "a b"
        assert two.held() == "a b"
        assert two.ledger.trouble == "no such directory"
        two.restart()
        two.settle()
        assert two.held() == "a b"
        two.acknowledge(two.ledger.digest)
        assert two.names() == ""

    def test_a_directory_that_returns_is_as_before(self, two: FakeWorld) -> None:
        two.root = None
        two.settle()
        two.root = ROOT
        two.after(1)
        assert (two.names(), two.held(), two.memory.reason) == ("a b", "", "")
        two.delete("a.yaml")
        two.settle()
        assert two.names() == "b"

    def test_another_mount_prunes_nothing_until_acknowledged(self, two: FakeWorld) -> None:
        two.root = facts.Root(2, 2, 2, 2, "boot")
        texts, two.texts = two.texts, {}
        two.write("c.yaml", manifests("c"))
        two.settle()
        assert (two.names(), two.held()) == ("a b c", "a b")
        assert "another mount" in two.memory.reason
        two.restart()
        two.settle()
        assert two.held() == "a b"
        two.root, two.texts = ROOT, texts
        two.settle()
        assert (two.names(), two.held()) == ("a b", "")

    def test_another_mount_with_the_same_files_is_taken_over(self, two: FakeWorld) -> None:
        two.root = facts.Root(2, 2, 2, 2, "boot")
        two.settle()
        assert two.memory.root == two.root
        two.delete("a.yaml")
        two.settle()
        assert two.names() == "b"

    def test_an_acknowledged_mount_is_the_directory_from_then_on(self, two: FakeWorld) -> None:
        two.root, two.texts = facts.Root(2, 2, 2, 2, "boot"), {}
        two.write("c.yaml", manifests("c"))
        two.settle()
        two.acknowledge(two.ledger.digest)
        two.settle()
        assert two.names() == "c"
        two.delete("c.yaml")
        two.settle()
        assert two.names() == ""

    def test_a_directory_made_anew_on_the_same_mount_is_no_other_mount(self, two: FakeWorld) -> None:
        two.root = facts.Root(1, 99, 1, 1, "boot")
        two.delete("a.yaml")
        two.settle()
        assert two.names() == "b"

    @pytest.mark.parametrize(
        ("root", "same"),
        [
            (facts.Root(1, 1, 5, 1, "reboot"), True),
            (facts.Root(3, 1, 5, 1, "reboot"), True),
            (facts.Root(3, 1, 5, 9, "reboot"), False),
            (facts.Root(1, 1, 5, 1, "boot"), True),
            (facts.Root(1, 2, 5, 1, "boot"), False),
        ],
    )
    def test_what_the_same_mount_is(self, root: facts.Root, same: bool) -> None:
        assert root.same_mount(ROOT) is same

    def test_found_empty_at_start_prunes_nothing_until_acknowledged(self, two: FakeWorld) -> None:
        two.texts.clear()
        two.restart()
        two.settle()
        two.after(3600)
        assert (two.names(), two.held()) == ("a b", "a b")
        assert "empty at start" in two.memory.reason
        two.write("c.yaml", manifests("c"))
        two.settle()
        assert (two.names(), two.held()) == ("a b c", "a b")
        two.acknowledge(two.ledger.digest)
        assert two.names() == "c"

    def test_emptied_while_we_look_is_not_suspicious(self, two: FakeWorld) -> None:
        two.texts.clear()
        two.settle()
        assert two.names() == ""

    def test_a_mount_below_that_goes_takes_nothing_along(self, world: FakeWorld) -> None:
        world.mounts["usb"] = 7
        world.write("usb/a.yaml", manifests("a"))
        world.write("b.yaml", manifests("b"))
        world.settle()
        world.mounts.clear()
        world.delete("usb/a.yaml")
        for _ in range(2):
            world.settle()
            world.after(3600)
            assert (world.names(), world.held()) == ("a b", "a")
            assert "usb is no longer the mount it was" in world.memory.reason
            world.restart()
        world.look()
        world.acknowledge(world.ledger.digest)
        assert world.names() == "b"


def test_removed_and_restored_across_a_restart_is_one_object(world: FakeWorld) -> None:
    world.write("a.yaml", manifests("a"))
    world.write("b.yaml", manifests("b"))
    world.settle()
    uid, text = world.uid("a"), world.texts["a.yaml"]
    world.delete("a.yaml")
    world.restart()
    world.look()
    world.texts["a.yaml"] = text
    world.settle()
    assert (world.uid("a"), world.names()) == (uid, "a b")


def test_deleted_while_the_daemon_was_down_goes_at_start(world: FakeWorld) -> None:
    world.write("a.yaml", manifests("a", "x"))
    world.write("b.yaml", manifests("b"))
    world.settle()
    world.after(60)
    world.delete("b.yaml")
    world.write("a.yaml", manifests("a"))
    world.wall += 60
    world.mono += 60
    world.restart()
    world.settle()
    assert (world.names(), sorted(world.recorded)) == ("a", ["a.yaml"])


def test_a_clock_set_back_or_forward_changes_nothing(world: FakeWorld) -> None:
    world.write("a.yaml", manifests("a"))
    world.settle()
    for jump in (-1e9, 2e9):
        world.wall += jump
        world.write("b.yaml", manifests("b"))
        world.look()
        assert "b" not in world.names()
        world.settle()
        assert world.names() == "a b"
        world.delete("b.yaml")
        world.settle()
        assert world.names() == "a"


def test_nothing_new_is_nothing_to_do(world: FakeWorld) -> None:
    world.write("a.yaml", manifests("a"))
    world.settle()
    world.after(60)
    assert world.decisions == facts.Decisions(memory=world.decisions.memory)
    world.after(60)
    assert world.decisions == facts.Decisions()
