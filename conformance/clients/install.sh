#!/bin/sh
# Installs the Debian packages of the ACME clients that the tests run, and the tools
# they and the tests call. Safe to run again: what is there is not touched.
set -eu

missing=
for package in certbot lego dehydrated uacme acme-tiny openssl curl ca-certificates util-linux strace git; do
	status=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
	if [ "$status" != "install ok installed" ]; then
		missing="$missing $package"
	fi
done
if [ -z "$missing" ]; then
	echo "all ACME clients are installed"
	exit 0
fi

as_root=
if [ "$(id -u)" -ne 0 ]; then
	as_root=sudo
fi
echo "installing:$missing"
$as_root apt-get update
# shellcheck disable=SC2086 # one argument per package is what is wanted
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $missing
