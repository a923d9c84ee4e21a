// Two pens with the same strokes: one for a canvas, one for SVG. And the axes that every figure has.
export const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";

export class CanvasPen {
  constructor(canvas, width, height, scale) {
    this.width = width;
    this.height = height;
    if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
    }
    this.g = canvas.getContext("2d");
    this.g.setTransform(scale, 0, 0, scale, 0, 0);
  }
  rect(x, y, w, h, { fill, stroke, width = 1 }) {
    const g = this.g;
    if (fill) { g.fillStyle = fill; g.fillRect(x, y, w, h); }
    if (stroke) { g.strokeStyle = stroke; g.lineWidth = width; g.strokeRect(x, y, w, h); }
  }
  path(points, { stroke, width = 1, fill, closed = false }) {
    if (points.length < 4) return;
    const g = this.g;
    g.beginPath();
    g.moveTo(points[0], points[1]);
    for (let i = 2; i < points.length; i += 2) g.lineTo(points[i], points[i + 1]);
    if (closed) g.closePath();
    if (fill) { g.fillStyle = fill; g.fill(); }
    if (stroke) { g.strokeStyle = stroke; g.lineWidth = width; g.lineJoin = "round"; g.stroke(); }
  }
  dots(points, radius, fill) {
    const g = this.g;
    g.fillStyle = fill;
    for (let i = 0; i < points.length; i += 2) g.fillRect(points[i] - radius, points[i + 1] - radius, 2 * radius, 2 * radius);
  }
  text(content, x, y, { fill, size = 11, anchor = "start", baseline = "alphabetic", turn = 0, weight = 400 }) {
    const g = this.g;
    g.save();
    g.translate(x, y);
    if (turn) g.rotate((turn * Math.PI) / 180);
    g.font = `${weight} ${size}px ${FONT}`;
    g.fillStyle = fill;
    g.textAlign = anchor === "middle" ? "center" : anchor;
    g.textBaseline = baseline;
    g.fillText(content, 0, 0);
    g.restore();
  }
  image(source, x, y, w, h) {
    this.g.imageSmoothingEnabled = false;
    this.g.drawImage(source, x, y, w, h);
  }
  clip(x, y, w, h) {
    this.g.save();
    this.g.beginPath();
    this.g.rect(x, y, w, h);
    this.g.clip();
  }
  unclip() { this.g.restore(); }
}

const escape = (text) => String(text).replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);
const short = (x) => +x.toFixed(2);

export class SvgPen {
  constructor(width, height) {
    this.width = width;
    this.height = height;
    this.parts = [];
    this.clips = 0;
  }
  rect(x, y, w, h, { fill = "none", stroke = "none", width = 1 }) {
    this.parts.push(`<rect x="${short(x)}" y="${short(y)}" width="${short(w)}" height="${short(h)}" fill="${fill}" stroke="${stroke}" stroke-width="${width}"/>`);
  }
  path(points, { stroke = "none", width = 1, fill = "none", closed = false }) {
    if (points.length < 4) return;
    let d = "";
    for (let i = 0; i < points.length; i += 2) d += `${i ? "L" : "M"}${short(points[i])} ${short(points[i + 1])}`;
    this.parts.push(`<path d="${d}${closed ? "Z" : ""}" fill="${fill}" stroke="${stroke}" stroke-width="${width}" stroke-linejoin="round"/>`);
  }
  dots(points, radius, fill) {
    let d = "";
    for (let i = 0; i < points.length; i += 2) d += `M${short(points[i] - radius)} ${short(points[i + 1] - radius)}h${2 * radius}v${2 * radius}h${-2 * radius}z`;
    this.parts.push(`<path d="${d}" fill="${fill}"/>`);
  }
  text(content, x, y, { fill, size = 11, anchor = "start", baseline = "alphabetic", turn = 0, weight = 400 }) {
    const base = { alphabetic: "auto", middle: "central", top: "hanging", bottom: "auto" }[baseline];
    const rotated = turn ? ` transform="rotate(${turn} ${short(x)} ${short(y)})"` : "";
    this.parts.push(`<text x="${short(x)}" y="${short(y)}" fill="${fill}" font-size="${size}" font-weight="${weight}" text-anchor="${anchor}" dominant-baseline="${base}"${rotated}>${escape(content)}</text>`);
  }
  image(source, x, y, w, h) {
    this.parts.push(`<image x="${short(x)}" y="${short(y)}" width="${short(w)}" height="${short(h)}" preserveAspectRatio="none" style="image-rendering:pixelated" href="${source.toDataURL("image/png")}"/>`);
  }
  clip(x, y, w, h) {
    const id = `c${this.clips++}`;
    this.parts.push(`<clipPath id="${id}"><rect x="${short(x)}" y="${short(y)}" width="${short(w)}" height="${short(h)}"/></clipPath><g clip-path="url(#${id})">`);
  }
  unclip() { this.parts.push("</g>"); }
  document() {
    return `<svg xmlns="http://www.w3.org/2000/svg" width="${this.width}" height="${this.height}" viewBox="0 0 ${this.width} ${this.height}" font-family="${escape(FONT)}">${this.parts.join("")}</svg>\n`;
  }
}

export function ticks(low, high, most) {
  if (!(high > low)) return [];
  const rough = (high - low) / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((k) => k * power).find((s) => s >= rough * 0.999);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-6; k++) found.push(k * step);
  return found;
}

export function digits(values) {
  if (values.length < 2) return 0;
  return Math.min(6, Math.max(0, -Math.floor(Math.log10(Math.abs(values[1] - values[0])) + 1e-9)));
}

// Axes around a plot; returns its box and the functions from values to places.
export function axes(pen, colours, { x, y, left = 46, bottom = 32, top = 8, right = 10, grid = true }) {
  const box = { x: left, y: top, w: pen.width - left - right, h: pen.height - top - bottom };
  const sx = (v) => box.x + ((v - x.low) / (x.high - x.low)) * box.w;
  const sy = (v) => box.y + box.h - ((v - y.low) / (y.high - y.low)) * box.h;
  pen.rect(0, 0, pen.width, pen.height, { fill: colours.panel });
  const xs = x.ticks ?? ticks(x.low, x.high, Math.max(2, box.w / 62)), ys = y.ticks ?? ticks(y.low, y.high, Math.max(3, box.h / 34));
  const dx = digits(xs), dy = digits(ys);
  for (const v of xs) {
    if (grid) pen.path([sx(v), box.y, sx(v), box.y + box.h], { stroke: colours.grid });
    pen.text((x.format ?? ((t) => t.toFixed(dx)))(v), sx(v), box.y + box.h + 14, { fill: colours.soft, anchor: "middle" });
  }
  for (const v of ys) {
    if (grid) pen.path([box.x, sy(v), box.x + box.w, sy(v)], { stroke: colours.grid });
    pen.text((y.format ?? ((t) => t.toFixed(dy)))(v), box.x - 6, sy(v), { fill: colours.soft, anchor: "end", baseline: "middle" });
  }
  pen.rect(box.x, box.y, box.w, box.h, { stroke: colours.edge });
  if (x.label) pen.text(x.label, box.x + box.w / 2, pen.height - 4, { fill: colours.soft, anchor: "middle" });
  if (y.label) pen.text(y.label, 11, box.y + box.h / 2, { fill: colours.soft, anchor: "middle", turn: -90 });
  return { box, sx, sy };
}
