// The film strip, the phrases and the list of objects. Each is drawn anew from the state; `does` has the actions.

import { imageAddress } from "./api.js";
import { find, icon, make, plural } from "./dom.js";

/** The strip of items; rows are kept, so that images are not loaded twice. */
export function drawFilm(state, does) {
  const film = find("#film");
  const rows = new Map([...film.children].map((row) => [row.dataset.item, row]));
  const wanted = state.items.map((item) => {
    const row = rows.get(item.id) ?? filmRow(item, does);
    const current = item.id === state.id;
    const shown = `${current} ${item.accepted} ${item.count}`;
    if (row.shown === shown) return row;
    row.shown = shown;
    row.classList.toggle("current", current);
    row.classList.toggle("accepted", item.accepted);
    row.firstChild.setAttribute("aria-current", current ? "true" : "false");
    row.querySelector(".count").textContent = item.count ? String(item.count) : "";
    row.firstChild.title = `${item.name}${item.accepted ? ", accepted" : ""}${item.count ? `, ${plural(item.count, "object")}` : ""}`;
    return row;
  });
  if (wanted.length !== film.children.length || wanted.some((row, at) => film.children[at] !== row)) film.replaceChildren(...wanted);
  film.parentElement.classList.toggle("single", state.items.length < 2);
}

function filmRow(item, does) {
  const thumb = make("img", { src: imageAddress(item.id, 0, 192), alt: "", loading: "lazy", decoding: "async", draggable: false });
  thumb.onerror = () => thumb.replaceWith(make("span.broken", {}, "not readable"));
  const button = make(
    "button", { type: "button", onclick: () => does.open(item.id) },
    thumb,
    make("span.name", {}, item.name),
    make("span.count"),
    make("span.tick", { "aria-hidden": "true" }, icon("check")),
    item.kind === "clip" ? make("span.kind", {}, icon("play")) : null,
  );
  return make("li", { "data-item": item.id }, button);
}

/** The phrases used so far, as buttons with their number keys. */
export function drawPhrases(state, does) {
  const chosen = state.objects.find((one) => one.id === state.selected);
  const chips = state.phrases.slice(0, 9).map((phrase, at) =>
    make(
      `button.chip${state.recent.includes(phrase) ? ".recent" : ""}`, {
        type: "button", "aria-pressed": phrase === (chosen?.label ?? state.label) ? "true" : "false",
        title: chosen ? `Label the chosen object “${phrase}” (${at + 1})` : `Find “${phrase}” here (${at + 1})`,
        onclick: () => does.phrase(phrase),
      },
      make("kbd", {}, String(at + 1)), phrase,
    ),
  );
  const again = state.recent.length
    ? make("button.link", { type: "button", onclick: does.again, title: `Find in this image: ${state.recent.join(", ")}` }, "Find again here ", make("kbd", {}, "R"))
    : null;
  find("#phrases").replaceChildren(
    make("h2", {}, chosen ? `Label of ${chosen.label} ${chosen.id}` : "Phrases", chosen ? null : again),
    state.phrases.length ? make("div.chips", {}, ...chips) : make("p.empty", {}, "What you find appears here, for the next images too."),
  );
}

/** The objects of the item: kept ones, then rejected ones with the reason. */
export function drawObjects(state, does) {
  const box = find("#objects");
  const open = box.querySelector("details")?.open ?? false;
  const kept = state.objects.filter((one) => one.kept);
  const rejected = state.objects.filter((one) => !one.kept);
  const chosenRejected = rejected.some((one) => one.id === state.selected);
  box.replaceChildren(
    make("h2", {}, "Objects", make("span.number", {}, kept.length ? String(kept.length) : ""),
      state.objects.length ? make("button.link", { type: "button", onclick: does.toggleAll, title: "Show or hide all masks" }, state.masksShown ? "Hide " : "Show ", make("kbd", {}, "M")) : null),
    kept.length ? make("ul.objects", { role: "listbox", "aria-label": "Kept objects" }, ...kept.map((one) => objectRow(one, state, does)))
      : make("p.empty", {}, rejected.length ? "Nothing is kept." : state.recent.length ? "No objects yet." : "Find a phrase, or click an object in the image."),
    !state.objects.length && state.recent.length ? make("button.quiet.again", { type: "button", onclick: does.again }, `Find ${state.recent.join(", ")} here `, make("kbd", {}, "R")) : "",
    rejected.length ? make("details.rejected", { open: open || chosenRejected || !kept.length },
      make("summary", {}, "Rejected", make("span.number", {}, String(rejected.length))),
      make("ul.objects", { role: "listbox", "aria-label": "Rejected objects" }, ...rejected.map((one) => objectRow(one, state, does)))) : null ?? "",
  );
  box.querySelector(".chosen")?.scrollIntoView({ block: "nearest" });
}

function objectRow(one, state, does) {
  const chosen = one.id === state.selected;
  const hidden = state.hidden.has(one.id);
  const row = make(
    `li.object${chosen ? ".chosen" : ""}${one.kept ? "" : ".no"}`,
    { role: "option", "aria-selected": chosen ? "true" : "false", "data-object": String(one.id),
      onpointerenter: () => does.hover(one.id), onpointerleave: () => does.hover(null) },
    make("div.line", { onclick: () => does.choose(chosen ? null : one.id) },
      make("span.swatch", {}, String(one.id)), make("span.label", { ondblclick: () => does.rename(one.id) }, one.label),
      make("span.score", { title: "Score" }, one.source === "paint" ? "" : one.score.toFixed(2)),
      make("button.icon.small", { type: "button", title: hidden ? "Show this mask" : "Hide this mask", "aria-label": hidden ? "Show" : "Hide",
        onclick: (event) => { event.stopPropagation(); does.toggle(one.id); } }, icon(hidden ? "hidden" : "eye"))),
    chosen ? make("div.more", {},
      make("p.why", {}, one.why || "No reason is recorded."),
      make("div.row", {},
        make("button.quiet", { type: "button", onclick: () => does.keep(one.id, !one.kept) }, one.kept ? "Reject " : "Keep ", make("kbd", {}, "X")),
        make("button.quiet", { type: "button", onclick: () => does.rename(one.id) }, "Rename ", make("kbd", {}, "L")),
        make("button.quiet", { type: "button", onclick: () => does.remove(one.id) }, "Delete ", make("kbd", {}, "Del")))) : null,
  );
  row.querySelector(".swatch").style.background = one.colour;
  return row;
}

/** The name field in the row of an object; `done(name)` receives null if it was left with Escape. */
export function editLabel(id, label, labels, done) {
  const place = find(`[data-object="${id}"] .label`);
  if (!place) return;
  const list = make("datalist", { id: "known-labels" }, ...labels.map((name) => make("option", { value: name })));
  const field = make("input.rename", { value: label, maxLength: 200, "aria-label": "Label" });
  field.setAttribute("list", "known-labels");
  let ended = false;
  const end = (name) => {
    if (!ended) {
      ended = true;
      done(name);
    }
  };
  field.onclick = (event) => event.stopPropagation();
  field.onkeydown = (event) => {
    event.stopPropagation();
    if (event.key === "Enter") end(field.value.trim() || null);
    if (event.key === "Escape") end(null);
  };
  field.onblur = () => end(field.value.trim() || null);
  place.replaceChildren(field, list);
  field.select();
  field.focus();
}
