# The card: an MBR disk of BOOTSEL, two boot and two root slots and the data partition, put together by genimage. Sourced.

# make_bootsel: the owner's FAT partition
make_bootsel() {
  local dir=$OUT/bootsel
  rm -rf "$dir" "$OUT/bootsel.img"
  mkdir -p "$dir"
  printf '[all]\ntryboot_a_b=1\nboot_partition=2\n[tryboot]\nboot_partition=2\n' >"$dir/autoboot.txt"
  cp image/boards/bootsel/* "$dir/"
  if [ "$KERNEL" = raspberrypi ]; then
    # Boards before the Pi 4 take their second stage from the first partition, before they read autoboot.txt; not tried on one.
    cp "$OUT/kernel/usr/lib/raspi-firmware/bootcode.bin" "$dir/"
    : >"$dir/config.txt"
  fi
  settle "$dir"
  "$BIN/mkfs.vfat" -F 16 -n PERCH -i 50455244 --invariant -C "$OUT/bootsel.img" $((32 * 1024)) >/dev/null
  (cd "$dir" && for name in *; do MTOOLS_SKIP_CHECK=1 "$BIN/mcopy" -i "$OUT/bootsel.img" -m "$name" ::; done)
}

# make_data [FOLDER]: the data partition as it is flashed: small, with FOLDER's files (none but for tests)
make_data() {
  local dir=${1:-}
  rm -f "$OUT/data.img"
  E2FSPROGS_FAKE_TIME=$SOURCE_DATE_EPOCH "$BIN/mke2fs" -q -t ext4 -L perch-data -m 0 -O ^metadata_csum_seed,^orphan_file \
    -U 50455243-0000-4000-8000-000000000007 -E hash_seed=50455243-0000-4000-8000-000000000008,root_owner=0:0 \
    ${dir:+-d "$dir"} "$OUT/data.img" 256M
}

# make_card: everything into one file
make_card() {
  make_bootsel
  make_data
  rm -rf "$OUT/genimage" "$OUT/perch-$BOARD.img"
  mkdir -p "$OUT/genimage/empty"
  "$BIN/genimage" --config image/genimage.cfg --inputpath "$OUT" --outputpath "$OUT/genimage" --tmppath "$OUT/genimage/tmp" \
    --rootpath "$OUT/genimage/empty" >"$OUT/genimage.log" 2>&1 || { cat "$OUT/genimage.log" >&2; die "genimage failed"; }
  mv "$OUT/genimage/card.img" "$OUT/perch-$BOARD.img"
  rm -rf "$OUT/genimage"
  "$BIN/zstd" -q -f -T2 -12 --long=27 "$OUT/perch-$BOARD.img" -o "$OUT/perch-$BOARD.img.zst"
  (cd "$OUT" && sha256sum "perch-$BOARD.img.zst" >"perch-$BOARD.img.zst.sha256")
  say "card: $OUT/perch-$BOARD.img.zst, $(numfmt --to=iec-i --suffix=B "$(stat -c %s "$OUT/perch-$BOARD.img.zst")")" \
    "($(numfmt --to=iec-i --suffix=B "$(stat -c %s "$OUT/perch-$BOARD.img")") on the card)"
}
