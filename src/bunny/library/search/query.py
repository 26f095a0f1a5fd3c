"""Search queries: by words, picture, face or item; each scores every frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from bunny.core.error import UserError
from bunny.library.search import keyword, ranking
from bunny.library.search.film_library import FilmLibrary
from bunny.library.search.ranking import QueryPart
from bunny.library.search.vector_space import VectorSpace


def by_words(
    library: FilmLibrary, text: str, allowed: np.ndarray, limit: int, notes: list[str]
) -> QueryPart:
    """Word by word and, where there is a model, by sentence vectors.

    Parameters
    ----------
    allowed : np.ndarray, shape (frames,), bool
        Frames that may be answered with.
    limit : int
        Shots wanted.
    notes : list of str
        What a reader has to know is added.
    """
    texts = library.known.frame["text"].to_list()
    match = keyword.match(text, texts)
    cosine = None
    if not library.has_text_model:
        notes.append("keyword search only; `uv sync --extra search` adds semantic search")
    else:
        query = library.embed_words([text])[0]
        cosine = _cosines(library, library.words, query, allowed, limit)
        cosine = cosine * _clip_scale() if library.is_clip else cosine
    if match.unknown and cosine is not None:
        notes.append(f"no text contains: {', '.join(match.unknown)}; compared by meaning")
    share = match.share if match.known or cosine is None else None

    def why(row: int) -> str:
        own = keyword.common(text, texts[row])
        near = [] if cosine is None or np.isnan(cosine[row]) else [f"meaning {cosine[row]:.2f}"]
        return "; ".join(([f"words {', '.join(own)}"] if own else []) + near)

    score = ranking.blend(share, cosine)
    return QueryPart(score=np.where(score > 0, score, np.float32(np.nan)), why=why)


def by_picture(library: FilmLibrary, path: Path, allowed: np.ndarray, limit: int) -> QueryPart:
    """Search for frames that look like a picture, by scene embeddings as stage cluster makes them.

    Raises
    ------
    UserError
        If it cannot be read, or the films have no scene vectors.
    """
    from bunny.character.drawn.efficientnet import EfficientNet
    from bunny.scene import embed as scene_embed

    image, net = _read(path), EfficientNet()
    vector = scene_embed.embed_frame(image, net.embed)
    return _picture_part(library, vector, path.name, allowed, limit)


def _picture_part(
    library: FilmLibrary, vector: np.ndarray, name: str, allowed: np.ndarray, limit: int
) -> QueryPart:
    if not library.picture.num_vectors:
        raise UserError("no scene embeddings found; run stage cluster first, or search by words")
    cosine = _cosines(library, library.picture, vector, allowed, limit)
    return QueryPart(score=np.clip(cosine, 0, 1), why=lambda row: f"like {name} {cosine[row]:.2f}")


def by_face(
    library: FilmLibrary, path: Path, allowed: np.ndarray, limit: int, notes: list[str]
) -> QueryPart:
    """The largest face of a picture against the faces of the films, by each recogniser used.

    Raises
    ------
    UserError
        If there is no face in it, or none in the films.
    """
    from bunny.character.face import detect, recogniser

    image = _read(path)
    wanted = library.detection_config
    look = detect.load_detector(wanted.face_detection_model)
    faces = [f for f in look(image) if f.score >= wanted.min_face_score]
    if not faces:
        raise UserError(
            f"{path}: expected a face, found none; crop the picture to the face, or "
            "for a drawn character use --picture, --who or --like"
        )
    if len(faces) > 1:
        notes.append(f"{path.name} shows {len(faces)} faces; the largest one was used")
    if not library.face:
        raise UserError("no faces found in the films; run stage detect first")
    largest = max(faces, key=lambda f: f.size_px)
    found = []
    for name, own in library.face.items():
        vector = recogniser.load_recogniser(name)(image, largest)
        found.append(recogniser.to_similarity(_cosines(library, own, vector, allowed, limit), name))
    similarity = np.fmax.reduce(found)
    return QueryPart(
        score=np.clip(similarity, 0, 1),
        why=lambda row: (
            f"face {similarity[row]:.2f}"
            + (" (one person)" if similarity[row] >= wanted.similarity_threshold else "")
        ),
    )


def by_item(
    library: FilmLibrary, like: str, allowed: np.ndarray, limit: int
) -> tuple[QueryPart, int]:
    """More like this: a figure by its own vector, a shot or frame by its scene vector.

    `like` is an id or how one ends (`s00007`, `f00012`), as for `bunny correct`.

    Returns
    -------
    part : QueryPart
    row : int
        Of a frame of the item's shot.

    Raises
    ------
    UserError
        If there is no such item, or a shot's number is given and several films are searched.
    """
    figures = library.figures
    whole = _full_id(library, like)
    own = figures.filter(pl.col("asset_id") == whole) if figures.height else figures
    if own.height:
        row = library.row[own["frame_id"][0]]
        space = library.figure(own["model"][0])
        cosine = _cosines(library, space, own["vector"].to_numpy()[0], allowed, limit)
        score = np.clip(cosine, 0, 1)
        return QueryPart(score=score, why=lambda i: f"figure like {like} {cosine[i]:.2f}"), row
    frames = _frames_of(library, whole)
    pairs = library.picture
    rows = pairs.vector[np.isin(pairs.frame, frames)]
    if not len(rows):
        raise UserError(f"{like}: no scene embedding for this picture; run stage cluster first")
    vector = pairs.of_rows(rows).mean(axis=0)
    vector = vector / max(float(np.linalg.norm(vector)), 1e-12)
    return _picture_part(library, vector, like, allowed, limit), int(frames[0])


def _frames_of(library: FilmLibrary, like: str) -> np.ndarray:
    """Rows of the frames that an item's name means."""
    known = library.known
    if like in library.row:
        return np.array([library.row[like]])
    shots = known.shot.filter(pl.col("asset_id") == like)
    if like.isdigit():
        if len(library.root) > 1:
            raise UserError(
                f"--like {like}: a shot number needs one film, but "
                f"{len(library.root)} are searched; name the film with --film, or "
                f"give the whole id, e.g. {known.shot['asset_id'][0]}"
            )
        shots = known.shot.filter(pl.col("shot_index") == int(like))
    if not shots.height:
        raise UserError(
            f"--like {like}: expected a shot number, an asset_id or a frame_id of "
            "these films, found none; `bunny search` lists the shots"
        )
    own = known.frame.with_row_index("row").join(
        shots, on=["film_id", "shot_index"], how="semi", maintain_order="left"
    )
    return own["row"].to_numpy()


def _full_id(library: FilmLibrary, like: str) -> str:
    """The id that ends so, where it is that of one item; else the text as it is.

    Raises
    ------
    UserError
        If several end so.
    """
    known = library.known.shot["asset_id"].to_list()
    known += library.figures["asset_id"].to_list() if library.figures.height else []
    ends = [one for one in known if one.endswith(f"-{like}")]
    if len(ends) > 1 and like not in known and not like.isdigit():
        raise UserError(
            f"--like {like}: expected one item, but {len(ends)} ids end with it; give "
            f"the whole id, e.g. {ends[0]}"
        )
    return ends[0] if len(ends) == 1 else like


def same_shot(library: FilmLibrary, row: int) -> np.ndarray:
    """Mask of the frames that belong to the shot of a frame; (frames,) bool."""
    frame = library.known.frame
    film, shot = frame.select("film_id", "shot_index").row(row)
    same = (pl.col("film_id") == film) & (pl.col("shot_index") == shot)
    return frame.select(same).to_series().to_numpy()


def _cosines(
    library: FilmLibrary, space: VectorSpace, query: np.ndarray, allowed: np.ndarray, limit: int
) -> np.ndarray:
    return space.cosines(
        np.asarray(query, np.float32), allowed, limit, library.search_config, library.index_folder
    )


def _read(path: Path) -> np.ndarray:
    from bunny.character import reference

    image = reference.read_picture(path)
    if image is None:
        if not path.exists():
            raise UserError(f"{path}: picture not found; check the path")
        raise UserError(f"{path}: expected a picture, could not read it; give a JPEG or PNG file")
    return image


def _clip_scale() -> float:
    from bunny.caption import clip

    return clip.SCALE
