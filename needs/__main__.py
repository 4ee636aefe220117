"""``python -m needs``: the command line, where the ``needs`` script is not on the path."""

from needs.cli import main

main()
