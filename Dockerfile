# seqserve on the CPU (default target `cpu`) or on a GPU (target `gpu`), with the shipped models in /models.
#
# Both targets stand on one base. CUDA 13 and cuDNN 9 come as Python packages of onnxruntime-gpu and not from an
# nvidia/cuda base: requirements.lock then pins them together with the runtime that was built against them, only the
# libraries that onnxruntime opens are shipped, and no package manager has to add a Python. A base that brings CUDA
# and Python works too: GPU_EXTRA=gpu-system leaves those packages out.
#
# BASE:       what the image runs on, any image with Python 3.11 or newer.
# BUILD_BASE: what it is built on: the same Python, and pip and venv besides; its layers are not shipped.
ARG BASE=python:3.12-slim
ARG BUILD_BASE=${BASE}

FROM ${BUILD_BASE} AS source
WORKDIR /source
# No pip in the environment that is shipped; the one outside fills it.
RUN python3 -m venv --without-pip /opt/seqserve
COPY pyproject.toml requirements.lock ./

# Dependencies apart from the code: a new version of the service then is a layer of less than one megabyte.
FROM source AS dependencies-cpu
RUN python3 -c "import tomllib; project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
        print(*project['dependencies'], *project['optional-dependencies']['cpu'], \
        *project['optional-dependencies']['otel'], sep='\n')" > needed.txt \
    && python3 -m pip --python /opt/seqserve/bin/python install --no-cache-dir \
        --only-binary :all: --constraint requirements.lock --requirement needed.txt

FROM source AS dependencies-gpu
ARG GPU_EXTRA=gpu
RUN python3 -c "import sys, tomllib; project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
        print(*project['dependencies'], *project['optional-dependencies'][sys.argv[1]], \
        *project['optional-dependencies']['otel'], sep='\n')" \
        "${GPU_EXTRA}" > needed.txt \
    && python3 -m pip --python /opt/seqserve/bin/python install --no-cache-dir \
        --only-binary :all: --constraint requirements.lock --requirement needed.txt

FROM source AS code
COPY README.md LICENSE ./
COPY service ./service
COPY models/repository /models
# Whatever umask the checkout was made with, the image's user can read all and write nothing.
RUN python3 -m pip --python /opt/seqserve/bin/python install --no-cache-dir --no-deps --root /code . \
    && chmod -R a+rX,go-w /models /code

FROM ${BASE} AS runtime
# The official Python images bring a pip, which nothing here needs any more.
RUN rm -rf /usr/local/bin/pip* /usr/local/lib/python3*/site-packages/pip* /usr/local/lib/python3*/ensurepip
# onnxruntime would report to its makers, and keep an identifier of the machine for that.
ENV ORT_DISABLE_TELEMETRY=1 \
    PATH=/opt/seqserve/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SEQSERVE_HOST=0.0.0.0 \
    SEQSERVE_PORT=8000 \
    SEQSERVE_MODELS_DIR=/models
# The language detector unpacks its model, 68 MB, into a temporary file: the one place that stays writable when the
# root is read-only. Kubernetes mounts an emptyDir here.
VOLUME /tmp
# A number, so that Kubernetes can see that it is not root.
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["python3", "-I", "-S", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('localhost', int(os.environ['SEQSERVE_PORT']), timeout=2); c.request('GET', '/readyz'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["seqserve"]
CMD ["serve"]

FROM runtime AS gpu
COPY --from=dependencies-gpu /opt/seqserve /opt/seqserve
COPY --from=code /models /models
COPY --from=code /code /
# The toolkit that hands the GPU to a container reads these.
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="seqserve" \
      org.opencontainers.image.description="Serves recurrent sequence models for text classification and translation, on an NVIDIA GPU" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"

# Last, so that a build that names no target gets it.
FROM runtime AS cpu
COPY --from=dependencies-cpu /opt/seqserve /opt/seqserve
COPY --from=code /models /models
COPY --from=code /code /
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
# The licence is the code's; the weights have terms of their own, in /models/*/*/README.md.
LABEL org.opencontainers.image.title="seqserve" \
      org.opencontainers.image.description="Serves recurrent sequence models for text classification and translation, on the CPU" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
