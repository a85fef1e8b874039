# What all parts of the build share: paths, the board, versions. Sourced by bash with the repository's root as working folder.
export LC_ALL=C.UTF-8 TZ=UTC
umask 022

say() { echo "image: $*"; }
die() { echo "image: $*" >&2; exit 1; }

# The order in which layers are laid; each may require only what stands before it.
LAYERS=(base boot network gstreamer perch update)
# The MBR signature that every card has: by it the initramfs finds the card.
SIGNATURE=50455243

# load_board: the board description whose KERNEL is asked for (debian: qemu and CI; raspberrypi: cards)
load_board() {
  KERNEL=${KERNEL:-debian}
  local conf
  conf=$(grep -lx "KERNEL=$KERNEL" image/boards/*.conf) || die "no board in image/boards has KERNEL=$KERNEL"
  # Which board it is is known at run time alone.
  # shellcheck disable=SC1090
  . "$conf"
  BOARD=$(basename "$conf" .conf)
  OUT=$PWD/target/image/$KERNEL
  BIN=$PWD/target/image/bin
  PATH=$BIN:$PATH
  PERCH_VERSION=${PERCH_VERSION:-$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n1)}
  PERCH_BINARY=${PERCH_BINARY:-$PWD/target/cross/perch}
  KEYS=${PERCH_KEYS:-${XDG_CONFIG_HOME:-$HOME/.config}/perch/keys}
  KEYRING=$KEYS/ca.pem
  # Every time stamp in the image; no build is newer than its source.
  SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
  export KERNEL SOURCE_DATE_EPOCH COMPATIBLE PERCH_VERSION PERCH_BINARY KEYRING BOARD
}

# debs_into TREE LIST [ARGUMENT...]: packages into a new tree; further sites of the board come along
debs_into() {
  local tree=$1 list=$2
  shift 2
  local extra=()
  if [ -n "${SITE:-}" ]; then
    [ -s "${KEYRING_FILE:-}" ] || die "$BOARD needs packages of $SITE: set PERCH_RPI_KEYRING to the file with that archive's key"
    extra=(--source "deb [signed-by=$(realpath "$KEYRING_FILE")] $SITE $KERNEL_SUITE main")
  fi
  rm -rf "$tree"
  cross/debs --arch arm64 --components "main non-free-firmware" --cache target/cross/apt --into "$tree" --list "$list" "${extra[@]}" "$@"
}

# settle TREE: one time for every file, so that nothing depends on when it was written
settle() { find "$1" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +; }
