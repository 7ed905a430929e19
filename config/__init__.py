"""Configuration: typed settings, read from one TOML file and checked before anything starts.

Only the ``main.py`` files and the command line (``tandem/``) import this package; everything
else is handed the values that it needs.
"""
