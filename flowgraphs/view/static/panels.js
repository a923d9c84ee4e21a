// The figures: what each shows, how it is drawn with a pen, and its numbers as CSV.
import { axes } from "./pen.js";

const ROWS = 300; // of the waterfall
const MAP = [[4, 6, 20], [28, 16, 68], [79, 18, 123], [136, 34, 106], [190, 55, 82], [227, 89, 51], [249, 140, 10], [249, 201, 50], [252, 255, 164]];
const COLOUR = new Uint8Array(256 * 3);
for (let i = 0; i < 256; i++) {
  const at = (i / 255) * (MAP.length - 1), k = Math.min(MAP.length - 2, Math.floor(at)), part = at - k;
  for (let c = 0; c < 3; c++) COLOUR[3 * i + c] = MAP[k][c] + part * (MAP[k + 1][c] - MAP[k][c]);
}
const number = (v, n = 6) => (Number.isFinite(v) ? String(+v.toPrecision(n)) : "");
const table = (head, rows) => [head.join(","), ...rows.map((row) => row.join(","))].join("\n") + "\n";

// Everything the figures are drawn from.
export class Model {
  constructor() {
    this.about = null;
    this.state = null;
    this.line = null; // newest picture of the line
    this.shown = null; // picture of the packet that is shown
    this.shownRow = null;
    this.packets = [];
    this.rows = []; // of the waterfall, newest last: {first, end, lev0, lev1}
    this.image = document.createElement("canvas");
    this.range = [-100, -30];
    this.hold = null;
    this.jump = -1;
  }
  begin(about) {
    this.about = about;
    this.image.width = Math.max(1, about.columns);
    this.image.height = ROWS;
    this.clear();
  }
  clear() {
    this.rows = [];
    this.hold = null;
    const g = this.image.getContext("2d", { willReadFrequently: true });
    g.fillStyle = "#04060f";
    g.fillRect(0, 0, this.image.width, this.image.height);
  }
  take(frame) {
    if (!this.about) return;
    const columns = this.about.columns, data = frame.arrays.rows, count = Math.floor(data.length / columns);
    if (frame.jump !== this.jump) {
      this.jump = frame.jump;
      this.clear();
    }
    this.line = frame;
    if (!count) return;
    const sorted = Float32Array.from(data.length > 20000 ? data.subarray(0, 20000) : data).sort();
    const floor = sorted[Math.floor(sorted.length * 0.4)], peak = sorted[sorted.length - 1];
    const low = floor - 4, high = Math.max(low + 30, Math.min(peak, low + 70));
    const quick = this.rows.length ? 0.03 : 1;
    this.range = [this.range[0] + quick * (low - this.range[0]), this.range[1] + Math.max(quick, high > this.range[1] ? 0.5 : 0) * (high - this.range[1])];
    const g = this.image.getContext("2d", { willReadFrequently: true });
    const used = Math.min(count, ROWS), skip = count - used;
    if (used < ROWS) g.drawImage(this.image, 0, 0, columns, ROWS - used, 0, used, columns, ROWS - used);
    const pixels = g.createImageData(columns, used), [a, b] = this.range, factor = 255 / (b - a);
    for (let r = 0; r < used; r++) {
      const from = (skip + r) * columns, to = (used - 1 - r) * columns; // the newest is on top
      for (let c = 0; c < columns; c++) {
        const v = Math.max(0, Math.min(255, ((data[from + c] - a) * factor) | 0));
        pixels.data[4 * (to + c)] = COLOUR[3 * v];
        pixels.data[4 * (to + c) + 1] = COLOUR[3 * v + 1];
        pixels.data[4 * (to + c) + 2] = COLOUR[3 * v + 2];
        pixels.data[4 * (to + c) + 3] = 255;
      }
    }
    g.putImageData(pixels, 0, 0);
    const step = (frame.end - frame.first) / count;
    for (let r = skip; r < count; r++) {
      this.rows.push({ first: frame.first + r * step, end: frame.first + (r + 1) * step, lev0: frame.arrays.lev0[r], lev1: frame.arrays.lev1[r] });
    }
    this.rows.splice(0, Math.max(0, this.rows.length - ROWS));
    if (!this.hold || this.hold.length !== columns) this.hold = Float32Array.from(frame.arrays.spec);
    for (let c = 0; c < columns; c++) this.hold[c] = Math.max(frame.arrays.spec[c], this.hold[c] - 0.4);
  }
  rowsShown(step) {
    const length = this.about.length_s; // a short recording fills the figure
    return length ? Math.min(ROWS, Math.max(40, Math.ceil(length / step - 1e-6))) : ROWS;
  }
  newest(count) {
    if (count >= ROWS) return this.image;
    this.part ??= document.createElement("canvas");
    this.part.width = this.image.width;
    this.part.height = count;
    this.part.getContext("2d").drawImage(this.image, 0, 0);
    return this.part;
  }
  get span() { // of time that the figures over time show
    const last = this.rows[this.rows.length - 1];
    if (!last) return [0, 1];
    const step = last.end - last.first;
    return [last.end - this.rowsShown(step) * step, last.end];
  }
  hertz(column) {
    const [low, high] = this.about.edges_hz;
    return low + ((column + 0.5) / this.about.columns) * (high - low);
  }
}

function kilohertz(model) {
  const [low, high] = model.about.edges_hz;
  return { low: low / 1e3, high: high / 1e3, label: "frequency [kHz]" };
}

function bands(pen, model, colours, sx, box) {
  for (const [name, carrier] of Object.entries(model.about.carriers)) {
    const a = Math.max(box.x, sx(carrier.edges_hz[0] / 1e3)), b = Math.min(box.x + box.w, sx(carrier.edges_hz[1] / 1e3));
    if (b > a) pen.rect(a, box.y, b - a, box.h, { fill: colours[`${name}Soft`] });
  }
}

function packetsBetween(model, first, end) {
  const found = [];
  for (let k = model.packets.length - 1; k >= 0 && found.length < 400; k--) {
    const p = model.packets[k];
    if (p.end_s > first && p.start_s < end) found.push(p);
    if (p.end_s < first - 5) break;
  }
  return found;
}

const spectrum = {
  id: "spectrum", title: "Spectrum", ratio: 0.34, of: "line",
  help: "How strong the line is at each frequency. The dark trace is the last tenth of a second, largest value of each place; the light one holds peaks for a while. The shaded bands are the two carriers a packet may use. 0 dBV is a sine of 1 V rms (full scale where the recording has no volts).",
  draw(pen, m, c) {
    const frame = m.line, values = frame?.arrays.spec;
    const [low, high] = m.range;
    const { box, sx, sy } = axes(pen, c, { x: kilohertz(m), y: { low: Math.floor(low / 10) * 10 - 10, high: Math.ceil(high / 10) * 10 + 10, label: "level [dBV]" } });
    pen.clip(box.x, box.y, box.w, box.h);
    bands(pen, m, c, sx, box);
    const trace = (array) => {
      const points = new Float64Array(2 * array.length);
      for (let k = 0; k < array.length; k++) { points[2 * k] = sx(m.hertz(k) / 1e3); points[2 * k + 1] = sy(array[k]); }
      return points;
    };
    if (m.hold) pen.path(trace(m.hold), { stroke: c.hold, width: 1 });
    if (values) pen.path(trace(values), { stroke: c.ink, width: 1.3 });
    const lowest = Math.min(...Object.values(m.about.carriers).map((carrier) => carrier.hz));
    for (const [name, carrier] of Object.entries(m.about.carriers)) {
      const side = carrier.hz === lowest ? 0 : 1, at = sx(carrier.edges_hz[side] / 1e3) + (side ? 5 : -5);
      if (at < box.x + box.w) pen.text(name, at, box.y + 13, { fill: c[name], anchor: side ? "start" : "end", weight: 600, size: 10.5 });
    }
    pen.unclip();
  },
  csv: (m) => table(["frequency_hz", "level_dbv"], Array.from(m.line?.arrays.spec ?? [], (v, k) => [number(m.hertz(k), 8), number(v)])),
};

const waterfall = {
  id: "waterfall", title: "Waterfall", ratio: 0.66, of: "line",
  help: "The spectrum over time: newest on top, bright is strong. A packet is a block in one of the two carrier bands; boxes mark those that were decoded, red where the CRC failed. Steady lines are narrow-band interference, horizontal streaks are impulses.",
  draw(pen, m, c) {
    const rows = m.rows, end = rows.length ? rows[rows.length - 1].end : 0;
    const step = rows.length ? rows[rows.length - 1].end - rows[rows.length - 1].first : 0.02;
    const count = m.rowsShown(step), first = end - count * step;
    const { box, sx, sy } = axes(pen, c, { x: kilohertz(m), y: { low: first, high: end, label: "time [s]" }, grid: false });
    pen.image(m.newest(count), box.x, box.y, box.w, box.h);
    pen.clip(box.x, box.y, box.w, box.h);
    for (const p of packetsBetween(m, first, end)) {
      const carrier = m.about.carriers[p.carrier];
      if (!carrier) continue;
      const [a, b] = carrier.edges_hz.map((hz) => sx(hz / 1e3)), top = sy(p.end_s), bottom = sy(p.start_s);
      const chosen = m.shownRow && m.shownRow.id === p.id;
      pen.rect(a - 3, top, b - a + 6, Math.max(1, bottom - top), { stroke: p.crc_ok ? (chosen ? "#ffffff" : "#7fdbff") : "#ff5c5c", width: chosen ? 2 : 1 });
    }
    pen.unclip();
    pen.rect(box.x, box.y, box.w, box.h, { stroke: c.edge });
  },
  csv: (m) => table(["start_s", "end_s", "primary_dbv", "secondary_dbv"], m.rows.map((r) => [number(r.first, 9), number(r.end, 9), number(r.lev0), number(r.lev1)])),
};

function envelope(pen, m, c, values, first, end, options = {}) {
  const unit = end - first < 2 ? 1e3 : 1, label = unit === 1e3 ? "time [ms]" : "time [s]";
  let peak = 1e-9;
  for (const v of values) peak = Math.max(peak, Math.abs(v));
  const milli = peak < 0.5 ? 1e3 : 1;
  const top = peak * milli * 1.1;
  const { box, sx, sy } = axes(pen, c, { x: { low: 0, high: (end - first) * unit, label: options.label ?? label }, y: { low: -top, high: top, label: milli === 1e3 ? "line [mV]" : "line [V]" } });
  pen.clip(box.x, box.y, box.w, box.h);
  options.under?.(sx, box, unit);
  const n = values.length / 2, points = [];
  for (let k = 0; k < n; k++) points.push(box.x + ((k + 0.5) / n) * box.w, sy(values[2 * k + 1] * milli));
  for (let k = n - 1; k >= 0; k--) points.push(box.x + ((k + 0.5) / n) * box.w, sy(values[2 * k] * milli));
  pen.path(points, { fill: c.wave, stroke: c.wave, width: 0.8, closed: true });
  pen.unclip();
}

const envelopeCsv = (values, first, end) => {
  const n = values.length / 2;
  return table(["time_s", "lowest_v", "highest_v"], Array.from({ length: n }, (_, k) => [number(first + ((k + 0.5) / n) * (end - first), 9), number(values[2 * k]), number(values[2 * k + 1])]));
};

const waveform = {
  id: "waveform", title: "Waveform", ratio: 0.28, of: "line",
  help: "The voltage of the line in the last tenth of a second, lowest and highest value of each place. Decoded packets are shaded in the colour of their carrier.",
  draw(pen, m, c) {
    const values = m.line?.arrays.wave ?? new Float32Array(0), end = m.line?.end ?? 0.1, first = end - 0.1;
    envelope(pen, m, c, values, first, end, {
      label: `time [ms] before ${end.toFixed(3)} s`,
      under: (sx, box) => {
        for (const p of packetsBetween(m, first, end)) {
          const a = Math.max(box.x, sx((p.start_s - first) * 1e3)), b = Math.min(box.x + box.w, sx((p.end_s - first) * 1e3));
          if (b > a) pen.rect(a, box.y, b - a, box.h, { fill: p.crc_ok ? c[`${p.carrier}Soft`] : c.badSoft });
        }
      },
    });
  },
  csv: (m) => envelopeCsv(m.line?.arrays.wave ?? [], (m.line?.end ?? 0.1) - 0.1, m.line?.end ?? 0),
};

const occupancy = {
  id: "occupancy", title: "Channel occupancy", ratio: 0.36, of: "line",
  help: "Who holds the line: bars are packets on the primary (lower row) and secondary carrier, red where the CRC failed. The curves are the level within each carrier's band. The figures above count the air time of packets in the last ten seconds.",
  draw(pen, m, c) {
    const [first, end] = m.span;
    let low = Infinity, high = -Infinity;
    for (const row of m.rows) { low = Math.min(low, row.lev0, row.lev1); high = Math.max(high, row.lev0, row.lev1); }
    if (low > high) [low, high] = [-60, 0];
    const bottom = Math.floor((low - 18) / 10) * 10, top = Math.ceil((high + 3) / 10) * 10;
    const { box, sx, sy } = axes(pen, c, { x: { low: first, high: end, label: "time [s]" }, y: { low: bottom, high: top, label: "level [dBV]" } });
    pen.clip(box.x, box.y, box.w, box.h);
    for (const [k, name] of ["primary", "secondary"].entries()) {
      for (const p of packetsBetween(m, first, end)) {
        if (p.carrier !== name) continue;
        pen.rect(sx(p.start_s), box.y + box.h - 11 - 11 * k, Math.max(1.5, sx(p.end_s) - sx(p.start_s)), 9, { fill: p.crc_ok ? c[name] : c.bad });
      }
      const points = [];
      for (const row of m.rows) points.push(sx((row.first + row.end) / 2), sy(k ? row.lev1 : row.lev0));
      pen.path(points, { stroke: c[name], width: 1 });
    }
    pen.unclip();
  },
  csv: (m) => waterfall.csv(m),
};

const constellation = {
  id: "constellation", title: "Constellation", ratio: 0.8, of: "packet",
  help: "Every bit of the packet as the receiver saw it, after carrier and timing recovery: right is 1, left is 0. Two tight clouds are a clean packet. Wide clouds are noise, an ellipse or a ring is a carrier that was not followed.",
  draw(pen, m, c) {
    const values = m.shown?.arrays.cons ?? [];
    let reach = 1.6;
    for (const v of values) reach = Math.max(reach, Math.min(4, Math.abs(v) * 1.05));
    const wide = Math.min(pen.width - 56, (pen.height - 40) * 1.6), range = { low: -reach, high: reach };
    const across = (reach * wide) / (pen.height - 40); // the same scale both ways
    const { box, sx, sy } = axes(pen, c, { x: { low: -across, high: across, label: "in phase" }, y: { ...range, label: "quadrature" }, right: Math.max(8, pen.width - 46 - wide) });
    pen.clip(box.x, box.y, box.w, box.h);
    pen.path([sx(0), box.y, sx(0), box.y + box.h], { stroke: c.soft });
    const points = new Float64Array(values.length);
    for (let k = 0; k < values.length; k += 2) { points[k] = sx(values[k]); points[k + 1] = sy(values[k + 1]); }
    pen.dots(points, values.length > 1200 ? 1 : 1.5, c[m.shownRow?.carrier ?? "primary"]);
    pen.unclip();
  },
  csv: (m) => table(["bit", "in_phase", "quadrature"], Array.from({ length: (m.shown?.arrays.cons?.length ?? 0) / 2 }, (_, k) => [k, number(m.shown.arrays.cons[2 * k]), number(m.shown.arrays.cons[2 * k + 1])])),
};

const eye = {
  id: "eye", title: "Eye diagram", ratio: 0.8, of: "packet",
  help: "The filtered signal around every bit, laid over each other: two bit times wide, the decision falls in the middle. An open eye there means that bits are easily told apart; where it closes sideways, timing is uncertain.",
  draw(pen, m, c) {
    const values = m.shown?.arrays.eye ?? [], n = m.about.eye_points;
    const { box, sx, sy } = axes(pen, c, { x: { low: -1, high: 1, label: "time [bits]" }, y: { low: -2.2, high: 2.2, label: "in phase" } });
    pen.clip(box.x, box.y, box.w, box.h);
    pen.path([sx(0), box.y, sx(0), box.y + box.h], { stroke: c.soft });
    for (let k = 0; k + n <= values.length; k += n) {
      const points = [];
      for (let i = 0; i < n; i++) points.push(sx(-1 + (2 * i) / (n - 1)), sy(values[k + i]));
      pen.path(points, { stroke: c[`${m.shownRow?.carrier ?? "primary"}Line`], width: 1 });
    }
    if (m.shown && !values.length) pen.text("the samples of this packet are gone", box.x + box.w / 2, box.y + box.h / 2, { fill: c.soft, anchor: "middle" });
    pen.unclip();
  },
  csv: (m) => {
    const values = m.shown?.arrays.eye ?? [], n = m.about.eye_points;
    return table(["trace", "time_bits", "in_phase"], Array.from(values, (v, k) => [Math.floor(k / n), number(-1 + (2 * (k % n)) / (n - 1)), number(v)]));
  },
};

function loop(pen, m, c, dots, line, label, floor) {
  let reach = floor;
  for (const v of dots ?? []) reach = Math.max(reach, Math.min(90, Math.abs(v) * 1.1));
  for (const v of line ?? []) reach = Math.max(reach, Math.abs(v) * 1.1);
  const bits = Math.max(1, dots?.length ?? 0, line?.length ?? 0);
  const { box, sx, sy } = axes(pen, c, { x: { low: 0, high: bits, label: "bit of the packet" }, y: { low: -reach, high: reach, label } });
  pen.clip(box.x, box.y, box.w, box.h);
  const header = sx(Math.min(bits, m.about.header_bits));
  pen.rect(box.x, box.y, header - box.x, box.h, { fill: c.headerSoft });
  pen.path([box.x, sy(0), box.x + box.w, sy(0)], { stroke: c.soft });
  if (dots) {
    const points = new Float64Array(2 * dots.length);
    for (let k = 0; k < dots.length; k++) { points[2 * k] = sx(k + 0.5); points[2 * k + 1] = sy(dots[k]); }
    pen.dots(points, 1.3, c.hold);
  }
  if (line) {
    const points = [];
    for (let k = 0; k < line.length; k++) points.push(sx(k + 0.5), sy(line[k]));
    pen.path(points, { stroke: c[m.shownRow?.carrier ?? "primary"], width: 1.6 });
  }
  pen.unclip();
}

const phase = {
  id: "phase", title: "Carrier loop", ratio: 0.42, of: "packet",
  help: "Dots: by how many degrees each bit was off the carrier that the loop had recovered, its error. Line: the carrier phase that the loop followed, without the steady turn of the clock error. The shaded part is the known header.",
  draw: (pen, m, c) => loop(pen, m, c, m.shown?.arrays.pher, m.shown?.arrays.phlp, "phase [°]", 20),
  csv: (m) => table(["bit", "error_deg", "loop_phase_deg"], Array.from(m.shown?.arrays.pher ?? [], (v, k) => [k, number(v), number(m.shown.arrays.phlp?.[k])])),
};

const timing = {
  id: "timing", title: "Timing loop", ratio: 0.42, of: "packet",
  help: "Where in the bit the receiver decided, in percent of a bit, without the steady drift of the clock error. A flat line is a loop at rest; a bend at the beginning is the loop pulling in.",
  draw: (pen, m, c) => loop(pen, m, c, null, m.shown?.arrays.tmlp, "timing [% of a bit]", 3),
  csv: (m) => table(["bit", "timing_percent"], Array.from(m.shown?.arrays.tmlp ?? [], (v, k) => [k, number(v)])),
};

export const packetWave = {
  id: "packetwave", title: "Packet waveform", ratio: 0.26, of: "packet",
  help: "The line voltage while the packet was on it. The shaded part is its known header.",
  draw(pen, m, c) {
    const s = m.shown, r = m.shownRow;
    const first = s?.first ?? 0, end = s?.end ?? 1;
    envelope(pen, m, c, s?.arrays.wave ?? [], first, end, {
      under: (sx, box, unit) => {
        if (!r) return;
        const a = sx((r.start_s - first) * unit), b = sx((r.start_s - first + m.about.header_bits / m.about.bit_rate) * unit), e = sx((r.end_s - first) * unit);
        pen.rect(a, box.y, b - a, box.h, { fill: c.headerSoft });
        pen.rect(b, box.y, e - b, box.h, { fill: c[`${r.carrier}Soft`] });
      },
    });
  },
  csv: (m) => envelopeCsv(m.shown?.arrays.wave ?? [], m.shown?.first ?? 0, m.shown?.end ?? 0),
};

export const PANELS = [spectrum, waterfall, waveform, constellation, eye, phase, occupancy, timing];
