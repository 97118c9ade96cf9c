# The service with the model in artifacts/: docker build -t prediction-service . && docker run -p 5000:5000 prediction-service
# docs/deploy.md says how to run it. Another Python: --build-arg PYTHON=3.13
ARG PYTHON=3.11

FROM python:${PYTHON}-slim AS build
WORKDIR /app
RUN python -m venv --without-pip /venv
COPY requirements.txt .
# The libraries bring 160 MB of their own tests, and 16 MB of sources, headers and type stubs that nothing runs.
RUN pip --python /venv/bin/python install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.txt \
    && find /venv -type d \( -name test -o -name tests \) -prune -exec rm -r {} + \
    && find /venv -type f \( -name '*.py[xi]' -o -name '*.px[di]' -o -name '*.[ach]' -o -name '*.[ch]pp' \) -delete
COPY . .
RUN python -m compileall -q . && chmod -R a+rX .

FROM python:${PYTHON}-slim
RUN useradd --uid 10001 --no-create-home --home-dir /data service && install -d -o service /data
COPY --from=build /venv /venv
COPY --from=build /app /app
WORKDIR /app
USER 10001
# Everything that is written goes to /data, so the rest of the file system can be read-only.
ENV PATH=/venv/bin:$PATH HOST=0.0.0.0 DATABASE_URL=sqlite:////data/predictions.db EXPORTS=/data/exports \
    MALLOC_ARENA_MAX=2 PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
EXPOSE 5000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["python", "-c", "\
import os, sys; from http.client import HTTPConnection; \
service = HTTPConnection('127.0.0.1', int(os.environ.get('PORT') or 5000), timeout=4); \
service.request('GET', '/readyz'); sys.exit(service.getresponse().status != 200)"]
CMD ["python", "-m", "service", "serve"]
