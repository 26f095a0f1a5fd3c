"""Tables of the people of many films; they lie in `<data_dir>/library/`, not in a film's folder."""

import dataframely as dy

from bunny.table.schema.path_column import IS_PATH

KIND = ["face", "figure"]


class LibraryFilm(dy.Schema):
    """One film whose people are in the library."""

    film_id = dy.String(primary_key=True)
    film = dy.String()  # name of its file
    content_hash = dy.String()
    state = dy.String()  # of the tables that were read; another one: the film is to be added again
    time = dy.String()  # ISO 8601, UTC, when it was added
    num_members = dy.Int32(min=0)
    adapter_version = dy.Int32(min=0)  # learned of its corrections and in use; 0: none


class LibraryIdentity(dy.Schema):
    """One person or drawn figure of the films; its id never changes."""

    identity_id = dy.String(primary_key=True)  # "identity-0001"
    kind = dy.Enum(KIND)
    name = dy.String(nullable=True)  # null: nobody named it
    named_in = dy.String(nullable=True)  # film_id; null: no name, or one given to the identity
    first_film_id = dy.String()


class LibraryMember(dy.Schema):
    """A character or an unknown person or figure of one film, and whom of the library it is."""

    member_id = dy.String(primary_key=True)  # "<film_id>/<name>"
    film_id = dy.String()
    name = dy.String()  # in that film: "anna", "person-02", "figure-01"
    is_named = dy.Bool()
    kind = dy.Enum(KIND)
    model = dy.String()  # what made its vector
    num_views = dy.Int32(min=1)
    num_shots = dy.Int32(min=1)
    identity_id = dy.String(nullable=True)  # null: the noise bucket
    similarity = dy.Float32(min=-1, max=1, nullable=True)  # to the others, when it was placed
    source = dy.Enum(["machine", "person"])  # who placed it
    rejected_from = dy.List(dy.String())  # names that a person said it is not
    vector_row = dy.Int64(min=0)  # in the vectors of its kind and model


class LibraryRejection(dy.Schema):
    """A face or figure of one film that people said is not somebody."""

    film_id = dy.String(primary_key=True)
    asset_id = dy.String(primary_key=True)  # in that film's table `asset`
    name = dy.String(primary_key=True)  # whom it is not, as that film calls them
    model = dy.String(primary_key=True)  # what made its vector
    vector_row = dy.Int64(min=0)  # in the vectors of that model


class RejectedElsewhere(dy.Schema):
    """What people said in other films is not a character of this one; in the film's own folder."""

    said_in = dy.String(primary_key=True)  # film_id of that film
    asset_id = dy.String(primary_key=True)  # in that film
    character = dy.String(primary_key=True)  # whom it is not, as this film calls them
    model = dy.String(primary_key=True)
    vector = dy.Any()  # List(Float32), unit length


class LibraryReference(dy.Schema):
    """One reference picture of a named identity that films share."""

    # "<name>/<file>" below `library/reference`
    reference_id = dy.String(primary_key=True, metadata=IS_PATH)
    identity_id = dy.String()
    film_id = dy.String()  # that it comes from
    sha256 = dy.String()  # of the file
    model = dy.String()
    vector = dy.Any()  # Array(Float32, d) of the face, unit length; null: a drawn figure


class LibraryPicture(dy.Schema):
    """One picture of a set that was drawn from many films."""

    file = dy.String(primary_key=True, metadata=IS_PATH)  # relative to the set
    sha256 = dy.String()  # of the file
    film_id = dy.String()
    film = dy.String()  # name of its file
    film_hash = dy.String()  # SHA-256 of its content
    film_licence = dy.String(nullable=True)  # null: not given
    image_id = dy.String()
    frame_id = dy.String()
    shot_index = dy.Int32(min=0)
    frame_index = dy.Int64(min=0)
    timestamp_s = dy.Float64()
    split = dy.Enum(["train", "held-out"])
    pose = dy.String(nullable=True)
    shot_size = dy.String()
    light = dy.String(nullable=True)
    place = dy.String(nullable=True)
