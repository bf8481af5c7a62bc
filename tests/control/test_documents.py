"""What is read from YAML is one document: none is an error at the beginning, a second one at its place."""
from __future__ import annotations

import pytest

from fastpath.control.hardware import Hardware
from fastpath.control.manifest import Manifest
from fastpath.control.policy import Policy
from fastpath.control.tenants import Tenants


@pytest.mark.parametrize(("load", "what"), [
    (Policy.load, "a policy"), (Hardware.load, "a manifest of hardware"), (Manifest.load, "a manifest"), (Tenants.load, "a file of tenants"),
    (lambda path: Policy.load_kubernetes([], path), "a file of labels")])
def test_one_document(tmp_path, load, what):
    path = tmp_path / "a.yaml"
    for text, said in (("", f"{path}:1:1: expected {what}, found nothing"), ("# nothing\n", f"{path}:1:1: expected {what}, found nothing"),
                       ("a: 1\n---\n  b: 2\n---\nc", f"{path}:3:3: expected {what} in one document, found 3 documents")):
        path.write_text(text)
        with pytest.raises(ValueError) as caught:
            load(path)
        assert str(caught.value) == said
