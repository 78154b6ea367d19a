# file: .make/setup.sh
# tests: 5.6
s/chmod 0750 "\$1"/chmod 0755 "$1"/
