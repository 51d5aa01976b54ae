// The keyboard: one table that is both what keys do and the help.

import { find, make } from "./dom.js";

/** Groups of [keys as written, what they do, function]; rows without one are left out. "Mod" is Ctrl, or Command on a Mac. */
export function bind(all) {
  const groups = all.map(([title, rows]) => [title, rows.filter(([, , run]) => run)]);
  const table = new Map();
  for (const [, rows] of groups) {
    for (const [keys, , run] of rows) keys.split(" ").forEach((key) => table.set(key, run));
  }
  addEventListener("keydown", (event) => {
    if (event.isComposing || document.querySelector("dialog[open]")) return;
    const typing = event.target.closest?.("input:not([type=radio]):not([type=range]), textarea, select");
    const name = nameOf(event);
    if (typing && name !== "Escape") return;
    const onButton = event.target.closest?.("button, summary, a, [role=radiogroup]") && ["Enter", "Space"].includes(name);
    const run = table.get(name);
    if (!run || onButton || (event.target.type === "range" && /^Arrow/.test(event.key))) return;
    if (run(event) !== false) event.preventDefault();
  });
  drawHelp(groups);
}

function nameOf(event) {
  const key = event.key === " " ? "Space" : event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const shifted = event.shiftKey && (event.key.length > 1 || event.key === " " || /[a-z]/i.test(event.key));
  return `${event.ctrlKey || event.metaKey ? "Mod+" : ""}${shifted ? "Shift+" : ""}${key}`;
}

const WORDS = { Mod: /Mac|iP/.test(navigator.platform) ? "⌘" : "Ctrl", ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", Escape: "Esc", Delete: "Del" };

function drawHelp(groups) {
  const dialog = find("#help-dialog");
  const sections = groups.map(([title, rows]) =>
    make("section", {}, make("h3", {}, title), make("dl", {}, ...rows.filter(([, what]) => what).flatMap(([keys, what]) => [
      make("dt", {}, ...keys.split(" ").slice(0, 2).map((key) => make("kbd", {}, key.split("+").map((part) => WORDS[part] ?? (part.length === 1 ? part.toUpperCase() : part)).join(" ").trim() || "+"))),
      make("dd", {}, what),
    ]))),
  );
  dialog.replaceChildren(
    make("header", {}, make("h2", { id: "help-title" }, "Keyboard"), make("button.quiet", { type: "button", onclick: () => dialog.close() }, "Close ", make("kbd", {}, "Esc"))),
    make("div.columns", {}, ...sections),
    make("p.foot", {}, "Mouse: click an object to show it, drag a box around it; right click takes a part away. The wheel zooms, the middle button moves. Touch: two fingers zoom and move, a long press takes a part away."),
  );
}
