"""Identities of many films on vectors by hand: who joins whom, and which ids stay."""

from dataclasses import replace

import numpy as np
import pytest

from bunny.core.config import DetectionConfig
from bunny.core.error import UserError
from bunny.series import identity, library_update, people_library
from bunny.series.film_member import FilmMembers

SETTING = identity.PlacementSetting()
ANNA, BERT, CARL = 0, 100, 200  # degrees; strangers lie at a right angle and more


def unit(degrees, tilt=0.0):
    """A unit vector of four numbers; `tilt` goes off the plane."""
    a, b = np.radians(degrees), np.radians(tilt)
    flat = np.array([np.cos(a), np.sin(a), 0, 0]) * np.cos(b)
    return (flat + np.array([0, 0, np.sin(b), 0])).astype(np.float32)


def film(film_id, people, kind="face", frames=None, rejected=None):
    """Members of a film: name and vector, or name and degrees."""
    rows, vectors, seen, rejection, rejected_vector = [], [], [], [], []
    for k, (name, where) in enumerate(people.items()):
        rows.append(
            {
                "member_id": f"{film_id}/{name}",
                "film_id": film_id,
                "name": name,
                "is_named": "-" not in name,
                "kind": kind,
                "model": "sface" if kind == "face" else "by-hand",
                "num_views": 9 - k,
                "num_shots": 2,
                "rejected_from": list((rejected or {}).get(name, ())),
            }
        )
        vectors.append(unit(where) if np.isscalar(where) else where)
        seen.append(set((frames or {}).get(name, {f"{film_id}-{k}"})))
        for other in (rejected or {}).get(name, ()):
            item = {"asset_id": f"{film_id}-t{k}", "name": other, "model": rows[-1]["model"]}
            rejection.append({"film_id": film_id, **item})
            rejected_vector.append(vectors[-1])
    return FilmMembers(
        film_id=film_id,
        rows=rows,
        vector=vectors,
        frames=seen,
        rejection=rejection,
        rejected_vector=rejected_vector,
    )


def reject(members, name, degrees):
    """Members with one more face that people said is not somebody, and that lies in noise."""
    row = {
        "film_id": members.film_id,
        "asset_id": f"{members.film_id}-noise",
        "name": name,
        "model": members.rows[0]["model"],
    }
    return replace(
        members,
        rejection=[*members.rejection, row],
        rejected_vector=[*members.rejected_vector, unit(degrees)],
    )


def add(folder, members, setting=SETTING):
    library = people_library.read(folder)
    placed = identity.place(library, members, setting)
    row = {
        "film_id": members.film_id,
        "film": "a.mp4",
        "content_hash": "00",
        "state": "x",
        "time": "2026-01-01T00:00:00+00:00",
        "num_members": len(members.rows),
        "adapter_version": 0,
    }
    library = library_update.add_film(library, members, placed, row)
    people_library.write(library)
    return who(library)


def test_an_unknown_between_two_people_joins_neither_by_the_margin_of_the_settings(tmp_path):
    """Anna at 0 and Ben at 40 degrees; somebody at 19: cosines 0.9455 and 0.9336, 0.012 apart."""
    joined = {}
    for margin in (0.005, 0.05):
        library = people_library.read(tmp_path / str(margin))
        add(library.folder, film("one", {"anna": 0, "ben": 40}))
        new = film("two", {"person-01": 19})
        setting = identity.PlacementSetting(detection=DetectionConfig(min_margin=margin))
        library = people_library.read(library.folder)
        placed = identity.place(library, new, setting)
        joined[margin] = placed.identity_id[0]
    assert joined == {0.005: "identity-0001", 0.05: None}


@pytest.mark.parametrize(("margin", "joins"), [(0.01, True), (0.05, False)])
def test_who_gets_a_name_or_joins_it_is_clearly_one_by_the_margin_of_the_settings(
    tmp_path, margin, joins
):
    """Two people at 0 and 64 degrees, a third at 31: cosines 0.8572 and 0.8387."""
    setting = identity.PlacementSetting(detection=DetectionConfig(min_margin=margin))
    unnamed, noise = tmp_path / "unnamed", tmp_path / "noise"
    for film_id in ("one", "two"):
        known = add(unnamed, film(film_id, {"person-01": 0, "person-02": 64}), setting)
    found = add(unnamed, film("three", {"anna": 31}), setting)
    assert (found["three/anna"] == known["two/person-01"] == "identity-0001") == joins
    add(noise, film("one", {"person-01": 31}), setting)
    found = add(noise, film("two", {"anna": 0, "ben": 64}), setting)
    assert found["one/person-01"] == (found["two/anna"] if joins else None)


@pytest.mark.parametrize(("threshold", "is_one"), [(0.25, True), (0.38, False)])
def test_one_name_in_two_films_is_one_person_from_the_similarity_of_the_settings(
    tmp_path, threshold, is_one
):
    """Faces at 0 and 75 degrees: cosine 0.2588."""
    detection = DetectionConfig(similarity_threshold=threshold)
    setting = identity.PlacementSetting(detection=detection)
    add(tmp_path, film("one", {"anna": 0}), setting)
    found = add(tmp_path, film("two", {"anna": 75}), setting)
    assert (found["one/anna"] == found["two/anna"]) == is_one


def who(library):
    return dict(library.member.select("member_id", "identity_id").iter_rows())


def names(folder):
    table = people_library.read(folder).identity
    return dict(table.select("identity_id", "name").iter_rows())


def test_one_person_of_two_films_becomes_an_identity_and_strangers_stay_in_noise(tmp_path):
    found = add(tmp_path, film("one", {"person-01": ANNA, "person-02": BERT}))
    assert set(found.values()) == {None}
    found = add(tmp_path, film("two", {"person-01": CARL, "person-02": ANNA + 10}))
    assert found == {
        "one/person-01": "identity-0001",
        "one/person-02": None,
        "two/person-01": None,
        "two/person-02": "identity-0001",
    }


def test_ids_stay_when_films_are_added_and_none_is_used_twice(tmp_path):
    add(tmp_path, film("one", {"person-01": ANNA, "person-02": BERT}))
    before = add(tmp_path, film("two", {"person-01": ANNA + 5}))
    after = add(tmp_path, film("three", {"person-01": BERT, "person-02": ANNA - 5}))
    assert {key: after[key] for key in before if before[key]} == {
        "one/person-01": "identity-0001",
        "two/person-01": "identity-0001",
    }
    assert after["three/person-02"] == "identity-0001"
    assert after["one/person-02"] == after["three/person-01"] == "identity-0002"


def test_a_film_that_was_run_again_keeps_its_ids(tmp_path):
    add(tmp_path, film("one", {"person-01": ANNA, "person-02": BERT}))
    old = add(tmp_path, film("two", {"person-01": BERT + 3, "person-02": ANNA + 3}))
    assert old["two/person-02"] == old["one/person-01"] != old["one/person-02"]
    new = add(tmp_path, film("two", {"person-01": ANNA + 4, "person-07": BERT + 2}))
    assert new == {
        "one/person-01": old["one/person-01"],
        "one/person-02": old["one/person-02"],
        "two/person-01": old["one/person-01"],
        "two/person-07": old["one/person-02"],
    }


def test_what_lies_between_two_people_joins_neither(tmp_path):
    add(tmp_path, film("one", {"anna": unit(0), "bert": unit(60)}))
    found = add(tmp_path, film("two", {"person-01": 30}))
    assert np.cos(np.radians(30)) > SETTING.pair_threshold("face")
    assert found["two/person-01"] is None


def test_a_name_is_kept_and_given_to_the_unknown_of_other_films(tmp_path):
    add(tmp_path, film("one", {"person-01": ANNA}))
    add(tmp_path, film("two", {"person-01": ANNA + 8}))
    found = add(tmp_path, film("three", {"anna": ANNA + 4}))
    assert set(found.values()) == {"identity-0001"}
    assert names(tmp_path) == {"identity-0001": "anna"}


def test_noise_of_films_before_is_found_when_a_name_comes(tmp_path):
    add(tmp_path, film("one", {"person-01": ANNA, "person-02": ANNA + 15, "person-03": BERT}))
    found = add(tmp_path, film("two", {"anna": ANNA + 5}))
    assert found == {
        "one/person-01": "identity-0001",  # the nearer of a film's two
        "one/person-02": None,
        "one/person-03": None,
        "two/anna": "identity-0001",
    }


def test_one_name_of_two_people_is_two_identities(tmp_path):
    add(tmp_path, film("one", {"anna": ANNA}))
    found = add(tmp_path, film("two", {"anna": BERT}))
    assert found == {"one/anna": "identity-0001", "two/anna": "identity-0002"}
    assert names(tmp_path) == {"identity-0001": "anna", "identity-0002": "anna"}


def test_a_named_member_never_joins_another_name(tmp_path):
    add(tmp_path, film("one", {"anna": ANNA}))
    found = add(tmp_path, film("two", {"berta": ANNA}))
    assert found["two/berta"] == "identity-0002"


def test_two_in_one_frame_are_not_one(tmp_path):
    add(tmp_path, film("one", {"anna": ANNA}))
    both = {"person-01": {"f"}, "person-02": {"f"}}
    found = add(tmp_path, film("two", {"person-01": ANNA + 20, "person-02": ANNA + 2}, frames=both))
    assert found["two/person-02"] == "identity-0001"
    assert found["two/person-01"] is None


def test_who_a_person_said_is_not_anna_is_not_nor_who_is_more_like_that_one(tmp_path):
    add(tmp_path, film("one", {"anna": ANNA}))
    no = {"person-01": ["anna"]}
    found = add(tmp_path, film("two", {"person-01": ANNA + 30}, rejected=no))
    assert found["two/person-01"] is None
    found = add(tmp_path, film("three", {"person-01": ANNA + 25}))
    assert found["three/person-01"] != found["one/anna"]
    found = add(tmp_path, film("four", {"person-01": ANNA + 5}))
    assert found["four/person-01"] == found["one/anna"]


def test_a_face_in_noise_that_is_not_anna_holds_back_what_is_like_it_in_every_film(tmp_path):
    """Anna at 0 and 4 degrees; a face at 30 that people took out of her set in another film."""
    add(tmp_path / "before", film("one", {"anna": ANNA}))
    found = add(tmp_path / "before", film("three", {"person-01": ANNA + 25}))
    assert found["three/person-01"] == "identity-0001"
    add(tmp_path, film("one", {"anna": ANNA}))
    add(tmp_path, reject(film("two", {"anna": ANNA + 4}), "anna", ANNA + 30))
    found = add(tmp_path, film("three", {"person-01": ANNA + 25, "person-02": ANNA - 5}))
    assert found["three/person-01"] is None and found["three/person-02"] == "identity-0001"
    assert add(tmp_path, film("two", {"anna": ANNA + 4}))["two/anna"] == "identity-0001"
    found = add(tmp_path, film("three", {"person-01": ANNA + 25}))  # it was taken back in "two"
    assert found["three/person-01"] == "identity-0001"


def test_what_is_rejected_under_a_films_own_name_counts_for_the_identity(tmp_path):
    """The library calls her Eileen; film "two" still calls her anna, and says who is not her."""
    add(tmp_path, reject(film("two", {"anna": ANNA}), "anna", ANNA + 30))
    library, _ = library_update.name_identity(people_library.read(tmp_path), "anna", "Eileen")
    people_library.write(library)
    found = add(tmp_path, film("three", {"person-01": ANNA + 25, "person-02": ANNA - 5}))
    assert found["three/person-01"] is None and found["three/person-02"] == "identity-0001"


def test_noise_and_unnamed_identities_do_not_become_who_people_said_they_are_not(tmp_path):
    """A film's noise at 28 degrees, and an identity of two films at 128, before the names come."""
    add(tmp_path, film("one", {"person-01": ANNA + 28, "person-02": BERT + 28}))
    found = add(tmp_path, film("two", {"person-02": BERT + 28}))
    unnamed = found["two/person-02"]
    named = film("three", {"anna": ANNA, "bert": BERT})
    found = add(tmp_path, reject(reject(named, "anna", ANNA + 30), "bert", BERT + 30))
    assert found["one/person-01"] is None
    assert found["one/person-02"] == unnamed != found["three/bert"]


def test_a_named_film_leaves_an_identity_of_which_people_said_it_is_not_that_one(tmp_path):
    add(tmp_path, film("one", {"person-01": ANNA}, rejected={"person-01": ["anna"]}))
    unnamed = add(tmp_path, film("two", {"person-01": ANNA + 30}))["one/person-01"]
    assert unnamed is not None
    found = add(tmp_path, film("three", {"anna": ANNA + 20}))
    assert found["three/anna"] != unnamed


def test_rejections_of_a_film_that_is_removed_hold_no_longer(tmp_path):
    add(tmp_path, film("one", {"anna": ANNA}))
    add(tmp_path, reject(film("two", {"anna": ANNA + 4}), "anna", ANNA + 30))
    people_library.write(library_update.remove_film(people_library.read(tmp_path), "two"))
    assert people_library.read(tmp_path).rejection.is_empty()
    found = add(tmp_path, film("three", {"person-01": ANNA + 25}))
    assert found["three/person-01"] == "identity-0001"


def test_groups_of_one_film_are_never_joined_by_the_machine_alone(tmp_path):
    found = add(tmp_path, film("one", {"person-01": ANNA, "person-02": ANNA + 1}))
    assert set(found.values()) == {None}


def test_faces_and_figures_are_not_compared(tmp_path):
    add(tmp_path, film("one", {"person-01": ANNA}))
    found = add(tmp_path, film("two", {"figure-01": ANNA}, kind="figure"))
    assert set(found.values()) == {None}
    found = add(tmp_path, film("three", {"figure-01": ANNA + 10}, kind="figure"))
    assert found["two/figure-01"] == found["three/figure-01"] == "identity-0001"


def test_a_name_by_hand_makes_an_identity_of_noise_and_is_taken_away_again(tmp_path):
    add(tmp_path, film("one", {"person-01": ANNA}))
    library = people_library.read(tmp_path)
    library, made = library_update.name_identity(library, "one:person-01", "anna")
    people_library.write(library)
    assert names(tmp_path) == {made: "anna"}
    assert add(tmp_path, film("two", {"person-01": ANNA + 5}))["two/person-01"] == made
    library, _ = library_update.name_identity(people_library.read(tmp_path), "anna", None)
    assert library.identity["name"].to_list() == [None]


def test_one_name_by_hand_joins_two_identities_and_the_elder_id_stays(tmp_path):
    add(tmp_path, film("one", {"anna": ANNA, "person-02": BERT}))
    library, own = library_update.name_identity(
        people_library.read(tmp_path), "one:person-02", "Anna"
    )
    assert own == "identity-0001"
    assert set(who(library).values()) == {"identity-0001"}
    people_library.write(library)
    again = add(tmp_path, film("one", {"anna": ANNA, "person-05": BERT + 1}))
    assert again["one/person-05"] == "identity-0001"  # as the person said


@pytest.mark.parametrize("what", ["identity-0009", "nobody", "one:person-09", "person-01"])
def test_who_is_not_there(tmp_path, what):
    add(tmp_path, film("one", {"person-01": ANNA}))
    with pytest.raises(UserError, match="found none; list them with"):
        library_update.find(people_library.read(tmp_path), what)


def test_a_film_that_is_removed_leaves_ids_and_no_vector(tmp_path):
    add(tmp_path, film("one", {"person-01": ANNA}))
    add(tmp_path, film("two", {"person-01": ANNA + 5}))
    library = library_update.remove_film(people_library.read(tmp_path), "one")
    assert who(library) == {"two/person-01": "identity-0001"}
    people_library.erase_unused(library)
    vector = people_library.read_vectors(tmp_path, "sface")
    assert not vector[0].any() and vector[1].any()
