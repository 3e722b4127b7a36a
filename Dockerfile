# seqserve on the CPU (default target `cpu`) or on a GPU (target `gpu`), with the shipped models in /models.
# The CUDA libraries come as Python packages of onnxruntime-gpu, so both targets share one base image.
# BASE may be any image with Python 3.11 or newer and its venv module.
ARG BASE=python:3.12-slim

FROM ${BASE} AS source
WORKDIR /source
COPY pyproject.toml requirements.lock README.md LICENSE ./
COPY service ./service
# No pip in the environment that is shipped; the one outside fills it.
RUN python3 -m venv --without-pip /opt/seqserve

FROM source AS build-cpu
RUN python3 -m pip --python /opt/seqserve/bin/python install --no-cache-dir \
    -c requirements.lock ".[cpu]"

FROM source AS build-gpu
RUN python3 -m pip --python /opt/seqserve/bin/python install --no-cache-dir \
    -c requirements.lock ".[gpu]"

FROM ${BASE} AS runtime
ENV PATH=/opt/seqserve/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SEQSERVE_HOST=0.0.0.0 \
    SEQSERVE_PORT=8000 \
    SEQSERVE_MODELS_DIR=/models
COPY models/repository /models
# A number, so that Kubernetes can see that it is not root.
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["python3", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ['SEQSERVE_PORT']}/readyz\", timeout=2)"]
ENTRYPOINT ["seqserve"]
CMD ["serve"]

FROM runtime AS gpu
COPY --from=build-gpu /opt/seqserve /opt/seqserve
# The toolkit that hands the GPU to a container reads these.
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility

# Last, so that a build that names no target gets it.
FROM runtime AS cpu
COPY --from=build-cpu /opt/seqserve /opt/seqserve
