# The libraries are those of requirements.lock, each with its hash; what is installed here is what was tested. Renew it:
#   uv pip compile --universal --generate-hashes --python-version 3.11 --upgrade -o requirements.lock pyproject.toml
FROM python:3.13-slim AS build
WORKDIR /src
COPY requirements.lock ./
RUN python -m venv --without-pip /opt/syncd \
    && pip --python /opt/syncd/bin/python install --no-cache-dir --only-binary :all: --require-hashes \
        --requirement requirements.lock
COPY pyproject.toml README.md LICENSE CHANGELOG.md ./
COPY syncd ./syncd
COPY migrations ./migrations
COPY config ./config
RUN pip --python /opt/syncd/bin/python install --no-cache-dir --no-deps .

FROM python:3.13-slim
# Files that it is to read, secrets above all, must be readable by this number.
RUN useradd --system --uid 10001 --user-group --home-dir /var/lib/syncd --shell /usr/sbin/nologin syncd \
    && install --directory --owner syncd --group syncd --mode 700 /var/lib/syncd
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
USER syncd
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
