"""`python -m flowgraphs` is `osgp-sdr`."""

from .cli import main

main()
