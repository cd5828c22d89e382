# The images of Passgate. `make image` builds them without a container registry, on a Debian root of its own.
#   node    the command line, for looking at a node: docker build --target node -t passgate-node .
# BASE needs Python 3.11 or later with venv, and apt. Where pip needs a configuration or a certificate of its own to
# reach its index, give them as the secrets pip.conf and ca.crt; they are not kept.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
RUN python3 -m venv /build/venv && python3 -m venv --without-pip /opt/passgate
COPY requirements/build.txt requirements/cli.txt requirements/
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=secret,id=ca.crt \
    venv/bin/pip install --quiet --require-hashes --only-binary :all: -r requirements/build.txt \
    && venv/bin/pip --python /opt/passgate/bin/python3 install --quiet --no-compile \
        --require-hashes --only-binary :all: -r requirements/cli.txt
COPY pyproject.toml README.md LICENSE ./
COPY xml xml
COPY hostdev hostdev
COPY hooksidecar hooksidecar
RUN venv/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir wheels . \
    && venv/bin/pip --python /opt/passgate/bin/python3 install --quiet --no-compile --no-deps --no-index wheels/*.whl
# Any user runs it, and none may write here: the bytecode is there from the start and never compared with its source.
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /opt/passgate/lib

FROM ${BASE} AS node
ARG VERSION=0 REVISION=unknown CREATED=unknown BASE
LABEL org.opencontainers.image.title="passgate-node" \
      org.opencontainers.image.description="Looks at a node's PCI devices and at what stands in the way of passing them into a VM" \
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
COPY --from=build /opt/passgate /opt/passgate
ENV PATH=/opt/passgate/bin:$PATH PYTHONDONTWRITEBYTECODE=1
USER 65534:65534
ENTRYPOINT ["passgate"]
CMD ["--help"]
