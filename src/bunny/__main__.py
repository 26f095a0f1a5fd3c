"""`python -m bunny` is the same as `bunny`."""

from bunny.cli import main

if __name__ == "__main__":
    main()
