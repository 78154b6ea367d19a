# `vm exec --auto-prepare`: the host's repository comes into the workspace once more, in two parts. $2 is the workspace.
# `keep`: what the guest had is kept as a commit of its own, files that git does not ignore included: nothing is lost.
# Where that is what the last time left, there is nothing to keep. The host's files come on standard input, NUL after
# each; a folder that has one's name goes, as with `git checkout`.
# `take`: the tar comes on standard input. $3 is the host's branch ("": detached), $4 its commit ("": none yet), $5 what
# the host calls its state.
# shellcheck shell=sh
set -eu
exec 1>&2

part=$1
shift
cd "$1"
for program in git tar xargs; do
    command -v "$program" > /dev/null || die "--auto-prepare needs $program in the guest, which this image has not"
done
[ -d .git ] || die "$1 is no checkout any more: --auto-prepare has nothing to bring up to date"
old=$(git write-tree) || die "the checkout in the guest has conflicts: resolve them first"
head=$(git rev-parse -q --verify HEAD) || head=

# The tree of all that is there.
snapshot() {
    rm -f .git/banger-index .git/banger-index.lock # of one that was cut off
    cp .git/index .git/banger-index 2> /dev/null || true
    GIT_INDEX_FILE=.git/banger-index git add -A &&
        GIT_INDEX_FILE=.git/banger-index git write-tree &&
        rm -f .git/banger-index
}
# What the script $1 does to each $path of standard input, NUL after each, that no link leads to: one would lead out.
each() {
    # shellcheck disable=SC2016
    xargs -0 -r sh -c 'for path; do
        rest=$path above=. link=
        while [ "${rest#*/}" != "$rest" ]; do
            above=$above/${rest%%/*} rest=${rest#*/}
            if [ -L "$above" ] || [ ! -d "$above" ]; then link=1; fi
        done
        [ -z "$link" ] || continue
        eval "$0"
    done' "$1"
}
keep() {
    rm -f .git/banger-kept # of one that was cut off
    tree=$(snapshot)
    if [ "$tree $head" != "$(cat .git/banger-left 2> /dev/null)" ]; then
        kept=refs/banger/before-$(date +%Y%m%d-%H%M%S)-$$
        commit=$(echo "before --auto-prepare brought ${1:-what is not committed}" |
            git -c user.name=banger -c user.email=banger@localhost commit-tree ${head:+-p "$head"} "$tree")
        git update-ref "$kept" "$commit"
        echo "$kept" > .git/banger-kept
    fi
    rm -f .git/banger-left .git/banger-host # the latter is there again when all else is
    # shellcheck disable=SC2016
    each 'if [ -d "./$path" ] && [ ! -L "./$path" ]; then
        if [ -n "$(find "./$path" -name .git | head -n 1)" ]; then
            echo "banger: $path is a file on the host, and in the guest a folder with a repository in it: move that away" >&2
            exit 255
        fi
        rm -rf "./$path"
    fi'
}
# Files and links; a folder in the place of one is the guest's.
# shellcheck disable=SC2016
drop() { each '[ -d "./$path" ] && [ ! -L "./$path" ] || rm -f "./$path"'; }
if [ "$part" = keep ]; then
    keep "$3"
    exit 0
fi

# The guest's own branches and configuration stay; where history was cut stays known.
cp .git/shallow .git/banger-shallow 2> /dev/null || : > .git/banger-shallow
rm -f .git/banger-gone # of before
tar -x -f - -C "${1%/*}" --exclude=repo/.git/HEAD --exclude=repo/.git/packed-refs --exclude=repo/.git/config \
    --exclude=repo/.git/banger-host --exclude=.gitconfig
if [ -s .git/banger-shallow ]; then
    [ ! -e .git/shallow ] || cat .git/shallow >> .git/banger-shallow
    sort -u .git/banger-shallow > .git/shallow.new
    mv .git/shallow.new .git/shallow
fi
rm -f .git/banger-shallow
if [ -n "$3" ]; then
    if [ -n "$2" ]; then
        git update-ref "refs/heads/$2" "$3"
        git symbolic-ref HEAD "refs/heads/$2"
    else
        git update-ref --no-deref HEAD "$3"
    fi
fi
git diff-index --cached --name-only --diff-filter=D -z "$old" -- | drop
if [ -e .git/banger-gone ]; then # tracked, but deleted on the host
    drop < .git/banger-gone
    rm .git/banger-gone
fi
tree=$(snapshot) && echo "$tree $3" > .git/banger-left
printf %s "$4" > .git/banger-host
kept=$(cat .git/banger-kept 2> /dev/null) || kept=
rm -f .git/banger-kept
say "the workspace is at $(echo "${3:-nothing committed}" | cut -c 1-12) now${kept:+; what was there is $kept}"
