#!/usr/bin/env bash
# Makes sure that the commands and paths named as arguments are there, each from the Debian package of its name, or of
# the one that `command=package` gives: installs what is missing where it may, and otherwise says in one sentence what to
# install.
set -u
missing=()
for name in "$@"; do command -v "${name%=*}" >/dev/null || [ -e "${name%=*}" ] || missing+=("${name#*=}"); done
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "Installing what is needed: ${missing[*]} ..." >&2
  export DEBIAN_FRONTEND=noninteractive
  if apt-get update -qq && apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null; then exit 0; fi
fi
echo "Some things need ${missing[*]}: install with \`sudo apt install ${missing[*]}\`, then run the same command again." >&2
exit 1
