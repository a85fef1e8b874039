# The boot image: kernel, initramfs, firmware and command line, as one FAT file system that serves either slot. Sourced.

BOOT_MIB=128

# fetch_kernel: the board's kernel packages, unpacked beside the root
fetch_kernel() {
  debs_into "$OUT/kernel" "$OUT/kernel.json" --packages <(printf '%s\n' "${KERNEL_PACKAGES[@]}")
}

# make_initramfs: busybox, dmsetup with its libraries, the early modules, and init
make_initramfs() {
  local tree=$OUT/initramfs version name module
  rm -rf "$tree"
  mkdir -p "$tree"/{bin,lib/modules}
  cp "$OUT/root/usr/bin/busybox" "$tree/bin/"
  cp "$OUT/root/usr/sbin/dmsetup" "$tree/bin/"
  cp image/layers/boot/initramfs/init "$tree/init"
  # Where the kernel looks for modprobe when a module asks for another.
  ln -s bin "$tree/sbin"
  add_libraries "$tree" "$OUT/root/usr/sbin/dmsetup"
  for name in "$OUT"/kernel/usr/lib/modules/*; do
    version=$(basename "$name")
    # Without these no root is opened: dm-verity asks for its hash by this name.
    for module in erofs dm-verity crypto-sha256; do
      "$BIN/modprobe" -d "$OUT/kernel" -S "$version" --show-depends "$module" >/dev/null 2>&1 || die "the kernel $version has no $module"
    done
    closure "$version" "${EARLY_MODULES[@]}" | while read -r file; do
      # busybox's modprobe reads them plain; the initramfs is compressed as a whole.
      install -D -m 644 "$OUT/kernel/$file" "$tree/${file#usr/}"
      case $file in *.xz) xz -d "$tree/${file#usr/}" ;; *.zst) "$BIN/zstd" -q -d --rm "$tree/${file#usr/}" ;; esac
    done
    mkdir -p "$tree/lib/modules/$version"
    cp "$name"/modules.{order,builtin,builtin.modinfo} "$tree/lib/modules/$version/"
    "$BIN/depmod" -b "$tree" "$version"
    rm -f "$tree/lib/modules/$version"/*.bin
  done
  printf '%s\n' "${EARLY_MODULES[@]}" >"$tree/modules"
  settle "$tree"
  (cd "$tree" && find . -print0 | LC_ALL=C sort -z | "$BIN/cpio" --null -o -H newc --reproducible --owner=0:0 --quiet) |
    gzip -9n >"$OUT/initrd.img"
  say "initramfs: $(numfmt --to=iec-i --suffix=B "$(stat -c %s "$OUT/initrd.img")")"
}

# add_libraries TREE PROGRAM: the loader and every library that the program needs, from the root
add_libraries() {
  local tree=$1 name file
  mkdir -p "$tree/lib"
  cp "$OUT/root/usr/lib/ld-linux-aarch64.so.1" "$tree/lib/"
  for name in $(aarch64-linux-gnu-readelf -d "$2" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
    file=$OUT/root/usr/lib/aarch64-linux-gnu/$name
    if [ ! -e "$tree/lib/$name" ] && [ -e "$file" ]; then
      cp -L "$file" "$tree/lib/$name"
      add_libraries "$tree" "$file"
    fi
  done
}

# boot_files: what goes onto the boot partition, as a folder
boot_files() {
  local boot=$OUT/boot
  rm -rf "$boot"
  mkdir -p "$boot"
  cp "$OUT/initrd.img" "$boot/"
  case $KERNEL in
    debian) cp "$OUT"/kernel/boot/vmlinuz-* "$boot/kernel.img" ;;
    raspberrypi)
      # For boards before the Pi 5; that one has its firmware in its own memory.
      cp "$OUT"/kernel/usr/lib/raspi-firmware/{bootcode.bin,start*.elf,fixup*.dat} "$boot/"
      cp "$OUT"/kernel/boot/vmlinuz-*-v8 "$boot/kernel8.img"
      cp "$OUT"/kernel/boot/vmlinuz-*-2712 "$boot/kernel_2712.img"
      local dtb
      dtb=$(ls -d "$OUT"/kernel/usr/lib/linux-image-*-v8 | tail -n1)
      cp "$dtb"/broadcom/*.dtb "$boot/"
      cp -a "$dtb/overlays" "$boot/"
      cp image/boards/rpi/config.txt "$boot/"
      ;;
  esac
  write_cmdline "$boot/cmdline.txt" "$OUT/verity"
}

# write_cmdline FILE VERITY: slot-neutral; the root's hash is what ties this boot image to its root
write_cmdline() {
  echo "$CONSOLE perch.disk=$SIGNATURE perch.verity=$(cat "$2") ro quiet loglevel=4 panic=10 fsck.repair=yes systemd.show_status=auto" >"$1"
}

# pack_boot FOLDER IMAGE: a FAT file system of a fixed size, without a mount, the same every time
pack_boot() {
  local image=$2
  rm -f "$image"
  settle "$1"
  "$BIN/mkfs.vfat" -F 32 -n PERCHBOOT -i "$SIGNATURE" --invariant -C "$image" $((BOOT_MIB * 1024)) >/dev/null
  (cd "$1" && for name in *; do MTOOLS_SKIP_CHECK=1 "$BIN/mcopy" -i "$image" -s -m "$name" ::; done)
}

make_boot() {
  make_initramfs
  boot_files
  pack_boot "$OUT/boot" "$OUT/boot.img"
  say "boot: $(du -sh --apparent-size "$OUT/boot" | cut -f1) of $BOOT_MIB MiB, hash $(sha256sum <"$OUT/boot.img" | cut -c1-16)"
}
