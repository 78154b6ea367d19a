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
alice vm run -d --name work --memory 512M repo >/dev/null 2>&1
equal "vm list: the workspace" "$(alice vm list --filter workspace=/root/repo | awk 'NR == 2 {print $2, $9}')" "work /root/repo"
capture alice vm exec work -- sh -c "pwd; git status --porcelain; git log --oneline | wc -l; git branch --show-current; cat sub/one; readlink sub/link; ls; git config user.name"
equal "exec: in the workspace, without a word" "$(head -n 1 <<<"$out")/$err" /root/repo/
contains "a dirty tree is the same in the guest" "$out" "$want"
contains "working tree contents, not HEAD's" "$out" changed
contains "the branch keeps its name" "$out" main
contains "git identity" "$out" Alice
case $out in *secret.txt*) not_ok "untracked files stay home" ;; *) ok "untracked files stay home" ;; esac

# mise is the guest's, and the workspace asks for it.
alice vm exec work --cwd / -- sh -c 'printf "#!/bin/sh\nshift 2\nexport TOOLS=mise\nexec \"\$@\"\n" >/usr/local/bin/mise; chmod +x /usr/local/bin/mise'
equal "exec: no mise where nothing asks for it" "$(alice vm exec work -- sh -c 'echo "$TOOLS"')" ""
alice vm exec work -- touch .tool-versions
capture alice vm exec work -- sh -c 'echo "$TOOLS $*"; exit 9' sh 'a  b'
equal "exec: by mise in a workspace that asks for it" "$status/$out" "9/mise a  b"
equal "exec: not where --cwd says where" "$(alice vm exec work --cwd /root/repo -- sh -c 'echo "$TOOLS"')" ""
alice vm exec work -- rm .tool-versions

# The host's repository moves on, and so has the guest's checkout.
as alice sh -ec 'cd repo; git rm -qf sub/two; git commit -qam third'
alice vm exec work --cwd /root/repo -- sh -c 'echo guest >>Makefile; git commit -qam guest; echo mine >mine; echo late >>sub/one; echo obj >x.o' 2>/dev/null
capture alice vm exec work -- cat sub/two
equal "exec: a HEAD that moved is said in one line" "$status/$out/$(wc -l <<<"$err")" 0/more/1
contains "exec: and what to do" "$err" "has moved on, from"
capture alice vm exec work --auto-prepare -- sh -c 'git log --format=%s | head -n 1; git status --porcelain --untracked-files=no; ls sub/two x.o mine; tail -n 1 Makefile'
equal "--auto-prepare: the host's commit and files, clean; untracked files stay" "$out" "third
mine
x.o
	@echo made; test -z \"\$\$(git status --porcelain)\""
contains "--auto-prepare: says where the guest's own is" "$err" "what was there is refs/banger/before-"
equal "--auto-prepare: nothing is lost" "$(alice vm exec work -- sh -c 'r=$(git for-each-ref --format="%(refname)" refs/banger); git show $r:sub/one $r:mine | tail -n 2; git log -2 --format=%s $r | tail -n 1; git fsck 2>&1 | grep -v dangling' | tr '\n' ' ')" "late mine guest "
capture alice vm exec work -- true
equal "exec: nothing to say any more" "$status/$err" 0/
# Without a commit too; and where the host has nothing new the guest's work stays.
as alice sh -c 'cd repo; echo edited >sub/one; rm Makefile'
alice vm exec work --auto-prepare -- true 2>/dev/null
equal "--auto-prepare: edited and deleted files of the same commit" "$(alice vm exec work -- sh -c 'cat sub/one; git status --porcelain --untracked-files=no')" "edited
$(as alice git -C repo status --porcelain --untracked-files=no)"
alice vm exec work -- sh -c 'echo guest >sub/one'
capture alice vm exec work --auto-prepare -- cat sub/one
equal "--auto-prepare: nothing new on the host, nothing done" "$status/$out/$err" 0/guest/
as alice git -C repo checkout -q Makefile
alice vm exec work --auto-prepare -- true 2>/dev/null
equal "--auto-prepare: a file that is back" "$(alice vm exec work -- sh -c 'cat sub/one; tail -n 1 Makefile')" "edited
	@echo made; test -z \"\$\$(git status --porcelain)\""
equal "--auto-prepare: kept is only what the guest changed" "$(alice vm exec work -- sh -c 'git for-each-ref refs/banger | wc -l')" 2
as alice sh -ec 'cd repo; mv sub ~/sub; git rm -qr --cached sub; echo file >sub; git add sub'
alice vm exec work -- sh -c 'echo mine >sub/mine'
capture alice vm exec work --auto-prepare -- sh -c 'cat sub; r=$(git for-each-ref --sort=-committerdate --count=1 --format="%(refname)" refs/banger); git show $r:sub/mine'
equal "--auto-prepare: a folder became a file, and what was in it is kept" "$status/$out" "0/file
mine"
as alice sh -ec 'cd repo; rm sub; mv ~/sub sub; git reset -q'
mv /home/alice/repo /home/alice/moved
capture alice vm exec work --auto-prepare -- true
contains "--auto-prepare: the repository is gone: said" "$status $err" "125 banger: cannot read /home/alice/repo: No such file or directory"
mv /home/alice/moved /home/alice/repo
as alice git -C repo checkout -q .
alice vm exec work --cwd / -- mv /root/repo /root/elsewhere
capture alice vm exec work -- pwd
equal "exec: a workspace that is gone: in the home" "$status/$out" 0//root
contains "exec: and says so" "$err" "banger: cannot enter the workspace /root/repo"
alice vm delete -f work >/dev/null
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
