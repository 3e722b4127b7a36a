#!/usr/bin/env bash
# Packs what gpu-check and gpu-bench need, for a machine that reaches no package registry: the packages of the pinned
# versions, without CUDA and cuDNN, and the prepared models. Writes build/gpu-parts: parts of PART_MIB each and their
# checksums. Usage: pack.sh PYTHON PREPARED
set -euo pipefail
python=$1 prepared=$2
: "${RUNTIME:=gpu}" "${PYTHON_VERSION:=3.12}" "${PART_MIB:=20}"
site=build/gpu-site parts=build/gpu-parts
rm -rf build/gpu-site build/gpu-parts
mkdir -p "$site" "$parts"

extra=cpu
[[ $RUNTIME == cpu ]] || extra=gpu-system
# onnx reads the graphs whose nodes are compared, sacrebleu scores.
mapfile -t requirements < <("$python" - "$extra" <<'PYTHON'
import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
extras = project["optional-dependencies"]
needed = [each for each in extras["train"] if each.startswith(("onnx", "sacrebleu"))]
print("\n".join([*project["dependencies"], *extras[sys.argv[1]], *needed]))
PYTHON
)
platforms=()
for minor in 39 34 31 28 27 24 17; do platforms+=(--platform "manylinux_2_${minor}_x86_64"); done
"$python" -m pip install -q --disable-pip-version-check --only-binary=:all: --target "$site" \
  --python-version "$PYTHON_VERSION" --implementation cp "${platforms[@]}" --platform manylinux2014_x86_64 \
  -c requirements.lock "${requirements[@]}"
rm -f "$site"/onnxruntime/capi/libonnxruntime_providers_tensorrt.so
find "$site" -name __pycache__ -prune -exec rm -rf {} +

tar -cf - "$site" "$prepared" | xz -6 -T0 | split -b "${PART_MIB}M" -d - "$parts/part-"
(cd "$parts" && sha256sum part-* >SHA256SUMS)
ls -l "$parts"
cat <<TEXT
On the other machine, with Python $PYTHON_VERSION, CUDA 13 and cuDNN 9, and this repository:
  (cd $parts && sha256sum -c --quiet SHA256SUMS) && cat $parts/part-* | xz -dc | tar -xf -
  make -k gpu-check gpu-bench PACKAGES=$site GPU_PREPARED=$prepared
TEXT
