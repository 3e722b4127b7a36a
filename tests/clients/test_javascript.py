"""@huggingface/inference, unchanged, in node."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from tests.clients.conftest import KEY
from tests.clients.programs import run
from tests.integration.server import Server

# `make clients` installs them beside the environment's own packages.
PACKAGES = Path(sys.prefix) / "javascript"
PROGRAM = """
import { InferenceClient } from "@huggingface/inference";
const [classifies, key, translates] = process.argv.slice(2);
const classifier = new InferenceClient(key).endpoint(classifies);
const translator = new InferenceClient().endpoint(translates);
const inputs = "Two dogs are playing in the snow.";
const parameters = { src_lang: "en", tgt_lang: "de" };
const several = await translator.translation({ inputs: [inputs, "A dog."], parameters });
const [best, other] = await classifier.textClassification({ inputs: "a delight" });
const refused = await translator.translation({ inputs }).catch((error) => error);
console.log(JSON.stringify({
  labels: [best.label, other.label],
  one: (await translator.translation({ inputs, parameters })).translation_text,
  several: several.map((each) => each.translation_text),
  status: refused.httpResponse?.status,
  error: refused.message,
}));
"""


@pytest.mark.skipif(
    not (shutil.which("node") and (PACKAGES / "node_modules").exists()),
    reason="node is not installed, or npm could not install @huggingface/inference",
)
def test_inference_client_classifies_and_translates(locked: Server, server: Server) -> None:
    said = json.loads(
        run(
            *("node", "--input-type=module", "-", locked.url, KEY, server.url),
            folder=PACKAGES,
            stdin=PROGRAM,
        )
    )

    assert said["labels"] == ["positive", "negative"]
    assert said["one"] == "Zwei Hunde spielen im Schnee."
    assert said["several"] == ["Zwei Hunde spielen im Schnee.", "Ein Hund."]
    assert said["status"] == 422
    assert "tgt_lang" in said["error"]
