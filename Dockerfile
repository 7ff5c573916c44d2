# The harness: a master, a worker, or the whole command. `--target nightly` has the stack under test beside it, for what brings
# that up by itself (`loadtest run --stack embedded`, `loadtest nightly`).
#
#   docker build --target loadtest -t loadtest:0.1.0 .
#   docker build --target nightly -t loadtest:0.1.0-nightly .
#
# The tag says which Python; a digest says which bytes: --build-arg BASE=docker.io/library/python@sha256:...
ARG BASE=docker.io/library/python:3.11.13-slim-bookworm

# Exactly what the lock says, by hash. No compiler: all are wheels.
FROM ${BASE} AS packages
COPY requirements.lock /
RUN python3 -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r /requirements.lock \
    && /opt/venv/bin/pip uninstall --quiet --yes pip

FROM ${BASE} AS sources
COPY loadtests /app/loadtests
COPY scenarios /app/scenarios
COPY suites /app/suites
# Whoever runs it may read all and write nothing, whatever the umask of the checkout.
RUN python3 -m compileall -q /app/loadtests && chmod -R a+rX,go-w /app

FROM ${BASE} AS stack-packages
COPY backend/requirements.lock /
RUN python3 -m venv /app/backend/.venv \
    && /app/backend/.venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r /requirements.lock \
    && /app/backend/.venv/bin/pip uninstall --quiet --yes pip

FROM ${BASE} AS stack-sources
COPY nginx.conf /app/nginx.conf
COPY backend /app/backend
RUN python3 -m compileall -q /app/backend/app && chmod -R a+rX,go-w /app

FROM ${BASE} AS loadtest
# PostgreSQL wants its user to have a name. /results belongs to it, so that a volume mounted there does too.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin loadtest \
    && install --directory --owner loadtest --group loadtest /results
COPY --from=packages /opt/venv /opt/venv
COPY --from=sources /app /app
WORKDIR /app
USER 10001:10001
ENV PATH=/opt/venv/bin:$PATH HOME=/tmp PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# A master listens on 5557 (0x15B5), a worker is connected to it: either way there is such a socket. Python would take its
# share of the core that the load needs.
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s CMD ["grep", "-q", ":15B5 ", "/proc/net/tcp"]
ENTRYPOINT ["python", "-m", "loadtests"]
CMD ["--help"]
ARG VERSION=0.1.0
ARG REVISION=
# What the manifest of a run says of the harness, for the image has no checkout.
ENV LOADTEST_COMMIT=${REVISION}
LABEL org.opencontainers.image.title="loadtest" \
      org.opencontainers.image.description="A distributed load-testing harness that says PASS, FAIL or INVALID" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

FROM loadtest AS nightly
USER root
RUN apt-get update -q && apt-get install -q -y --no-install-recommends nginx-light && rm -rf /var/lib/apt/lists/*
COPY --from=stack-packages /app /app
COPY --from=stack-sources /app /app
USER 10001:10001
# Between two runs nobody listens.
HEALTHCHECK NONE
CMD ["nightly", "--plain", "--out", "/results"]

# What is built when no target is named.
FROM loadtest
