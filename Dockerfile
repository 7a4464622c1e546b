# da2s in a container: `docker build -t da2s .`, then
# `docker run --rm -v "$PWD:/work" da2s run my-images`. CPU only.
FROM rust:1.95-slim-trixie AS build
WORKDIR /source
COPY . .
# The build script asks git for the commit; without the folder .git it does without.
RUN cargo build --release --locked

FROM debian:trixie-slim
COPY --from=build /source/target/release/da2s /source/target/release/da2s-infer /usr/local/bin/
# Runs are written into the mounted folder, and not as root.
RUN useradd --create-home --uid 1000 da2s
USER da2s
WORKDIR /work
ENTRYPOINT ["da2s"]
CMD ["run"]
