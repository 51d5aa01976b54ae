// The questions about an item: what the agent searches, what it finds, its verdict on each with a close-up, its answer.

import { hosted } from "./api.js";
import { find, icon, make, plural } from "./dom.js";
import { closeUp, maskOf } from "./masks.js";

const VERDICTS = { accept: ["check", "fits"], reject: ["cross", "does not fit"], unsure: ["ask", "not sure"] };
const ENDS = {
  answered: "Answered", no_match: "Nothing matches", not_understood: "Not understood", exhausted: "Out of budget",
  stopped: "Stopped", interrupted: "Interrupted when the studio ended: ask again",
};
const COLOURS = ["#ff5733", "#00a8e8", "#ffc300", "#9b51e0", "#2ecc71", "#ff40a0", "#00c9b7", "#ff8c1a", "#4267ff", "#a3d900", "#d64541", "#7ac9ff"];

/** Everything the agent has looked at in a question, with its latest verdict. */
export function candidates(question, height) {
  const seen = new Map();
  for (const step of question.steps) {
    if (step.kind === "tool") {
      for (const mask of step.masks) {
        const { id, score, frame, rle } = mask;
        seen.set(id, { ...seen.get(id), id, score, frame, colour: COLOURS[(id - 1) % COLOURS.length], mask: maskOf(`q${question.id}:${id}:${frame}`, rle.counts, height) });
      }
    } else if (step.kind === "finding" && seen.has(step.id)) {
      Object.assign(seen.get(step.id), { verdict: step.verdict, reason: step.reason });
    } else if (step.kind === "end") {
      for (const one of seen.values()) one.chosen = step.ids.includes(one.id);
    }
  }
  return seen;
}

export function drawQuestions(state, does) {
  const box = find("#questions");
  const open = new Set([...box.querySelectorAll("details[open]")].map((one) => one.dataset.question));
  const latest = state.questions.at(-1);
  box.hidden = !latest;
  if (!latest) return;
  const rows = [...state.questions].reverse().map((question) => {
    const running = question.status === "running";
    const shown = question === latest && state.questionOpen !== false;
    const details = make(
      "details.question", { open: shown || open.has(String(question.id)), "data-question": String(question.id) },
      make("summary", {}, make("span.words", {}, question.text), state_of(question, running, does)),
      ...story(question, state, does),
      running ? make("p.status", {}, make("span.spinner"), state.status || "starting") : null,
    );
    return details;
  });
  box.replaceChildren(make("h2", {}, "Questions"), ...rows);
  box.querySelectorAll("details").forEach((one) => {
    one.ontoggle = () => { if (one.dataset.question === String(latest.id)) state.questionOpen = one.open; };
  });
}

function state_of(question, running, does) {
  if (running) {
    return make("button.quiet.stop", { type: "button", onclick: (event) => { event.preventDefault(); does.stop(); } }, "Stop");
  }
  const good = question.status === "answered";
  return make(`span.end${good ? ".good" : ".poor"}`, {}, ENDS[question.status] ?? "Failed");
}

function story(question, state, does) {
  const seen = candidates(question, state.size.height);
  const known = new Map(hosted ? state.objects.map((one) => [one.id, one.colour]) : []); // a view has one set of numbers
  for (const one of seen.values()) one.colour = known.get(one.id) ?? one.colour;
  const parts = [];
  const told = new Set();
  for (const step of question.steps) {
    if (step.kind === "tool" && step.searches.length) {
      for (const { phrase, ids } of step.searches) {
        parts.push(make("p.step", {}, "Searched ", make("q", {}, phrase), make("span.found", {}, ids.length ? plural(ids.length, "mask") : "nothing found")));
        const fresh = ids.filter((id) => seen.has(id) && !told.has(id));
        fresh.forEach((id) => told.add(id));
        if (fresh.length) parts.push(make("div.crops", {}, ...fresh.map((id) => crop(seen.get(id), state, does))));
      }
    } else if (step.kind === "note" || step.kind === "thought") {
      parts.push(make(`p.step.${step.kind}`, {}, step.text));
    } else if (step.kind === "tool" && !["select_masks", "report_no_match"].includes(step.name)) {
      parts.push(make("p.step", {}, `Used ${step.name.replaceAll("_", " ")}`));
    } else if (step.kind === "end") {
      parts.push(make("p.answer", {}, step.reason));
      step.warnings.forEach((warning) => parts.push(make("p.step.note", {}, warning)));
    }
  }
  if (question.status.startsWith("failed: ")) parts.push(make("p.step.note", {}, question.status.slice(8)));
  return parts;
}

function crop(one, state, does) {
  const [name, word] = VERDICTS[one.verdict] ?? [null, "not looked at yet"];
  const words = `Mask ${one.id}, score ${one.score.toFixed(2)}: ${one.chosen ? "part of the answer; " : ""}${word}${one.reason ? ` (${one.reason})` : ""}`;
  const figure = make(
    `figure.crop.${one.verdict ?? "pending"}${one.chosen ? ".chosen" : ""}`,
    { tabIndex: 0, title: words, "aria-label": words, onpointerenter: () => does.ghost(one), onpointerleave: () => does.ghost(null), onfocus: () => does.ghost(one), onblur: () => does.ghost(null) },
  );
  const place = make("span");
  figure.append(place, hosted ? make("span.number-of", {}, String(one.id)) : "", name ? make("span.badge", {}, icon(name)) : "");
  const shown = (image) => place.replaceWith(closeUp(image, state.size, one.mask, one.colour, 56));
  if (one.frame > 0) does.imageOf(one.frame).then(shown).catch(() => {});
  else if (state.firstImage) shown(state.firstImage);
  return figure;
}
