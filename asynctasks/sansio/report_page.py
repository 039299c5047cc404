"""
The report of a batch as HTML: a page that needs nothing else, and a part for notebooks.

Both are made of the document that :meth:`BatchReport.to_json` writes, and of the lanes
of its timeline. Every text in them may come from a service and is escaped.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
import hashlib
from html import escape
from typing import Any

from .timeline import MAX_LANES, Lanes, draw_activity, draw_lanes, say_seconds


__all__ = ["render_page", "render_part"]

OUTCOMES = {
    "done": "done",
    "failed": "failed",
    "unknown": "unknown",
    "open": "not ended",
}
"""The outcomes of items, and what people read."""

EXAMPLES = 20
"""Items that are named of each kind of failure."""

STYLE = """
.atr{--ink:#1c2330;--soft:#657084;--paper:#fff;--card:#f6f7f9;--line:#e3e7ec;
--wait:#cfd8e6;--done:#2f8f6b;--run:#5a8fd6;--failed:#d64545;--unknown:#b7791f;
--open:#7c8aa0;color:var(--ink);background:var(--paper);font:14px/1.5 system-ui,
-apple-system,"Segoe UI",Roboto,"Helvetica Neue",sans-serif;
font-variant-numeric:tabular-nums;color-scheme:light dark}
@media(prefers-color-scheme:dark){.atr{--ink:#e4e8ee;--soft:#97a2b4;--paper:#12161d;
--card:#1a2029;--line:#2a323e;--wait:#364357;--done:#47b78c;--run:#6ea3ea;
--failed:#f07171;--unknown:#e0a647;--open:#8391a8}}
.atr *{box-sizing:border-box}
.atr h1{font-size:24px;line-height:1.25;margin:0 0 4px;overflow-wrap:anywhere}
.atr h2{font-size:15px;margin:32px 0 8px}
.atr p{margin:0}
.atr .soft{color:var(--soft)}
.atr .tiles{display:flex;flex-wrap:wrap;gap:8px;margin:20px 0 0;padding:0;
list-style:none}
.atr .tiles li{background:var(--card);border:1px solid var(--line);border-radius:8px;
padding:10px 14px;min-width:104px}
.atr .tiles b{display:block;font-size:20px;font-weight:600;line-height:1.3}
.atr .tiles span{color:var(--soft);font-size:12px}
.atr .tiles .done b{color:var(--done)}
.atr .tiles .failed b{color:var(--failed)}
.atr .tiles .unknown b{color:var(--unknown)}
.atr .tiles .open b{color:var(--open)}
.atr .share{display:block;width:100%;height:8px;margin:16px 0 0;border-radius:4px}
.atr .wide{overflow-x:auto}
.atr .wide svg{display:block;width:100%;min-width:640px;height:auto}
.atr .wait{fill:var(--wait)}
.atr .done{fill:var(--done)}
.atr .failed{fill:var(--failed)}
.atr .unknown{fill:var(--unknown)}
.atr .open{fill:var(--open)}
.atr .run{fill:var(--run)}
.atr .wait.failed,.atr .wait.unknown{fill-opacity:.55}
.atr .wait.open{fill:var(--wait)}
.atr g:hover rect{fill-opacity:.7;stroke:var(--ink);stroke-width:1}
.atr .grid{stroke:var(--line);fill:none;vector-effect:non-scaling-stroke}
.atr .gap{fill:var(--card);stroke:none}
.atr .tick{fill:var(--soft);font-size:11px}
.atr .legend{display:flex;flex-wrap:wrap;gap:4px 16px;color:var(--soft);font-size:12px;
margin:6px 0 0}
.atr .legend svg{width:10px;height:10px;margin-right:5px;border-radius:2px}
.atr table{border-collapse:collapse;width:100%}
.atr th,.atr td{text-align:right;padding:6px 10px;border-bottom:1px solid var(--line)}
.atr th:first-child,.atr td:first-child{text-align:left;padding-left:0}
.atr th{color:var(--soft);font-weight:500;font-size:12px}
.atr table.narrow{width:auto;min-width:280px}
.atr .spread{width:34%;min-width:160px;padding-right:0}
.atr .spread svg{display:block;width:100%;height:14px}
.atr .spread .rail{stroke:var(--line);stroke-width:2}
.atr footer{margin:32px 0 0;font-size:12px}
.atr details{border:1px solid var(--line);border-radius:8px;background:var(--card);
margin:0 0 8px}
.atr summary{cursor:pointer;padding:9px 14px;overflow-wrap:anywhere}
.atr summary b{color:var(--failed);margin-right:4px}
.atr details.unknown summary b{color:var(--unknown)}
.atr details .wide{padding:0 14px 10px}
.atr details td{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;
font-size:12px;text-align:left;overflow-wrap:anywhere}
.atr details th{text-align:left}
.atr details td:first-child,.atr details th:first-child{text-align:right;width:5em}
body.atr{max-width:1120px;margin:0 auto;padding:32px 24px 64px}
html{background:#fff}
@media(prefers-color-scheme:dark){html{background:#12161d}}
@media print{.atr{color-scheme:light}.atr .tiles li{break-inside:avoid}}
""".replace("\n", "")


def render_page(document: Mapping[str, Any], lanes: Lanes) -> str:
    """Make a page without scripts, links or anything that has to be loaded."""
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )
    title = f"Batch of {document['service'] or 'tasks'}"
    parts = [
        heading(document, title),
        summary(document),
        timeline(lanes),
        failures(document),
        durations(document),
        retries(document),
        footer(document),
    ]
    body = "\n".join(filter(None, parts))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n"
        f'<body class="atr">\n{body}\n</body></html>\n'
    )


def render_part(document: Mapping[str, Any], lanes: Lanes) -> str:
    """Make what a notebook shows."""
    parts = summary(document) + timeline(lanes) + failures(document)
    return f'<style>{STYLE}</style><div class="atr">{parts}</div>'


def heading(document: Mapping[str, Any], title: str) -> str:
    """Say what it is about."""
    facts = [document["about"], document["begin"] or "nothing was submitted"]
    shown = " · ".join(escape(str(fact)) for fact in facts if fact)
    return f'<header><h1>{escape(title)}</h1><p class="soft">{shown}</p></header>'


def summary(document: Mapping[str, Any]) -> str:
    """Show the counts, and their shares."""
    counts = document["outcomes"]
    tiles = [tile("", f"{document['items']:,}", "items")]
    tiles += [
        tile(name, f"{counts[name]:,}", words)
        for name, words in OUTCOMES.items()
        if counts[name] or name in {"done", "failed"}
    ]
    tiles.append(tile("", say_seconds(document["seconds"]), "in all"))
    tiles.append(tile("", f"{document['throughput']:.3g}/s", "throughput"))
    if document["submits"] > document["items"]:
        tiles.append(tile("", f"{document['submits']:,}", "submits"))
    return f'<ul class="tiles">{"".join(tiles)}</ul>{shares(document)}'


def tile(kind: str, figure: str, words: str) -> str:
    """Show one figure."""
    return f'<li class="{kind}"><b>{escape(figure)}</b><span>{words}</span></li>'


def shares(document: Mapping[str, Any]) -> str:
    """Draw the shares of the outcomes as one bar."""
    left, drawn = 0.0, ""
    for name in OUTCOMES:
        width = 100 * document["outcomes"][name] / max(document["items"], 1)
        drawn += f'<rect class="{name}" x="{left:.2f}" width="{width:.2f}" height="8"/>'
        left += width
    return (
        '<svg class="share" viewBox="0 0 100 8" preserveAspectRatio="none" '
        f'aria-hidden="true">{drawn}</svg>'
    )


def timeline(lanes: Lanes) -> str:
    """Draw what was under way, and each item in it."""
    if not lanes.rows:
        return ""
    hidden = len(lanes.rows) - MAX_LANES
    note = f" The last {hidden:,} lanes are not drawn." if hidden > 0 else ""
    names = {"wait": "waiting", "run": "running", **OUTCOMES}
    legend = "".join(
        '<span><svg viewBox="0 0 10 10" aria-hidden="true">'
        f'<rect class="{kind}" width="10" height="10"/></svg>{words}</span>'
        for kind, words in names.items()
    )
    return (
        f'<h2>Under way</h2><div class="wide">{draw_activity(lanes)}</div>'
        f'<h2>Timeline</h2><div class="wide">{draw_lanes(lanes)}</div>'
        f'<p class="legend">{legend}</p>'
        f'<p class="soft">Each lane holds one item at a time.{note}</p>'
    )


def durations(document: Mapping[str, Any]) -> str:
    """Show how long items waited and ran."""
    known = {name: row for name, row in document["durations"].items() if row}
    if not known:
        return ""
    most = max(row["max"] for row in known.values())
    names = ("mean", "p50", "p90", "p99", "max")
    head = "".join(f"<th>{name}</th>" for name in names)
    rows = "".join(
        f"<tr><td>{escape(name)}</td>"
        + "".join(f"<td>{say_seconds(row[each])}</td>" for each in names)
        + f'<td class="spread">{spread(row, most)}</td></tr>'
        for name, row in known.items()
    )
    return (
        '<h2>Durations</h2><div class="wide"><table>'
        f'<tr><th></th>{head}<th class="spread"></th></tr>{rows}</table></div>'
    )


def spread(row: Mapping[str, float], most: float) -> str:
    """Draw where half of them, nine tenths and all of them are."""
    half, nine, last = (100 * row[n] / (most or 1) for n in ("p50", "p90", "max"))
    return (
        '<svg viewBox="0 0 100 14" preserveAspectRatio="none" aria-hidden="true">'
        f'<path class="rail" d="M0 7H{last:.2f}"/>'
        f'<rect class="wait" y="3" width="{nine:.2f}" height="8"/>'
        f'<rect class="run" y="3" width="{half:.2f}" height="8"/></svg>'
    )


def retries(document: Mapping[str, Any]) -> str:
    """Show what was tried again, and why."""
    if not document["retries"]:
        return ""
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{count:,}</td></tr>"
        for name, count in document["retries"].items()
    )
    head = "<tr><th>after</th><th>submits</th></tr>"
    return f'<h2>Submitted again</h2><table class="narrow">{head}{rows}</table>'


def failures(document: Mapping[str, Any]) -> str:
    """Show what went wrong, the most frequent first, with the items."""
    if not document["failures"]:
        return ""
    return "<h2>What went wrong</h2>" + "".join(map(group, document["failures"]))


def group(failure: Mapping[str, Any]) -> str:
    """Show one kind of failure."""
    rows = "".join(
        f"<tr><td>{item['index']}</td><td>{escape(str(item['key']))}</td>"
        f"<td>{escape(listed(item))}</td></tr>"
        for item in failure["items"][:EXAMPLES]
    )
    left = failure["count"] - min(len(failure["items"]), EXAMPLES)
    more = f'<p class="soft">and {left:,} more</p>' if left else ""
    kind = escape(failure["outcome"])
    return (
        f'<details class="{kind}"><summary><b>{failure["count"]:,} &times; '
        f"{escape(failure['error'])}</b> {escape(failure['message'])}</summary>"
        '<div class="wide"><table><tr><th>item</th><th>key</th><th>task</th></tr>'
        f"{rows}</table>{more}</div></details>"
    )


def listed(item: Mapping[str, Any]) -> str:
    """Return the task of an item, or those that may be it."""
    candidates: Iterable[str] = item.get("candidates", ())
    known: str = item["task_id"]
    return known or (f"one of: {', '.join(candidates)}" if candidates else "")


def footer(document: Mapping[str, Any]) -> str:
    """Say where it comes from."""
    made = escape(str(document["made_by"]))
    return f'<footer class="soft">{made}</footer>'
