"""`python -m bunny` is the same as `bunny`; a film of a batch stops with the batch."""

from bunny.batch.film_process import watch_parent
from bunny.cli import main

if __name__ == "__main__":
    watch_parent()
    main()
