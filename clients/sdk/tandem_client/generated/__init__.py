# Made by `python -m tools.client_code` from spec/openapi.yaml and spec/asyncapi.yaml.
"""Made from the specification; not edited by hand."""
