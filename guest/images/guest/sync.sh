# `vm exec --auto-prepare`: the host's repository comes into the workspace once more. $1 is the workspace, $2 the
# host's branch ("": detached), $3 its commit ("": none yet), $4 what the host calls its state; the tar comes on
# standard input. What the guest had is kept as a commit of its own first, files that git does not ignore included:
# nothing is lost. Where that is what the last time left, there is nothing to keep.
# shellcheck shell=sh
set -eu
exec 1>&2

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
tree=$(snapshot)
kept=
if [ "$tree $head" != "$(cat .git/banger-left 2> /dev/null)" ]; then
    kept=refs/banger/before-$(date +%Y%m%d-%H%M%S)-$$
    commit=$(echo "before --auto-prepare brought ${3:-what is not committed}" |
        git -c user.name=banger -c user.email=banger@localhost commit-tree ${head:+-p "$head"} "$tree")
    git update-ref "$kept" "$commit"
fi
rm -f .git/banger-left

# The guest's own branches and configuration stay; where history was cut stays known.
cp .git/shallow .git/banger-shallow 2> /dev/null || : > .git/banger-shallow
rm -f .git/banger-gone .git/banger-host # of before; the latter is there again when all else is
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
git diff-index --cached --name-only --diff-filter=D -z "$old" -- | xargs -0 -r rm -f --
if [ -e .git/banger-gone ]; then # tracked, but deleted on the host
    xargs -0 -r rm -f -- < .git/banger-gone
    rm .git/banger-gone
fi
tree=$(snapshot) && echo "$tree $3" > .git/banger-left
printf %s "$4" > .git/banger-host
say "the workspace is at $(echo "${3:-nothing committed}" | cut -c 1-12) now${kept:+; what was there is $kept}"
