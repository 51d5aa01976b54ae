// Small helpers to build elements, and the icons (16 x 16, drawn with lines).

const ICONS = {
  undo: "M6 3 3 6l3 3M3 6h6.5a3.5 3.5 0 0 1 0 7H7",
  redo: "m10 3 3 3-3 3m3-3H6.5a3.5 3.5 0 0 0 0 7H9",
  help: "M6 6a2 2 0 1 1 2.8 1.8c-.6.3-.8.7-.8 1.4M8 11.6v.1M8 14.5A6.5 6.5 0 1 0 8 1.5a6.5 6.5 0 0 0 0 13z",
  show: "M3 2.5 12.5 7 8.3 8.3 7 12.5zM12 10.5v4M10 12.5h4",
  example: "M2.5 5V2.5H5M11 2.5h2.5V5M2.5 11v2.5H5M13.5 11v2.5H11M8 5.2l.9 1.9 2 .3-1.4 1.5.3 2L8 10l-1.8.9.3-2-1.4-1.5 2-.3z",
  paint: "M13.3 2.7c-.8-.8-2-.5-3.3.8L6 8l2 2 4.500-4c1.300-1.300 1.600-2.500.800-3.300zM5.500 8.700c-1.700 0-2.200 1-2.200 2.300 0 .900-.500 1.500-1.300 1.800 2.600 1 5.200.300 5.200-1.900z",
  hand: "M8 2v12M2 8h12M8 2 6.500 3.500M8 2l1.500 1.500M8 14l-1.500-1.500M8 14l1.500-1.500M2 8l1.500-1.500M2 8l1.500 1.500M14 8l-1.500-1.500M14 8l-1.500 1.500",
  plus: "M8 3v10M3 8h10",
  minus: "M3 8h10",
  fit: "M2.500 6V2.500H6M10 2.500h3.500V6M13.500 10v3.500H10M6 13.500H2.500V10",
  eye: "M1.500 8S4 3.500 8 3.500 14.500 8 14.500 8 12 12.500 8 12.500 1.500 8 1.500 8zM8 10a2 2 0 1 0 0-4 2 2 0 0 0 0 4z",
  hidden: "M2 2l12 12M6.200 4a6 6 0 0 1 1.800-.5C12 3.500 14.500 8 14.500 8a11 11 0 0 1-1.800 2.300M9.800 12.200A5 5 0 0 1 8 12.500C4 12.500 1.500 8 1.500 8A11 11 0 0 1 4 5.300",
  play: "M4.500 2.800v10.400L13 8z",
  pause: "M5 3v10M11 3v10",
  stop: "M4 4h8v8H4z",
  on: "M2 8h9M8 4.500 11.500 8 8 11.500M14 3.500v9",
  back: "M14 8H5M8 4.500 4.500 8 8 11.500M2 3.500v9",
  check: "m3 8.500 3.200 3.200L13 4.800",
  cross: "m4 4 8 8m0-8-8 8",
  ask: "M6 6a2 2 0 1 1 2.800 1.800c-.600.300-.800.700-.800 1.400M8 11.600v.100",
};

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  svg.classList.add("svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** An element: `make("button.quiet", { onclick, title }, "text", child)`. */
export function make(kind, properties = {}, ...children) {
  const [tag, ...classes] = kind.split(".");
  const element = document.createElement(tag);
  element.classList.add(...classes);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (name.startsWith("on") || name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const find = (selector) => document.querySelector(selector);

export const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

/** A sentence that appears for a while. `kind`: "", "bad" or "good". */
export function toast(text, kind = "") {
  const box = find("#toasts");
  const line = make(`div.toast${kind && `.${kind}`}`, {}, text);
  [...box.children].filter((other) => other.textContent === text).forEach((other) => other.remove());
  box.append(line);
  while (box.children.length > 3) box.firstChild.remove();
  setTimeout(() => line.remove(), kind === "bad" ? 9000 : 4500);
}
