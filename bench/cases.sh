# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2154 # variables of bench/run
# Sourced by bench/run: one function a case. The two sides alternate, so that what else the machine does meets both.

# What each Kiln build is made of: the shipped Debian 12, whose last step is a `file`.
prepare_home() {
    if [ -n "${KILN_BENCH_HOME:-}" ]; then
        cp -a --reflink=auto "$KILN_BENCH_HOME" "$KILN_HOME"
    fi
    say "the Debian 12 that the cases start from"
    measure "$kiln" build "$debian"
    accelerator=$("$kiln" doctor --json 2>/dev/null |
        jq -r '.findings[] | select(.subject == "accelerator").detail | split(":")[0]') || true
    # What `kiln doctor` found goes for stock libguestfs too: KVM that opens and doesn't work would break it.
    if [ "$accelerator" = tcg ]; then export LIBGUESTFS_BACKEND_SETTINGS=force_tcg; fi
}

# The saved appliance is not in the cases that follow; libguestfs-ready and first-build have it.
warmed_up=no
warm_up() {
    if [ $warmed_up = no ]; then
        measure_kiln build "$(variant bench-warm 0 "warm")"
        warmed_up=yes
    fi
}

# variant NAME VERSION TEXT: that recipe under another name, with TEXT in its last step; prints the file.
variant() {
    local file=$work/$1-$2.toml
    sed "1,/^\[base\]/s/^name = .*/name = \"$1\"/; s/^version = .*/version = \"1.0.$2\"/; s/built by Kiln/$3/" "$debian" > "$file"
    grep -q "$3" "$file"
    echo "$file"
}

# over_debian NAME VERSION [LINE]...: a recipe with the AMI as its base; prints the file.
over_debian() {
    local file=$work/$1-$2.toml
    printf '%s\n' "name = \"$1\"" "version = \"1.0.$2\"" 'architecture = "x86_64"' "${@:3}" > "$file"
    echo "$file"
}

# The disk of debian-12 as one file, such as a user of virt-customize has: qcow2, compressed.
debian_disk() {
    local blobs=$KILN_HOME/regions/local/blobs/sha256 chain=null layer
    if [ -e "$work/debian.qcow2" ]; then return; fi
    while read -r layer; do
        chain=$(jq -nc --arg file "$blobs/${layer#sha256:}" --argjson below "$chain" \
            '{driver: "qcow2", file: {driver: "file", filename: $file}, backing: $below}')
    done < <("$kiln" image show debian-12 --json | jq -r '.ami.block_device_mappings[0].layers[].digest')
    [ "$chain" != null ]
    qemu-img convert -c -o compression_type=zstd -O qcow2 "json:$chain" "$work/debian.qcow2"
}

# customize OPTION...: on a fresh copy of that disk, which becomes $work/customized.qcow2.
customize() {
    rm -f "$work/customized.qcow2"
    cp --reflink=auto "$work/debian.qcow2" "$work/customized.qcow2"
    virt-customize -q -a "$work/customized.qcow2" "$@"
}
customize_and_convert() {
    customize "$@"
    # The quicker one; virt-sparsify starts an appliance of its own first.
    qemu-img convert -c -m 8 -W -o compression_type=zstd -O qcow2 "$work/customized.qcow2" "$work/converted.qcow2"
}

case_libguestfs_ready() {
    local ours against ratio
    KILN_BENCH_JSON=1 measure "$build/bench_libguestfs_ready" "$work/ready" "$runs"
    ours=$(jq .warm_s "$work/output") against=$(jq .stock_s "$work/output")
    ratio=$(ratio_of "$ours" "$against")
    row "libguestfs ready, against a stock launch" "$ours" "$against" "< 1/15 and < 1.5 s" \
        "$(meets "$ratio" "$(ratio_of 1 15)" "$ours" 1.5)"
}

case_rebuild_nothing() {
    local i times=()
    for i in 1 2 3 4 5 6 7 8 9 10; do
        measure_kiln build "$debian"
        times+=("$took")
    done
    row "rebuild, nothing changed" "$(median "${times[@]}")" - "< 0.3 s" "$(meets "$(median "${times[@]}")" 0.3)"
}

case_rebuild_file() {
    local i ours=() theirs=()
    warm_up
    debian_disk
    for ((i = 1; i <= runs; ++i)); do
        measure_kiln build "$(variant bench-file "$i" "change $i")"
        ours+=("$took")
        measure customize_and_convert --write "/etc/motd:change $i"
        theirs+=("$took")
    done
    compare "rebuild, one \`file\` step at the end changed, against \`virt-customize --write\` and \`qemu-img convert\`" \
        "1/5" 0.2
}

case_first_build() {
    local i ours=() theirs=() packages home=$KILN_HOME recipe=$work/first.toml
    packages=$(bootstrap_packages)
    mirror_packages "$packages"
    sed "s|^# mirror = .*|mirror = \"copy://$work/mirror\"|" "$debian" > "$recipe"
    for ((i = 1; i <= long_runs; ++i)); do
        measure mmdebstrap --variant=minbase --include="$packages" bookworm "$work/root.tar" "copy://$work/mirror"
        theirs+=("$took")
        rm -f "$work/root.tar"
        KILN_HOME=$work/first-home
        measure_kiln build "$recipe"
        ours+=("$took")
        sed 's/^/      /' "$work/errors" >&2
        rm -rf "$KILN_HOME"
        KILN_HOME=$home
    done
    compare "first build of debian-12 in an empty home, against the bare \`mmdebstrap\`, packages from a local mirror" \
        "1.4" 1.4
}

# What mmdebstrap is asked to include, as the first layer says.
bootstrap_packages() {
    local id
    id=$("$kiln" recipe plan "$debian" --json | jq -r '.[0].id | ltrimstr("sha256:")')
    jq -r '.inputs.packages | join(",")' "$KILN_HOME/cache/layers/$id".*/layer.json
}

# mirror_packages PACKAGES: an archive in $work/mirror with Debian's signed index and only the files that these need.
mirror_packages() {
    local origin=${KILN_BENCH_MIRROR:-http://deb.debian.org/debian} got=$work/got lists file
    say "    the packages, for a mirror in a folder"
    mkdir -p "$got" "$work/mirror/dists/bookworm/main/binary-amd64"
    measure mmdebstrap --variant=minbase --include="$1" --skip=essential/unlink,cleanup/apt bookworm "$work/got.tar" "$origin"
    tar -xf "$work/got.tar" -C "$got" ./var/cache/apt/archives ./var/lib/apt/lists
    rm "$work/got.tar"
    lists=$got/var/lib/apt/lists
    cp "$lists"/*_dists_bookworm_InRelease "$work/mirror/dists/bookworm/InRelease"
    /usr/lib/apt/apt-helper cat-file "$lists"/*_main_binary-amd64_Packages* > \
        "$work/mirror/dists/bookworm/main/binary-amd64/Packages"
    awk '/^Filename: / { n = split($2, parts, "/"); print parts[n], $2 }' \
        "$work/mirror/dists/bookworm/main/binary-amd64/Packages" | sort > "$work/places"
    # apt's cache has the epoch in the name, which the archive has not.
    for file in "$got"/var/cache/apt/archives/*.deb; do
        echo "$(basename "$file" | sed 's/_[0-9]*%3a/_/') $file"
    done | sort | join - "$work/places" | while read -r _ file place; do
        mkdir -p "$work/mirror/${place%/*}"
        mv "$file" "$work/mirror/$place"
    done
    rm -rf "$got"
    chmod -R a+rX "$work/mirror"
}

case_add_nginx() {
    local i ours=() theirs=()
    warm_up
    debian_disk
    for ((i = 1; i <= long_runs; ++i)); do
        rm -rf "$KILN_HOME/cache/apt" # both fetch the index and the packages
        measure_kiln build --no-cache "$(over_debian bench-nginx "$i" 'packages = ["nginx-light"]' '[base]' 'ami = "debian-12"')"
        ours+=("$took")
        measure customize --install nginx-light
        theirs+=("$took")
    done
    compare "add nginx-light to an AMI, against \`virt-customize --install\`" "1/3" "$(ratio_of 1 3)"
}

# The most of all builds of this run, and of one whose disk is 1 TiB.
case_memory() {
    warm_up
    measure_kiln build "$(variant bench-memory 0 "much memory")"
    measure_kiln build "$(over_debian bench-memory 1 '[base]' 'ami = "debian-12"' '[[storage]]' 'device = "/dev/vda"' \
        'size = "1TiB"' '[[step]]' 'file = "/etc/motd"' 'content = "large"')"
    row "peak memory of kiln itself, in all builds above and over a disk of 1 TiB" "$((peak_kib / 1024)) MiB" - "< 100 MB" \
        "$(meets "$peak_kib" 97656)"
}

# Until the guest answers with its own identity, both ways.
case_warm_launch() {
    local i ours=() theirs=() one two
    measure "$kiln" image warm debian-12
    for ((i = 1; i <= runs; ++i)); do
        launch_and_end
        ours+=("$took")
        launch_and_end --cold
        theirs+=("$took")
    done
    one=$(median "${ours[@]}") two=$(median "${theirs[@]}")
    row "warm \`kiln run --wait\`, against a cold launch" "$one" "$two" "< 1/20 and < 1.5 s" \
        "$(meets "$(ratio_of "$one" "$two")" 0.05 "$one" 1.5)"
}

# launch_and_end [OPTION]...: sets $took.
launch_and_end() {
    measure "$kiln" run debian-12 --wait --quiet "$@"
    "$kiln" instance terminate "$(cat "$work/output")" >/dev/null
}

# What ten guests that do nothing take of the host's memory.
case_warm_memory() {
    local ours theirs
    measure "$kiln" image warm debian-12 --type t3.micro
    memory_of_ten
    ours=$memory_mib
    memory_of_ten --cold
    theirs=$memory_mib
    row "memory of 10 warm clones, against 10 cold instances" "$ours MiB" - "< 1/3 ($theirs MiB)" \
        "$(meets "$(ratio_of "$ours" "$theirs")" 0.3333)"
}

# memory_of_ten [OPTION]...: sets $memory_mib: of the ten QEMUs, and the template's memory once, also what none of them
# has touched.
memory_of_ten() {
    local id pid file kib=0 shared=0
    measure "$kiln" run debian-12 --type t3.micro --count 10 --wait --quiet "$@"
    mapfile -t ten < "$work/output"
    for id in "${ten[@]}"; do
        pid=$(pgrep -f "qemu-system-x86_64 .*guest=$id" | head -n 1)
        kib=$((kib + $(awk '/^Pss:/ { all = $2 } /^Pss_Shmem:/ { shared = $2 } END { print all - shared }' "/proc/$pid/smaps_rollup")))
        for file in "/proc/$pid/fd/"*; do
            if [[ $(readlink "$file") == /memfd:kiln-guest-memory* ]]; then shared=$(($(stat -Lc %b "$file") / 2)); fi
        done
    done
    memory_mib=$(((kib + shared) / 1024))
    for id in "${ten[@]}"; do "$kiln" instance terminate "$id" >/dev/null; done
}

# compare CASE WORDS LIMIT: a row of the medians of the caller's `ours` and `theirs`.
compare() {
    local one two
    one=$(median "${ours[@]}") two=$(median "${theirs[@]}")
    row "$1" "$one" "$two" "< $2" "$(meets "$(ratio_of "$one" "$two")" "$3")"
}
