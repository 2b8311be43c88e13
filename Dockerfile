# syntax=docker/dockerfile:1
# One image with the four programs; docker-compose.yml says which of them a container runs. Without
# a word said it is `configapi serve`: everything in one process, data in /var/lib/configapi.

FROM rust:1.95-bookworm AS builder
WORKDIR /src
COPY . .
# The caches stay with the builder, so a changed file does not compile every dependency again. A changed
# profile does.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    { [ ! -f target/release/release.profdata ] \
        || cmp -s .cargo/release.profdata target/release/release.profdata \
        || cargo clean --release; } \
    && cargo build --release --locked \
        -p configapi -p configapi-command-service -p configapi-query-service -p configapi-gateway \
    && mkdir /out \
    && cp target/release/configapi target/release/configapi-command-service \
        target/release/configapi-query-service target/release/configapi-gateway /out/

FROM debian:bookworm-slim
# The certificates by which a trace collector or a receiver of audit records behind https:// is known.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 10001 --user-group --no-create-home \
        --home-dir /var/lib/configapi --shell /usr/sbin/nologin configapi \
    && install --directory --owner configapi --group configapi --mode 0750 \
        /var/lib/configapi /var/lib/configapi/snapshots
COPY --from=builder /out/ /usr/local/bin/
COPY LICENSE-MIT LICENSE-APACHE /usr/share/doc/configapi/

USER configapi
WORKDIR /var/lib/configapi
# Inside a container "every address" is the container's own; what the host publishes is the host's
# decision. No store is named: `configapi serve` has its default below this directory, and a
# separate server refuses to start without being told where the log is.
ENV CONFIGAPI_SNAPSHOT_DIR=/var/lib/configapi/snapshots \
    CONFIGAPI_COMMAND_ADDR=0.0.0.0:50051 \
    CONFIGAPI_QUERY_ADDR=0.0.0.0:50052 \
    CONFIGAPI_GATEWAY_ADDR=0.0.0.0:4000 \
    CONFIGAPI_LOG_FORMAT=json
VOLUME /var/lib/configapi
EXPOSE 4000 50051 50052
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=3 \
    CMD ["configapi", "healthcheck", "--url", "http://127.0.0.1:4000/v1/health"]
CMD ["configapi", "serve"]
