FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE CHANGELOG.md ./
COPY syncd ./syncd
COPY migrations ./migrations
COPY config ./config
RUN python -m venv /opt/syncd && /opt/syncd/bin/pip install --no-cache-dir .

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/syncd --create-home syncd
COPY --from=build /opt/syncd /opt/syncd
ENV PATH=/opt/syncd/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    SYNCD_CONFIG=/etc/syncd/syncd.toml \
    SYNCD_STATE__URL=sqlite:////var/lib/syncd/syncd.db
USER syncd
WORKDIR /var/lib/syncd
VOLUME /var/lib/syncd
EXPOSE 8642
# Long enough for the calls in flight to be finished.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8642/healthz', timeout=4)"]
ENTRYPOINT ["syncd"]
CMD ["run"]
