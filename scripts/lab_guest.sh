#!/bin/bash
# PID 1 of the lab's guest: a root file system of its own over this machine's, the kernel modules,
# one command, the end. Copied into the run directory (which `agent.run=` on the kernel's command
# line names) beside `command` and `shares`; leaves the command's exit status in `status` there.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
set -e
mount -t proc proc /proc
run=$(sed -n 's/.*agent\.run=\([^ ]*\).*/\1/p' /proc/cmdline)
version=$(uname -r)
modules=/usr/lib/uml/modules/$version

# Everything the guest writes goes to memory and is gone with it, so that it can neither damage this
# machine nor share SQLite files and locks with it (they do not exclude each other across kernels).
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/upper /run/work /run/root
insmod "$modules/kernel/fs/overlayfs/overlay.ko" 2>/dev/null || modprobe -d / overlay
mount -t overlay -o lowerdir=/,upperdir=/run/upper,workdir=/run/work overlay /run/root
cd /run/root
mkdir -p .lab-old "lib/modules/$version" dev proc sys run tmp
mount -t devtmpfs dev dev
mkdir -p dev/pts dev/shm
ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin
ln -s fd/1 dev/stdout
ln -s fd/2 dev/stderr
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t proc proc proc
mount -t sysfs sys sys
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
# These directories are this machine's own: what the command writes there stays.
while IFS= read -r dir; do
  mkdir -p "./$dir"
  mount -t hostfs -o "$dir" none "./$dir"
done <"$run/shares"
mount --bind "$modules" "lib/modules/$version"
pivot_root . .lab-old
cd /
umount -l /.lab-old
rmdir /.lab-old
modprobe -a vxlan veth bridge esp4 esp6 gcm seqiv ghash-generic xfrm_user nf_tables \
  sch_ingress cls_flower act_gact sch_netem
ip link set lo up

# Serial lines carry the output, byte for byte; pipes stand before them, for the command is not to
# take them for terminals.
stty -F /dev/ttyS0 raw -echo
stty -F /dev/ttyS1 raw -echo
exec 3> >(exec cat >/dev/ttyS0)
out=$!
exec 4> >(exec cat >/dev/ttyS1)
err=$!
set +e
/bin/bash "$run/command" </dev/null >&3 2>&4 3>&- 4>&-
status=$?
exec 3>&- 4>&-
# What the command left running would hold the lines open.
for dir in /proc/[0-9]*; do
  case ${dir#/proc/} in 1 | "$out" | "$err") ;; *) kill -KILL "${dir#/proc/}" 2>/dev/null ;; esac
done
wait "$out" "$err"
# Setting a line's mode waits until all that was written to it has gone out.
stty -F /dev/ttyS0 raw
stty -F /dev/ttyS1 raw
echo "$status" >"$run/status"
sync
halt -f -p
