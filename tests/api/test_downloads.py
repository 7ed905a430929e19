"""What a client needs it can download from a running venue."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from flask.testing import FlaskClient

from account_api.configuration import api_settings
from account_api.http.app import create_app
from config.settings import DEMO_FILE, load
from config.shipped import downloads
from tests.api.inprocess import InProcessEngine

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    folder = str(tmp_path_factory.mktemp("data"))
    settings = replace(
        api_settings(load(DEMO_FILE, {"TANDEM_DATA": folder})),
        answers=":memory:", logins=":memory:", key_file=":memory:", key_master="",
        downloads=downloads,
    )  # fmt: skip

    def nobody() -> InProcessEngine:
        raise AssertionError("no engine is needed for a download")

    return create_app(settings, nobody).test_client()


@pytest.mark.parametrize(
    ("target", "file", "media_type"),
    [
        ("/FIX44.xml", "spec/FIX44.xml", "application/xml"),
        ("/openapi.yaml", "spec/openapi.yaml", "application/yaml"),
        ("/asyncapi.yaml", "spec/asyncapi.yaml", "application/yaml"),
        ("/docs/files/spec/FIX44.xml", "spec/FIX44.xml", "application/xml"),
        ("/docs/files/clients/quickfixj/tandem.cfg", "clients/quickfixj/tandem.cfg", "text/plain"),
        ("/docs/files/clients/python/fix_order.py", "clients/python/fix_order.py", "text/plain"),
        ("/docs/files/clients/postman/tandem.postman_collection.json",
         "clients/postman/tandem.postman_collection.json", "application/json"),
        ("/docs/files/config/grafana/tandem.json", "config/grafana/tandem.json",
         "application/json"),
        ("/docs/files/spec/golden/11-market-data.txt", "spec/golden/11-market-data.txt",
         "text/plain"),
    ],
)  # fmt: skip
def test_a_file_is_served_as_what_it_is_and_again_only_if_it_changed(
    http: FlaskClient, target: str, file: str, media_type: str
) -> None:
    answer = http.get(target)
    assert answer.status_code == 200 and answer.mimetype == media_type
    assert answer.data == (ROOT / file).read_bytes()
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    again = http.get(target, headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_openapi_json_has_an_etag(http: FlaskClient) -> None:
    answer = http.get("/openapi.json")
    assert msgspec.json.decode(answer.data)["openapi"] == "3.1.0"
    again = http.get("/openapi.json", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_the_list_names_every_file_and_no_other_is_served(http: FlaskClient) -> None:
    text = http.get("/docs/files/").text
    assert all(f"/docs/files/{name}" in text for name in downloads())
    for name in ("config/demo.toml", "clients/../config/demo.toml", "..%2f..%2fetc/passwd", "x"):
        assert http.get(f"/docs/files/{name}").status_code == 404, name


def test_no_secret_and_nothing_that_was_made_is_offered() -> None:
    names = set(downloads())
    assert not [n for n in names if "__pycache__" in n or "node_modules" in n or "/." in n]
    assert {name.split("/")[0] for name in names} == {"clients", "spec", "config"}
    assert {n for n in names if n.startswith("config/")} <= {
        path.relative_to(ROOT).as_posix()
        for folder in ("grafana", "prometheus") for path in (ROOT / "config" / folder).iterdir()
    }  # fmt: skip
