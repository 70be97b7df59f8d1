# The image: one static binary, a bundle of authorities, nobody's user, no shell.
#
#   docker build -t usoryou .        builds everything; needs a registry that has the image of Rust
#   make image                       builds with the cargo of this machine; needs no registry (--target from-binary)

FROM scratch AS base
LABEL org.opencontainers.image.title="usoryou" \
      org.opencontainers.image.description="Is it us, is it them, or is it you?" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
# The allocator takes what it needs instead of what it may need: 22 MiB instead of 38 when idle.
ENV MIMALLOC_ARENA_EAGER_COMMIT=0 \
    USORYOU_CONFIG=/etc/usoryou/probes.yaml \
    USORYOU_LISTEN=:9797 \
    USORYOU_STORE=sqlite:/var/lib/usoryou/usoryou.db
USER 65532:65532
EXPOSE 9797
ENTRYPOINT ["/usoryou"]
CMD ["run"]

# What scripts/image has put together.
FROM base AS from-binary
COPY rootfs/ /
COPY --chown=65532:65532 state/ /
WORKDIR /var/lib/usoryou

FROM docker.io/library/rust:1.95-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends musl-tools ca-certificates
WORKDIR /src
RUN rustup target add x86_64-unknown-linux-musl
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target scripts/image stage /stage

FROM base
COPY --from=build /stage/rootfs/ /
COPY --from=build --chown=65532:65532 /stage/state/ /
WORKDIR /var/lib/usoryou
