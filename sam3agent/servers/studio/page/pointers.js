// Mouse, pen and fingers on the stage: one pointer clicks, drags a box or paints; two move and zoom.

const SLOP = 5; // pixels that a click may wander
const LONG = 500; // milliseconds of a press on a touch screen that takes a part away

export class Pointers {
  constructor(stage) {
    this.stage = stage;
    this.pointers = new Map();
    this.listen();
  }

  listen() {
    const { canvas } = this.stage;
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.moved(event));
    canvas.addEventListener("pointerup", (event) => this.up(event));
    canvas.addEventListener("pointercancel", (event) => this.cancel(event));
    canvas.addEventListener("pointerleave", () => {
      this.stage.pointer = null;
      this.stage.hover(null);
    });
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("dblclick", (event) => event.preventDefault());
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
  }

  wheel(event) {
    event.preventDefault();
    const unit = event.deltaMode ? 16 : 1;
    if (event.shiftKey) this.stage.move(-event.deltaY * unit, 0);
    else this.stage.zoom(Math.exp(-event.deltaY * unit * (event.ctrlKey ? 0.01 : 0.0018)), { x: event.offsetX, y: event.offsetY });
  }

  down(event) {
    if (!this.stage.image) return;
    this.stage.canvas.setPointerCapture(event.pointerId);
    const at = { x: event.offsetX, y: event.offsetY };
    this.pointers.set(event.pointerId, at);
    if (this.pointers.size > 1) {
      this.stage.drag = { kind: "pinch" };
      return;
    }
    const image = this.stage.toImage(at);
    const pans = event.button === 1 || this.stage.tool === "hand";
    const minus = event.button === 2 || event.altKey;
    if (pans) this.stage.drag = { kind: "pan", last: at };
    else if (this.stage.tool === "paint" && this.stage.inside(image)) {
      this.stage.drag = { kind: "stroke", points: [[image.x, image.y]], radius: this.stage.radius, adds: this.stage.adds && !minus };
    } else {
      this.stage.drag = { kind: "press", at, from: this.stage.clamp(image), started: performance.now(), minus, inside: this.stage.inside(image) };
    }
    this.stage.redraw();
  }

  moved(event) {
    const at = { x: event.offsetX, y: event.offsetY };
    const image = this.stage.toImage(at);
    const { drag } = this.stage;
    if (this.pointers.has(event.pointerId) && drag?.kind === "pinch") this.pinch(event.pointerId, at);
    if (this.pointers.has(event.pointerId)) this.pointers.set(event.pointerId, at);
    if (!drag) {
      this.stage.pointer = image;
      this.stage.hover(this.stage.masksShown ? this.stage.objectAt(image)?.id ?? null : null);
      if (this.stage.tool === "paint") this.stage.redraw();
      return;
    }
    if (drag.kind === "pan") {
      this.stage.move(at.x - drag.last.x, at.y - drag.last.y);
      drag.last = at;
    } else if (drag.kind === "stroke") {
      const { x, y } = this.stage.clamp(image);
      drag.points.push([x, y]);
      this.stage.redraw();
    } else if (drag.kind === "press" && Math.hypot(at.x - drag.at.x, at.y - drag.at.y) > SLOP) {
      drag.kind = "box";
    }
    if (drag.kind === "box") {
      drag.to = this.stage.clamp(image);
      this.stage.redraw();
    }
  }

  pinch(id, at) {
    const before = this.pointers.get(id);
    const other = [...this.pointers].find(([key]) => key !== id)?.[1];
    if (!other) return;
    const gap = (point) => Math.hypot(point.x - other.x, point.y - other.y);
    this.stage.move((at.x - before.x) / 2, (at.y - before.y) / 2);
    this.stage.zoom(gap(at) / Math.max(1, gap(before)), { x: (at.x + other.x) / 2, y: (at.y + other.y) / 2 });
  }

  up(event) {
    const { drag } = this.stage;
    this.pointers.delete(event.pointerId);
    if (drag?.kind === "pinch" && this.pointers.size) return;
    this.stage.drag = null;
    if (drag?.kind === "press" && drag.inside) {
      const long = event.pointerType === "touch" && performance.now() - drag.started > LONG;
      this.stage.on.click(drag.from, drag.minus || long, event.shiftKey);
    } else if (drag?.kind === "box" && drag.to) {
      const { from, to } = drag;
      const box = [Math.min(from.x, to.x), Math.min(from.y, to.y), Math.max(from.x, to.x), Math.max(from.y, to.y)];
      if (box[2] - box[0] >= 1 && box[3] - box[1] >= 1) this.stage.on.box(box);
    } else if (drag?.kind === "stroke") {
      this.stage.on.stroke(drag.points, drag.radius, drag.adds);
    }
    this.stage.redraw();
  }

  cancel(event) {
    this.pointers.delete(event.pointerId);
    this.stage.drag = null;
    this.stage.redraw();
  }
}
