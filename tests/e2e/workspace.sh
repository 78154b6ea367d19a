# `vm run ./repo`: the tracked files as they are, in a checkout that git accepts.
# shellcheck shell=bash

as alice sh -e <<'SH'
git config --global user.name Alice
git config --global user.email alice@example.org
git config --global init.defaultBranch main
mkdir repo && cd repo && git init -q
printf 'all:\n\t@echo made; test -z "$$(git status --porcelain)"\n' > Makefile
mkdir sub; echo one > sub/one; echo two > 'sub/a name'; ln -s one sub/link; echo '#!/bin/sh' > run; chmod +x run
echo '*.o' > .gitignore
git add . && git commit -qm first && echo more > sub/two && git add . && git commit -qm second
touch secret.txt ignored.o
SH
capture as alice sh -c 'cd repo/sub && exec banger vm run --rm --memory 512M . -- make'
equal "make in a clean checkout: status" "$status" 0
equal "make in a clean checkout: clean for the guest's git" "$out" made
contains "untracked files are left out, and said" "$err" "1 untracked"

as alice sh -ec 'cd repo; echo changed > sub/one; git rm -q --cached run; rm "sub/a name"; echo staged > new; git add new'
want=$(as alice git -C repo status --porcelain --untracked-files=no)
capture as alice sh -c 'exec banger vm run --rm --memory 512M repo -- sh -c "git status --porcelain; git log --oneline | wc -l; git branch --show-current; cat sub/one; readlink sub/link; ls; git config user.name"'
contains "a dirty tree is the same in the guest" "$out" "$want"
contains "working tree contents, not HEAD's" "$out" changed
contains "the branch keeps its name" "$out" main
contains "git identity" "$out" Alice
case $out in *secret.txt*) not_ok "untracked files stay home" ;; *) ok "untracked files stay home" ;; esac
capture as alice banger vm run --dry-run repo
contains "--dry-run lists the files" "$out" sub/link
case $out in *"sub/a name"*) not_ok "--dry-run leaves deleted files out" ;; *) ok "--dry-run leaves deleted files out" ;; esac
capture as alice banger vm run --rm repo --branch topic --memory 512M -- git branch --show-current
equal "--branch" "$out" topic

as alice git init -q --bare bare.git
capture alice vm run bare.git -- true
check "a bare repository is refused" test "$status" -ne 0
contains "and why" "$err" bare
capture as alice sh -c 'mkdir -p plain && cd plain && exec banger vm run . -- true'
check "no repository is refused" test "$status" -ne 0
contains "and what to do" "$err" "git init"
