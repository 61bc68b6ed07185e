"""``python -m delt_engine`` is the ``delt`` command."""

from delt_engine.cli import main

if __name__ == "__main__":
    main(prog_name="delt")
