#!/usr/bin/env bash
# Makes the base images of `make image` out of Debian packages, for machines that reach no image registry:
# NAME (Python alone) and NAME-build (pip and venv, too). Needs root, mmdebstrap and buildah or podman.
# usage: make_base.sh NAME [SUITE [MIRROR]]
set -euo pipefail
name=${1:?usage: make_base.sh NAME [SUITE [MIRROR]]}
suite=${2:-bookworm}
mirror=${3:-http://deb.debian.org/debian}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

make_root() {
  # essential: neither apt nor a compiler; manuals and translations are half of what is left
  mmdebstrap --quiet --variant=essential --include="$2" \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    "$suite" "$folder/root.tar" "$mirror"
  printf 'FROM scratch\nADD root.tar /\nCMD ["/bin/bash"]\n' >"$folder/Dockerfile"
  if command -v buildah >/dev/null; then
    buildah build --quiet --isolation chroot --tag "$1" "$folder"
  else
    podman build --quiet --tag "$1" "$folder"
  fi
}

# numpy and onnxruntime are C++.
make_root "$name" python3,libstdc++6,ca-certificates
make_root "$name-build" python3,python3-pip,python3-venv,ca-certificates
