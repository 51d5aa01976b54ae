// The state of this tab: what the server said last, and what is chosen here. Only app.js changes it.

export const state = {
  title: "", items: [], labels: [], weights: "", // of the studio
  id: null, name: "", kind: "image", size: { width: 1, height: 1 }, count: 1, rate: 1, frame: 0, seen: 0, version: -1, // of the item
  accepted: false, undo: null, redo: null, objects: [], questions: [], follow: null, firstImage: null,
  selected: null, hidden: new Set(), masksShown: true, playing: false, status: "", warm: false, // of this tab
  phrases: [], recent: [], label: "", mode: "find", problem: "",
};

export const knownObject = (id) => state.objects.find((one) => one.id === id);

/** The next item after this one that is not accepted. */
export function nextOpen() {
  const at = state.items.findIndex((item) => item.id === state.id);
  const order = [...state.items.slice(at + 1), ...state.items.slice(0, at)];
  return order.find((item) => !item.accepted && !item.problem);
}
