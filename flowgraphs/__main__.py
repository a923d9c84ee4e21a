"""`python -m flowgraphs` is `osgp-sdr`: the entry point, which takes care of Ctrl-C before anything large is imported."""

from . import interrupts

interrupts.at_once()

from .cli import main  # noqa: E402

if __name__ == "__main__":
    main()
