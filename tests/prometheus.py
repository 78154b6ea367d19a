"""A strict reader of the Prometheus text format 0.0.4: every line is a comment, a family's HELP
and TYPE come once and before its samples, which lie together; no sample twice; histograms are
cumulative and agree with their count. Prints the samples as JSON."""
import json
import re
import sys

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? ([-+0-9.eE]+|NaN|[-+]Inf)")


def bad(number, text):
    sys.exit(f"line {number}: {text}")


def read(text):
    if not text.endswith("\n"):
        bad(0, "the last line has no end")
    types, samples, family, closed = {}, {}, None, set()
    for number, line in enumerate(text.splitlines(), 1):
        head = re.fullmatch(rf"# (HELP|TYPE) ({NAME}) (.+)", line)
        if head:
            what, name, rest = head.groups()
            if what == "HELP":
                if name in closed or name == family:
                    bad(number, f"{name} comes twice")
                closed.add(family)
                family = name
            elif name != family or name in types or rest not in ("counter", "gauge", "histogram"):
                bad(number, f"TYPE of {name}")
            else:
                types[name] = rest
            continue
        m = SAMPLE.fullmatch(line)
        if not m:
            bad(number, f"not a sample: {line!r}")
        name, labels, value = m.group(1), m.group(2) or "", float(m.groups()[-1])
        base = re.sub("_(bucket|sum|count)$", "", name) if types.get(family) == "histogram" else name
        if base != family or family not in types:
            bad(number, f"{name} is outside of its family")
        if types[family] == "counter" and (not re.search("_total$", name) or value < 0):
            bad(number, f"{name} is no counter")
        key = (name, tuple(sorted(re.findall(LABEL, labels))))
        if len(dict(key[1])) != len(key[1]) or key in samples:
            bad(number, f"twice: {line}")
        samples[key] = value
    check_histograms(types, samples)
    return samples


def check_histograms(types, samples):
    series = {}
    for (name, labels), value in samples.items():
        base = name.removesuffix("_bucket")
        if name != base and types.get(base) == "histogram":
            rest = tuple(label for label in labels if label[0] != "le")
            series.setdefault((base, rest), []).append((float(dict(labels)["le"]), value))
    for (base, rest), buckets in series.items():
        values = [value for _, value in sorted(buckets)]
        if values != sorted(values) or max(buckets)[0] != float("inf"):
            sys.exit(f"{base}: not cumulative up to +Inf")
        if samples.get((base + "_count", rest)) != values[-1] or (base + "_sum", rest) not in samples:
            sys.exit(f"{base}: its count is not its last bucket's")


if __name__ == "__main__":
    found = read(sys.stdin.read())
    json.dump([{"name": name, "labels": dict(labels), "value": value} for (name, labels), value in found.items()],
              sys.stdout)
