# The root file system: a tree from layers, then one erofs image with its dm-verity hash tree behind it. Sourced.

# require_order: a layer's `requires:` line may name only layers that were laid before it
require_order() {
  local layer need laid=" nothing "
  for layer in "${LAYERS[@]}"; do
    for need in $(sed -n 's/^# requires: //p' "image/layers/$layer/packages"); do
      [[ $laid == *" $need "* ]] || die "layer $layer requires $need, which does not stand before it"
    done
    laid+="$layer "
  done
}

# make_tree: unpacks the layers' packages, copies their files, runs their setup
make_tree() {
  local layer lists=()
  for layer in "${LAYERS[@]}"; do lists+=(--packages "image/layers/$layer/packages"); done
  if [ "${#ROOT_PACKAGES[@]}" -gt 0 ]; then
    printf '%s\n' "${ROOT_PACKAGES[@]}" >"$OUT/packages"
    lists+=(--packages "$OUT/packages")
  fi
  debs_into "$OUT/root" "$OUT/root.json" "${lists[@]}"
  export ROOT=$OUT/root
  for layer in "${LAYERS[@]}"; do
    export LAYER=$PWD/image/layers/$layer
    if [ -d "$LAYER/files" ]; then
      cp -a --no-preserve=ownership "$LAYER/files/." "$ROOT/"
    fi
    if [ -x "$LAYER/setup" ]; then
      "$LAYER/setup"
    fi
  done
}

# add_users: the accounts that packages and layers declare
add_users() {
  "$BIN/systemd-sysusers" --root="$OUT/root" 2>/dev/null
  rm -f "$OUT"/root/etc/*- "$OUT"/root/etc/.pwd.lock
  # A password is set nowhere and can be tried nowhere.
  ! grep -qvE '^[^:]*:[!*]' "$OUT/root/etc/shadow" || die "an account has a password"
}

# add_modules: the kernel's modules; a board names those it wants, or `all`
add_modules() {
  local version dir
  for dir in "$OUT"/kernel/usr/lib/modules/*; do
    version=$(basename "$dir")
    "$BIN/depmod" -b "$OUT/kernel/usr" -m /lib/modules "$version" 2>/dev/null || "$BIN/depmod" -b "$OUT/kernel" "$version"
    mkdir -p "$OUT/root/usr/lib/modules/$version"
    if [ "${MODULES[0]}" = all ]; then
      cp -a "$dir/kernel" "$OUT/root/usr/lib/modules/$version/"
    else
      closure "$version" "${MODULES[@]}" | while read -r file; do
        install -D -m 644 "$OUT/kernel/$file" "$OUT/root/usr/$file"
      done
    fi
    cp "$dir"/modules.{order,builtin,builtin.modinfo} "$OUT/root/usr/lib/modules/$version/"
    "$BIN/depmod" -b "$OUT/root" "$version"
  done
  # Settings of wireless chips that come with the board's firmware.
  if [ -d "$OUT/kernel/usr/lib/firmware" ]; then
    cp -an "$OUT/kernel/usr/lib/firmware" "$OUT/root/usr/lib/"
  fi
}

# closure VERSION MODULE...: the files of these modules and of what they need, each once, in the order of loading
closure() {
  local version=$1 module
  shift
  for module in "$@"; do
    # What is built in counts as there.
    "$BIN/modprobe" -d "$OUT/kernel" -S "$version" --show-depends --ignore-install "$module" 2>/dev/null ||
      echo "image: the kernel $version has no module $module" >&2
  done | sed -n "s#^insmod $OUT/kernel/*##p" | awk '!seen[$1]++ { print $1 }'
}

# bake_registry: GStreamer's list of plugins, made once here, because a read-only root would be scanned at every start
bake_registry() {
  local qemu registry=usr/share/perch/gst-registry.bin
  qemu=$(command -v qemu-aarch64-static || command -v qemu-aarch64) || die "qemu-user is missing: run .ci/setup image"
  settle "$OUT/root"
  GST_REGISTRY=$OUT/root/$registry GST_REGISTRY_FORK=no GST_PLUGIN_SYSTEM_PATH=/usr/lib/aarch64-linux-gnu/gstreamer-1.0 \
    "$qemu" -L "$OUT/root" "$OUT/root/usr/bin/gst-inspect-1.0" >"$OUT/plugins.txt" 2>"$OUT/plugins.log" || {
    cat "$OUT/plugins.log" >&2
    die "GStreamer does not start"
  }
  # GStreamer keeps it to who wrote it: perch, which is not root, would look at every plugin at each start.
  chmod 644 "$OUT/root/$registry"
  ! grep -q 'Failed to load plugin' "$OUT/plugins.log" || die "a plugin cannot be loaded: $(cat "$OUT/plugins.log")"
  ! grep -aq "$OUT" "$OUT/root/$registry" || die "the registry names this machine's paths"
  say "registry: $(tail -n1 "$OUT/plugins.txt")"
}

# make_root: the tree's whole way, and the image
make_root() {
  make_tree
  add_users
  add_modules
  "$BIN/systemctl" --root="$OUT/root" preset-all 2>"$OUT/preset.log" || { cat "$OUT/preset.log"; die "units cannot be enabled"; }
  ln -sf /usr/lib/systemd/system/multi-user.target "$OUT/root/etc/systemd/system/default.target"
  # Nobody needs another's rights by a file's mode.
  find "$OUT/root" -xdev -type f -perm /6000 -exec chmod a-s {} +
  image/elf "$OUT/root"
  bake_registry
  pack_root "$OUT/root" "$OUT/rootfs.img" "$OUT/verity"
}

# pack_root TREE IMAGE VERITY: erofs with the hash tree behind it; VERITY gets BLOCKS:ROOTHASH:SALT for the kernel's command line
pack_root() {
  local tree=$1 image=$2 salt size
  settle "$tree"
  rm -f "$image"
  "$BIN/mkfs.erofs" --quiet -zlz4hc,12 -C65536 -Efragments,dedupe,ztailpacking --all-root -T "$SOURCE_DATE_EPOCH" \
    -U 50455243-0000-4000-8000-000000000001 "$image" "$tree" >/dev/null
  size=$(stat -c %s "$image")
  size=$(((size + 4095) / 4096 * 4096))
  truncate -s "$size" "$image"
  salt=$(printf 'perch %s' "$SOURCE_DATE_EPOCH" | sha256sum | cut -d' ' -f1)
  "$BIN/veritysetup" format --no-superblock --data-block-size=4096 --hash-block-size=4096 --data-blocks=$((size / 4096)) \
    --hash-offset="$size" --salt="$salt" --root-hash-file="$image.hash" "$image" "$image" >/dev/null
  echo "$((size / 4096)):$(cat "$image.hash"):$salt" >"$3"
  say "root: $(numfmt --to=iec-i --suffix=B "$(stat -c %s "$image")"), hash $(cat "$image.hash")"
  rm -f "$image.hash"
}
