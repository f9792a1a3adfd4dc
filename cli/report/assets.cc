// SPDX-License-Identifier: Apache-2.0
#include "report/assets.h"

namespace varve::cli {

const std::string_view kReportStyle = R"CSS(
:root {
  --paper: #f7f5f0; --card: #fffefb; --ink: #1f2a2d; --soft: #66716f; --line: #e3dfd4;
  --water: #1c6e7d; --clay: #b4532a; --mark: #c98f2d;
  --a0: #cfd9d2; --a1: #a3c1bd; --a2: #6fa5a6; --a3: #3c8590; --a4: #17606f;
  --made: #e9e5da; --shade: 0 1px 2px rgb(60 50 20 / .06), 0 6px 24px -12px rgb(60 50 20 / .18);
}
@media (prefers-color-scheme: dark) {
  :root:not([data-theme="light"]) {
    --paper: #12181a; --card: #192123; --ink: #e4e8e3; --soft: #93a09d; --line: #2a3538;
    --water: #5fb8c4; --clay: #e0835a; --mark: #e3b35a;
    --a0: #2d3f42; --a1: #34595f; --a2: #3f7f88; --a3: #56a5ad; --a4: #8ad3d6;
    --made: #263033; --shade: 0 1px 2px rgb(0 0 0 / .3);
  }
}
:root[data-theme="dark"] {
  --paper: #12181a; --card: #192123; --ink: #e4e8e3; --soft: #93a09d; --line: #2a3538;
  --water: #5fb8c4; --clay: #e0835a; --mark: #e3b35a;
  --a0: #2d3f42; --a1: #34595f; --a2: #3f7f88; --a3: #56a5ad; --a4: #8ad3d6;
  --made: #263033; --shade: 0 1px 2px rgb(0 0 0 / .3); color-scheme: dark;
}
:root[data-theme="light"] { color-scheme: light; }
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
main { max-width: 1080px; margin: 0 auto; padding: 40px 24px 64px; }
header { display: flex; justify-content: space-between; align-items: flex-start; gap: 24px; }
.mark {
  margin: 0; color: var(--water); font-weight: 650; letter-spacing: .14em; font-size: 12px;
  text-transform: uppercase;
}
h1 {
  margin: 2px 0 4px; font-size: 26px; line-height: 1.2; font-weight: 650; overflow-wrap: anywhere;
}
h2 { margin: 0; font-size: 18px; font-weight: 650; overflow-wrap: anywhere; }
h3 { margin: 22px 0 10px; font-size: 14px; font-weight: 650; }
h2 small, h3 small, figcaption small { font-weight: 400; color: var(--soft); font-size: 13px; }
.sub, .facts { margin: 0; color: var(--soft); font-size: 14px; }
.facts { margin: 2px 0 16px; }
.none { color: var(--soft); margin: 12px 0; }
button {
  font: inherit; font-size: 13px; color: var(--ink); background: var(--card); cursor: pointer;
  border: 1px solid var(--line); border-radius: 999px; padding: 5px 14px;
}
nav { display: flex; flex-wrap: wrap; gap: 4px 16px; margin: 18px 0 20px; font-size: 14px; }
nav a { color: var(--water); text-decoration: none; }
nav a:hover { text-decoration: underline; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(140px, 1fr)); gap: 12px; }
.tile {
  background: var(--card); border-radius: 12px; padding: 12px 16px; box-shadow: var(--shade);
  display: flex; flex-direction: column; min-width: 0;
}
.card .tile { background: var(--paper); box-shadow: none; }
.tile span, .tile small { color: var(--soft); font-size: 12.5px; }
.tile b {
  font-size: 22px; font-weight: 600; font-variant-numeric: tabular-nums; line-height: 1.35;
}
.card {
  background: var(--card); border-radius: 14px; padding: 22px 24px; margin-top: 18px;
  box-shadow: var(--shade);
}
svg { display: block; width: 100%; overflow: visible; }
.level {
  display: grid; grid-template-columns: 92px 1fr; gap: 16px; padding: 10px 0; align-items: center;
}
.level + .level { border-top: 1px solid var(--line); }
.level-name { display: flex; flex-direction: column; font-size: 12.5px; line-height: 1.4; }
.level-name b { font-size: 14px; }
.level-name span { color: var(--soft); }
.axis {
  display: grid; grid-template-columns: 1fr 1fr 1fr; color: var(--soft); font-size: 12px;
  padding-top: 6px; border-top: 1px solid var(--line); gap: 12px;
  font-variant-numeric: tabular-nums;
}
.levels > .axis { margin-left: 108px; }
.axis span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.axis span:nth-child(2) { text-align: center; }
.axis span:nth-child(3) { text-align: right; }
.legend {
  display: flex; flex-wrap: wrap; align-items: center; gap: 4px 6px; margin: 14px 0 4px;
  font-size: 12.5px; color: var(--soft);
}
.legend i { width: 18px; height: 10px; border-radius: 2px; display: inline-block; }
.legend span + i.deletes, .legend span + i.hidden, .legend span + i.in-log,
.legend span + i.tag, .legend span + i.whole { margin-left: 12px; }
.legend .right { margin-left: auto; }
.a0 .bar { fill: var(--a0); } .a1 .bar { fill: var(--a1); } .a2 .bar { fill: var(--a2); }
.a3 .bar { fill: var(--a3); } .a4 .bar { fill: var(--a4); }
i.a0 { background: var(--a0); } i.a1 { background: var(--a1); } i.a2 { background: var(--a2); }
i.a3 { background: var(--a3); } i.a4 { background: var(--a4); }
.run .deletes { fill: var(--clay); } i.deletes { background: var(--clay); }
.hidden .bar {
  fill: var(--made); stroke: var(--soft); stroke-width: 1; stroke-dasharray: 3 2;
  vector-effect: non-scaling-stroke;
}
i.hidden { background: var(--made); border: 1px dashed var(--soft); }
.run:hover .bar, .run:focus .bar { fill: var(--mark); }
g:focus { outline: none; }
.plot svg { height: 160px; } .plot.small svg { height: 96px; } .plot.log svg { height: 28px; }
.reach { fill: transparent; }
.step { fill: var(--a1); } .top, .count { fill: var(--a3); }
i.step { background: var(--a1); border-top: 2px solid var(--a3); } i.part { background: var(--a3); }
.in-log .step { fill: var(--mark); } .in-log .top { fill: var(--clay); }
i.in-log { background: var(--mark); }
g:hover > .reach, g:focus > .reach { fill: var(--line); }
g:hover > .step, g:focus > .step, g:hover > .count, g:focus > .count { fill: var(--mark); }
.tag { stroke: var(--clay); stroke-width: 1.5; vector-effect: non-scaling-stroke; }
i.tag { background: var(--clay); width: 2px; height: 14px; }
.segment .whole, .meter .whole { fill: var(--made); } i.whole { background: var(--made); }
.segment .part, .meter .part { fill: var(--a3); }
.segment:hover .part, .segment:focus .part { fill: var(--mark); }
.meter.full .part { fill: var(--clay); }
.meter {
  display: grid; grid-template-columns: minmax(80px, 180px) 1fr minmax(120px, auto); gap: 14px;
  align-items: center; font-size: 13px; padding: 3px 0;
}
.meter span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.meter svg { height: 10px; border-radius: 5px; overflow: hidden; }
.meter small { color: var(--soft); text-align: right; font-variant-numeric: tabular-nums; }
.figures {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(340px, 1fr)); gap: 20px 28px;
}
figure { margin: 18px 0 0; min-width: 0; }
figcaption { font-size: 13.5px; margin-bottom: 8px; }
details { margin-top: 10px; border-top: 1px solid var(--line); padding-top: 10px; }
summary { cursor: pointer; color: var(--water); font-size: 14px; width: fit-content; }
.scroll { overflow: auto; max-height: 420px; margin-top: 8px; }
table {
  border-collapse: collapse; width: 100%; font-size: 13px; font-variant-numeric: tabular-nums;
}
th, td { padding: 4px 12px 4px 0; text-align: right; white-space: nowrap; }
th {
  position: sticky; top: 0; background: var(--card); color: var(--soft); font-weight: 500;
  border-bottom: 1px solid var(--line);
}
td { border-bottom: 1px solid var(--line); }
.left { text-align: left; }
.is-hidden { color: var(--soft); }
code { font: 12.5px ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
#tip {
  position: fixed; z-index: 9; max-width: 420px; background: var(--ink); color: var(--paper);
  padding: 8px 12px; border-radius: 8px; font-size: 12.5px; line-height: 1.5; white-space: pre-line;
  pointer-events: none; overflow-wrap: anywhere; box-shadow: 0 4px 18px rgb(0 0 0 / .25);
}
footer { color: var(--soft); font-size: 12.5px; margin-top: 28px; }
@media (max-width: 640px) {
  main { padding: 24px 14px 48px; }
  .card { padding: 18px 16px; }
  .level { grid-template-columns: 1fr; gap: 6px; }
  .level-name { flex-direction: row; gap: 10px; }
  .levels > .axis { margin-left: 0; }
  .figures { grid-template-columns: 1fr; }
  .axis span { white-space: normal; overflow-wrap: anywhere; }
}
@media print { button, nav { display: none; } .card, .tile { box-shadow: none; } }
)CSS";

const std::string_view kReportScript = R"JS(
"use strict";
const tip = document.getElementById("tip");
function show(mark, x, y) {
  tip.textContent = mark.dataset.tip;
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  tip.style.left = Math.max(8, Math.min(x + 14, innerWidth - box.width - 8)) + "px";
  tip.style.top = (y + box.height + 24 > innerHeight ? y - box.height - 12 : y + 18) + "px";
}
function hide() { tip.hidden = true; }
// The browser's own tips are slow to come; ours take their words.
for (const title of document.querySelectorAll("svg g > title")) {
  const mark = title.parentNode;
  mark.dataset.tip = title.textContent;
  mark.setAttribute("aria-label", title.textContent);
  mark.setAttribute("tabindex", "0");
  title.remove();
}
document.addEventListener("pointermove", event => {
  const mark = event.target.closest("g[data-tip]");
  if (mark) show(mark, event.clientX, event.clientY); else hide();
});
document.addEventListener("focusin", event => {
  const mark = event.target.closest("g[data-tip]");
  if (!mark) return hide();
  const box = mark.getBoundingClientRect();
  show(mark, box.left, box.bottom - 8);
});
document.addEventListener("scroll", hide, true);
const button = document.getElementById("theme");
const root = document.documentElement;
const dark = () => root.dataset.theme ? root.dataset.theme === "dark"
                                      : matchMedia("(prefers-color-scheme: dark)").matches;
function label() { button.textContent = dark() ? "Light" : "Dark"; }
button.addEventListener("click", () => {
  root.dataset.theme = dark() ? "light" : "dark";
  label();
});
button.hidden = false;
label();
)JS";

}  // namespace varve::cli
