# file: .make/setup.sh
# tests: 5.6
s/750/755/g
