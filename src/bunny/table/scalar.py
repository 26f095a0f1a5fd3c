"""Single numbers of a table: Polars types a maximum or a mean as anything that a cell may hold."""


def as_float(value: object) -> float:
    """A number of a table, such as `frame["timestamp_s"].max()`, as a float.

    Raises
    ------
    TypeError
        If it is no number; the maximum of no rows is None.
    """
    return float(_number(value))


def as_int(value: object) -> int:
    """A number of a table, such as `shot["end_frame_index"].max()`, as an int.

    Raises
    ------
    TypeError
        If it is no number; the maximum of no rows is None.
    """
    return int(_number(value))


def _number(value: object) -> int | float:
    if not isinstance(value, int | float):
        raise TypeError(f"expected a number, got {value!r}")
    return value
