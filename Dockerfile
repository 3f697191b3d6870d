# Every library is installed in the version of a lock file, with its hash: what is installed here is what was tested. Renew both:
#   uv pip compile --universal --generate-hashes --python-version 3.11 --upgrade -o requirements.lock pyproject.toml
#   uv pip compile --universal --generate-hashes --python-version 3.11 --extra mssql --extra oracle \
#     --constraint requirements.lock -o requirements-drivers.lock pyproject.toml
#
# The names of the images are complete, because podman asks no registry that is not named.

# "no" leaves out the drivers of SQL Server and Oracle, which are a third of the image.
ARG DRIVERS=yes

FROM docker.io/library/python:3.13-slim AS build
ARG DRIVERS
WORKDIR /src
COPY requirements.lock requirements-drivers.lock ./
RUN case "$DRIVERS" in \
        yes) lock=requirements-drivers.lock ;; \
        no) lock=requirements.lock ;; \
        *) echo "The build argument DRIVERS must be yes or no, not $DRIVERS." >&2; exit 1 ;; \
    esac \
    && python -m venv --without-pip /opt/syncd \
    && pip --python /opt/syncd/bin/python install --no-cache-dir --only-binary :all: --require-hashes \
        --requirement "$lock"
COPY pyproject.toml README.md LICENSE ./
COPY syncd ./syncd
COPY migrations ./migrations
COPY config ./config
RUN pip --python /opt/syncd/bin/python install --no-cache-dir --no-deps .

FROM docker.io/library/python:3.13-slim
ARG DRIVERS
# What the driver of SQL Server loads: libltdl7, and the other two for Kerberos (Windows sign-in).
RUN [ "$DRIVERS" = no ] || { \
        apt-get update \
        && apt-get install --yes --no-install-recommends libgssapi-krb5-2 libkrb5-3 libltdl7 \
        && rm -rf /var/lib/apt/lists/*; \
    }
# Files that it must read, secrets above all, must be readable by this number.
RUN groupadd --system --gid 10001 syncd \
    && useradd --system --uid 10001 --gid 10001 --home-dir /var/lib/syncd --shell /usr/sbin/nologin syncd \
    && install --directory --owner 10001 --group 10001 --mode 700 /var/lib/syncd
COPY --from=build /opt/syncd /opt/syncd
# It writes to the volume and nowhere else, so the root file system may be read-only. STATE_DIRECTORY is where the state
# store is unless the configuration names another one; nothing here overrides the configuration.
# glibc would keep memory apart for each thread, of which little comes back.
ENV PATH=/opt/syncd/bin:$PATH \
    MALLOC_ARENA_MAX=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    STATE_DIRECTORY=/var/lib/syncd \
    SYNCD_CONFIG=/etc/syncd/syncd.toml
# By number, so that an engine can see that it is not root.
USER 10001
WORKDIR /var/lib/syncd
VOLUME /var/lib/syncd
EXPOSE 8642
# It finishes the calls in flight: leave it more than onefile.timeout_seconds ('docker stop --time 90').
STOPSIGNAL SIGTERM
# It asks the port of admin.listen that is the default. Not by urllib, which would ask a proxy where the environment names one.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "from http.client import HTTPConnection as To; to = To('127.0.0.1', 8642, timeout=4); to.request('GET', '/healthz'); raise SystemExit(to.getresponse().status != 200)"]
ENTRYPOINT ["syncd"]
CMD ["run"]
