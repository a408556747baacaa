# The image of web, worker and beat: docs/operations.md, "Containers".

FROM python:3.11-slim-bookworm AS build
COPY requirements.lock /
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes --requirement /requirements.lock

FROM python:3.11-slim-bookworm
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 DATA_DIR=/data
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /nonexistent audience \
    && install --directory --owner=audience --group=audience --mode=0700 /data
WORKDIR /app
COPY --from=build /venv /venv
COPY . .
# Static files are collected with settings that are thrown away: neither a database nor a secret is in the image.
RUN DATA_DIR=/tmp/build python -m accessaudience.prepare --static \
    && python -m compileall -q . \
    && rm -r /tmp/build
USER 10001:10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=6s --start-period=60s --retries=3 CMD ["python", "-m", "accessaudience.probe"]
CMD ["gunicorn", "--no-control-socket", "--bind", "0.0.0.0:8000", "accessaudience.wsgi"]
