# The images of Passgate. `make image` builds them without a container registry, on a Debian root of its own.
#   hook    the sidecar: docker build --target hook -t passgate-hook .
#   node    the node agent and the command line: docker build --target node -t passgate-node .
# BASE needs Python 3.11 or later with venv, and apt. Where pip needs a configuration or a certificate of its own to
# reach its index, give them as the secrets pip.conf and ca.crt; they are not kept.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
RUN python3 -m venv /build/venv && python3 -m venv --without-pip /opt/passgate
COPY requirements requirements
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=secret,id=ca.crt \
    venv/bin/pip install --quiet --require-hashes --only-binary :all: -r requirements/build.txt \
    && venv/bin/pip --python /opt/passgate/bin/python3 install --quiet --no-compile \
        --require-hashes --only-binary :all: -r requirements/hook.txt
COPY pyproject.toml README.md LICENSE ./
COPY xml xml
COPY hostdev hostdev
COPY hooksidecar hooksidecar
RUN venv/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir wheels . \
    && venv/bin/pip --python /opt/passgate/bin/python3 install --quiet --no-compile --no-deps --no-index wheels/*.whl
# Any user runs it, and none may write here: the bytecode is there from the start and never compared with its source.
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /opt/passgate/lib

FROM build AS build-hook
RUN python3 -m compileall -q -f --invalidation-mode unchecked-hash \
        -x '/(test|tests|idlelib|lib2to3|ensurepip|turtledemo)/' \
        "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
COPY deploy/image/hook_root.py ./
RUN /opt/passgate/bin/python3 -I hook_root.py /build/root

FROM build AS build-node
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=secret,id=ca.crt \
    venv/bin/pip --python /opt/passgate/bin/python3 install --quiet --no-compile \
        --require-hashes --only-binary :all: -r requirements/claims.txt
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /opt/passgate/lib

FROM ${BASE} AS node
ARG VERSION=0 REVISION=unknown CREATED=unknown BASE
LABEL org.opencontainers.image.title="passgate-node" \
      org.opencontainers.image.description="Looks at a node's PCI devices, and brings what kubelet allocated to the VMs' sidecars" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.base.name="${BASE}"
RUN apt-get -qq update \
    && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends libudev1 pci.ids >/dev/null \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin \
    && python3 -m compileall -q -x '/(test|tests|idlelib|lib2to3|ensurepip|turtledemo)/' \
        "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
COPY --from=build-node /opt/passgate /opt/passgate
ENV PATH=/opt/passgate/bin:$PATH PYTHONDONTWRITEBYTECODE=1
USER 65534:65534
ENTRYPOINT ["passgate"]
CMD ["--help"]

# No shell, no package manager: the interpreter and what the sidecar imports. KubeVirt runs it as the VM's user.
FROM scratch AS hook
ARG VERSION=0 REVISION=unknown CREATED=unknown BASE
LABEL org.opencontainers.image.title="passgate-hook" \
      org.opencontainers.image.description="KubeVirt hook sidecar: puts the PCI devices that a VM was given into its domain" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.base.name="${BASE}"
COPY --from=build-hook /build/root /
# One heap for all threads, as only one of them works, and what is large goes back when it is free: 64 MB are not much.
ENV PATH=/opt/passgate/bin PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    MALLOC_ARENA_MAX=1 MALLOC_MMAP_THRESHOLD_=131072
USER 107:107
ENTRYPOINT ["passgate-hook"]
