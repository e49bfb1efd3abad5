#!/bin/sh
# Installs the Debian packages of the ACME clients that the tests run, and the tools
# they and the tests call. Safe to run again: what is there is not touched. Of Apache
# only the programs are installed, so that no web server starts on this machine.
set -eu

missing=
for package in certbot python3-certbot-dns-rfc2136 lego dehydrated uacme acme-tiny apache2-bin \
	openssl curl ca-certificates bind9-dnsutils util-linux strace git; do
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

# A fresh machine often updates itself just now. apt-get waits for dpkg's lock when it
# is told to, but not for the lock of the package lists; so the whole is tried again.
attempt=1
until
	$as_root apt-get update &&
		# shellcheck disable=SC2086 # one argument per package is what is wanted
		$as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 \
			install --yes --no-install-recommends $missing
do
	if [ "$attempt" -ge 5 ]; then
		echo "the packages could not be installed; the messages above say why" >&2
		exit 1
	fi
	echo "attempt $attempt did not succeed; trying again in 15 seconds" >&2
	attempt=$((attempt + 1))
	sleep 15
done
