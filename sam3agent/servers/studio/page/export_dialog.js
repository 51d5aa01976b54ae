// The dialog that exports what was labelled.

import { download } from "./api.js";
import { find, make, toast } from "./dom.js";
import { state } from "./state.js";

const FORMATS = [
  ["coco", "COCO", "one JSON file with run-length masks"], ["yolo", "YOLO", "polygons per image, with the images"],
  ["png", "PNG", "a black and white file per mask"], ["label-studio", "Label Studio", "brush masks to import as tasks"],
];

/** `failed` receives an error. */
export function exportDialog(failed) {
  const dialog = find("#export-dialog");
  const accepted = state.items.filter((item) => item.accepted).length;
  const any = state.items.filter((item) => item.accepted || item.count).length;
  const choice = (name, value, title, note, checked) =>
    make("label.choice", {}, make("input", { type: "radio", name, value, checked }), make("span", {}, make("strong", {}, title), note));
  const form = make(
    "form", { method: "dialog" },
    make("h2", { id: "export-title" }, "Export"),
    make("div.choices", {}, ...FORMATS.map(([value, title, note], at) => choice("format", value, title, note, at === 0))),
    make("div.choices.short", {}, choice("which", "accepted", `Accepted (${accepted})`, "", accepted > 0), choice("which", "all", `All with objects (${any})`, "", accepted === 0)),
    make("div.row", {}, make("button.main", { value: "ok", disabled: !any }, "Save file"), make("button.quiet", { value: "" }, "Cancel")),
  );
  dialog.replaceChildren(form);
  dialog.returnValue = "";
  dialog.onclose = () => {
    if (dialog.returnValue !== "ok") return;
    const values = new FormData(form);
    download(values.get("format"), values.get("which")).then((name) => toast(`Saved ${name}`, "good")).catch(failed);
  };
  dialog.showModal();
  form.querySelector(":checked").focus();
}
