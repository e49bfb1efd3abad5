#!/bin/sh
# Installs the Debian packages of the ACME clients that the tests run, and the tools
# they and the tests call; or, when it is given names of packages, those. Safe to run
# again: what is there is not touched. No web server starts on this machine: of Apache
# only the programs are installed, and nginx is told not to start.
set -eu

[ $# -gt 0 ] || set -- certbot python3-certbot-dns-rfc2136 lego dehydrated uacme acme-tiny apache2-bin nginx-light \
	openssl curl ca-certificates bind9-dnsutils util-linux strace git
missing=
for package in "$@"; do
	status=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
	if [ "$status" != "install ok installed" ]; then
		missing="$missing $package"
	fi
done
if [ -z "$missing" ]; then
	echo "all packages are installed"
	exit 0
fi

as_root=
if [ "$(id -u)" -ne 0 ]; then
	as_root=sudo
fi
echo "installing:$missing"

# Debian asks this program whether a service may be started; 101 is no.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
	$as_root chmod 755 "$policy"
	trap '$as_root rm -f "$policy"' EXIT
fi

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
