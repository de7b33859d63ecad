#!/bin/sh
# Install what the lab needs, on Debian or Ubuntu, as root. The tests never install anything themselves.
set -eu
command -v dockerd >/dev/null || engine=docker.io
apt-get update -q
DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
  ${engine:-} mmdebstrap debian-archive-keyring iptables openssh-client procps util-linux
