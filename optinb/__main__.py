"""`python -m optinb`."""

from optinb.cli import main

if __name__ == "__main__":
    main(prog_name="optinb")
