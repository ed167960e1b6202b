#!/bin/sh
# agent @VERSION@ (@COMMIT@) for @ARCH@ Linux, in one file: this script, and behind it the compressed
# program and runtime. It unpacks them once, into <state-dir>/runtime for root and into the user's cache
# otherwise, and becomes the runtime. Nothing but sh and Debian's Essential commands is used, and
# nothing of the caller's environment, not even PATH, is relied on or changed.

agent_fail() {
  printf 'agent: %s\n' "$*" >&2
  exit 1
}

# Only its owner may be able to change $1: it holds what is executed, as root. The directory above may
# be read by others. $2 is owner:mode as stat prints it, $3 our user.
agent_check() {
  case $2 in
    "$3:700") return ;;
    "$3":*[2367]? | "$3":*[2367]) ;;
    "$3":*) [ "$1" = "$state" ] && return ;;
  esac
  agent_fail "refusing to use $1: its owner and mode are $2, and must be $3:700; remove it, or name another place with --state-dir"
}

# Prints the directory of the unpacked runtime. Runs in a subshell, so nothing it sets remains.
agent_runtime() {
  PATH=/usr/bin:/bin:/usr/sbin:/sbin
  umask 077
  state=/var/lib/agent
  while [ $# -gt 0 ] && [ "$1" != -- ]; do
    case $1 in
      --state-dir=*) state=${1#*=} ;;
      --state-dir) [ $# -lt 2 ] || state=$2 ;;
    esac
    shift
  done
  case $state in /*) ;; *) state=$PWD/$state ;; esac
  base=$state/runtime
  # One process tells everything when all is in place, which is at every start but the first. The file
  # was hashed before its directory got this name, and only root can have changed it since: hashing
  # 95 MB again would take longer than the rest of the start.
  found=$(stat -L -c %u:%a /proc/self/ "$state" "$base" "$base/@HASH@" 2>/dev/null) || found="$found missing"
  uid=${found%%:*}
  case $uid in '' | *[!0-9]*) uid=$(id -u) ;; esac
  if [ "$uid" != 0 ]; then
    state=${XDG_CACHE_HOME:-${HOME:+$HOME/.cache}}
    state=${state:-/tmp/agent-$uid}/agent
    base=$state/runtime
    found=$(stat -L -c %u:%a /proc/self/ "$state" "$base" "$base/@HASH@" 2>/dev/null) || found="$found missing"
  fi
  case $found in
    *missing) agent_unpack ;;
    *)
      # shellcheck disable=SC2086 # four words
      set -- $found
      agent_check "$state" "$2" "$uid"
      agent_check "$base" "$3" "$uid"
      agent_check "$base/@HASH@" "$4" "$uid"
      ;;
  esac
  [ -x "$base/@HASH@/agent" ] ||
    agent_fail "cannot execute $base/@HASH@/agent: its file system may be mounted noexec; mount it exec, or name another place with --state-dir"
  printf '%s\n' "$base/@HASH@"
}

agent_unpack() {
  [ "$(uname -m)" = @ARCH@ ] || agent_fail "this file is for @ARCH@ machines, and this one is $(uname -m)"
  mkdir -p "$base" || agent_fail "cannot make $base to unpack into; name another place with --state-dir"
  agent_check "$state" "$(stat -L -c %u:%a "$state")" "$uid"
  agent_check "$base" "$(stat -L -c %u:%a "$base")" "$uid"
  # One at a time; under the lock every tmp.* is of one that was killed.
  exec 9>"$base/lock" || exit 1
  flock 9
  if [ -e "$base/@HASH@" ]; then
    agent_check "$base/@HASH@" "$(stat -L -c %u:%a "$base/@HASH@")" "$uid"
    return
  fi
  rm -rf "$base"/tmp.*
  tmp=$base/tmp.$$
  trap 'rm -rf "$tmp"' EXIT
  trap 'exit 1' HUP INT TERM
  mkdir "$tmp" || exit 1
  tail -c +@PROGRAM_AT@ "$AGENT_EXECUTABLE" | head -c @PROGRAM_SIZE@ | gzip -dc >"$tmp/program.tar"
  tail -c +@RUNTIME_AT@ "$AGENT_EXECUTABLE" | gzip -dc >"$tmp/agent"
  printf '%s\n' '@PROGRAM_HASH@  program.tar' '@RUNTIME_HASH@  agent' >"$tmp/SHA256SUMS"
  (cd "$tmp" && sha256sum -c --status SHA256SUMS 2>/dev/null) ||
    agent_fail "could not unpack into $base: either @NEEDED_MB@ MB are not free there, or $AGENT_EXECUTABLE is damaged or was replaced meanwhile"
  { mkdir "$tmp/program" && tar -xf "$tmp/program.tar" -C "$tmp/program" --no-same-owner; } || exit 1
  rm "$tmp/program.tar" "$tmp/SHA256SUMS"
  chmod 700 "$tmp/agent"
  [ -x "$tmp/agent" ] ||
    agent_fail "cannot execute what is in $base: its file system is mounted noexec; mount it exec, or name another place with --state-dir"
  "$tmp/agent" --version >/dev/null || agent_fail "the runtime cannot run on this machine; it needs glibc 2.27 or later"
  # After a power cut the directory is there with all its bytes, or not at all.
  { sync "$tmp/agent" "$tmp"/program/* "$tmp/program" "$tmp" && mv -T "$tmp" "$base/@HASH@" && sync "$base"; } ||
    agent_fail "could not complete $base/@HASH@"
  trap - EXIT
  # The version before stays for a return to it, older ones go; who runs one keeps what is open.
  # shellcheck disable=SC2012,SC2035 # names are hexadecimal
  (cd "$base" && ls -1td [0-9a-f]*[0-9a-f]/ | tail -n +3 | while read -r old; do rm -rf "./$old"; done)
}

# Read to its end before it runs, for the file may be replaced while it does.
{
  case $0 in /*) AGENT_EXECUTABLE=$0 ;; *) AGENT_EXECUTABLE=$PWD/$0 ;; esac
  _agent_runtime=$(agent_runtime "$@") || exit 1
  # Its caches (parsed program, V8 code) halve the start, and belong to nobody else.
  DENO_DIR=$_agent_runtime/cache
  DENO_NO_UPDATE_CHECK=1
  # Where no Node.js is, Deno would put a `node` of its own first on PATH, for workloads too.
  DENO_DISABLE_NODE_SHIM=1
  export AGENT_EXECUTABLE DENO_DIR DENO_NO_UPDATE_CHECK DENO_DISABLE_NODE_SHIM
  # Half the resident memory of a busy agent would be garbage that nobody is in a hurry to collect.
  _agent_memory=--max-semi-space-size=1,--optimize-for-size
  # Whom TLS trusts is decided by the cluster alone.
  unset DENO_CERT DENO_TLS_CA_STORE NODE_EXTRA_CA_CERTS NODE_TLS_REJECT_UNAUTHORIZED
  set -- "$_agent_runtime/agent" run --allow-all --v8-flags="$_agent_memory" --unstable-no-legacy-abort --quiet --no-prompt --no-config --no-lock --no-remote --no-npm \
    --cached-only "$_agent_runtime/program/main.js" "$@"
  unset _agent_runtime _agent_memory
  exec "$@"
  exit 126
}
