#!/bin/busybox sh
# Loads what the root disk needs and moves there.
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t devtmpfs dev /dev
for module in $($b cat /modules/order); do $b insmod "/modules/$module"; done
tries=0
until $b mount -t ext4 -o noatime /dev/vda /root || [ $tries = 50 ]; do
  tries=$((tries + 1))
  $b usleep 100000
done
$b mount --move /dev /root/dev
$b umount /proc
exec $b switch_root /root /sbin/guest-init
