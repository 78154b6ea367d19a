# ~/.config/banger/config.toml: what it sets, what goes before it, and mistakes in it.
# shellcheck shell=bash

config=/home/alice/.config/banger/config.toml
configure() { as alice sh -c 'mkdir -p ~/.config/banger && cat >"$1"' sh "$config"; }
shape() { alice vm show conf --json | jq -r '"\(.vcpus) \(.memory_mib) \(.disk) \(.root_kind)"'; }

configure <<'TOML'
default_image_name = "debian-bookworm" # the catalog's

[vm_defaults]
vcpu = 2
memory_mib = 640
disk_size = "1G"
root_disk = "copy"
system_overlay_size = "256M"
TOML
room() { echo $((($(stat -c %s "$(state alice)/vms/000/root.ext4") - $(alice image show debian-bookworm --json | jq -r .size)) >> 20)); }
alice vm create --name conf --no-start >/dev/null 2>&1
equal "a VM is made as the file says" "$(shape) $(room)" "2 640 1073741824 copy 256"
alice vm delete -f conf >/dev/null
alice vm create --name conf --no-start --memory 512M --vcpu 1 --system-overlay-size 0 >/dev/null 2>&1
equal "an option goes before the file" "$(shape) $(room)" "1 512 1073741824 copy 0"
alice vm delete -f conf >/dev/null
capture alice vm create --name conf --no-start --root-disk snapshot
contains "a snapshot has no room beyond its image" "$status ${err#*$'\n'}" "1 banger: a root disk of the kind \"snapshot\" cannot be had here: a snapshot is as large as its image"
contains "--help shows what is in force" "$(alice vm run --help | grep -e --memory)" "(default 640 MiB)"
from=$(alice doctor --json | jq -r '.checks[] | select(.name == "config") | .text')
contains "doctor says where each value comes from" "$from" "vm_defaults.memory_mib = 640 MiB ($config:5)"
rm "$config"
from=$(alice doctor --json | jq -r '.checks[] | select(.name == "config") | .text')
contains "without a file it is the host's" "$from" "an eighth of the host's memory"

printf '[vm_defaults]\nvcpus = 2\n' | configure
capture alice vm create --name conf --no-start
check "an unknown setting is refused" test "$status" -ne 0
equal "with file, line and what was meant" "$err" "banger: $config:2: there is no setting vcpus: did you mean vcpu?"
contains "doctor says so too" "$(alice doctor --json | jq -r '.checks[] | select(.name == "config") | .status + .text')" "FAIL$config:2"
contains "--help still helps" "$(alice vm run --help 2>/dev/null)" --memory
printf '\n[vm_defaults]\nmemory_mib = "lots"\n' | configure
capture alice vm run --rm -- true
equal "a bad value: 125" "$status" 125
contains "a bad value: file and line" "$err" "$config:3: memory_mib must be a whole number"
printf '[vm_defaults]\nsystem_overlay_size = 8\n' | configure
capture alice vm create --name conf --no-start
equal "a size that can only be a slip" "$err" "banger: $config:2: system_overlay_size must be a size from 1M to 16T, as in \"4G\", or 0 for what the image has"
rm "$config"
as alice ln -s /dev/zero "$config"
capture alice vm create --name conf --no-start
contains "what is no file is not read" "$err" "not a regular file"
rm "$config"
check "nothing is left" until_true 10 nothing_left alice
