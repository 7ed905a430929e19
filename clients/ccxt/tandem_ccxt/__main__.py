"""Run another program with Tandem added to ccxt: ``python -m tandem_ccxt freqtrade trade …``."""

import runpy
import sys

import tandem_ccxt  # noqa: F401 - adds the exchange to ccxt

if len(sys.argv) < 2:
    sys.exit("Name a module to run, as for python -m: python -m tandem_ccxt freqtrade trade")
del sys.argv[0]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
