# syntax=docker/dockerfile:1

# The builder's tag names the toolchain exactly. For a release, replace the tag
# by the digest that was tested: golang:1.26.8-bookworm@sha256:...
FROM golang:1.26.8-bookworm AS build
WORKDIR /src
# The modules change less often than the code, so they are a layer of their own.
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# Static, without the paths of this build and without a build id, so that two
# builders get the same file.
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags="-s -w -buildid=" -o /out/acmebridge ./cmd/acmebridge
# What the final image has no tools to make: the one folder that is written to,
# and a configuration that others can reach. It is a file and not variables,
# because those would win over a file that is mounted in its place.
RUN install -d -m 0700 /out/data && \
    printf '%s\n' \
      'data_dir: /data' \
      'listen: 0.0.0.0:14000' \
      'base_url: https://localhost:14000' \
      'pki_listen: 0.0.0.0:14080' > /out/config.yaml

# Nothing but the program: no shell, no package manager, no other user.
FROM scratch
LABEL org.opencontainers.image.title="acmebridge" \
      org.opencontainers.image.licenses="Apache-2.0"
# Roots for talking to public CAs.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build --chown=65532:65532 /out/data /data
COPY --from=build /out/config.yaml /etc/acmebridge/config.yaml
COPY --from=build /out/acmebridge /acmebridge
# By number, so that an orchestrator can see that it is not root.
USER 65532:65532
# Clients need a base_url that they can reach: mount a file of your own over
# /etc/acmebridge/config.yaml, or set ACMEBRIDGE_BASE_URL. There is no /tmp.
ENV TMPDIR=/data
VOLUME /data
EXPOSE 14000 14080
# No HEALTHCHECK: whether the server is ready is told by /readyz on
# admin_listen, for the orchestrator to ask. A command that only starts the
# program would call a server healthy that answers nobody.
ENTRYPOINT ["/acmebridge"]
CMD ["serve", "--config", "/etc/acmebridge/config.yaml"]
