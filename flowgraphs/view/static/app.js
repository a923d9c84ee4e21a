// The page: one WebSocket, the newest picture only, drawn when the browser is ready to draw.
import { LINE, PACKET, parseFrame } from "./frames.js";
import { CanvasPen, SvgPen } from "./pen.js";
import { Model, PANELS, packetWave } from "./panels.js";
import { element, save, seconds, showPacket } from "./packet.js";

const $ = (id) => document.getElementById(id);
const LISTED = 300; // rows of the list at most
const KEPT = 20000; // packets remembered
const model = new Model();
const stats = (window.stats = { rx: 0, drawn: 0, fps: 0, latency: 0, packets: 0, connected: false });
let socket = null, wait = 500, pending = null, newestPacket = null;
let frozen = null, jumpBefore = null; // frozen: at which packet; jumpBefore: of the pictures that a seek will end
let pinned = null, freezeFrom = Infinity, sliding = false, listDirty = false, seekTimer = 0, seekTo = null;
let colours = {};
let shownInList = new Set();
const byId = new Map();

// ---- colours of the style sheet, for the canvases
function readColours() {
  const style = getComputedStyle(document.documentElement), get = (name) => style.getPropertyValue(`--${name}`).trim();
  const shade = (name, part) => get(name) + Math.round(part * 255).toString(16).padStart(2, "0");
  colours = {
    panel: get("panel"), ink: get("ink"), soft: get("soft"), edge: get("edge"), grid: get("grid"), hold: get("hold"), wave: get("wave"),
    primary: get("primary"), secondary: get("secondary"), bad: get("bad"),
    primarySoft: shade("primary", 0.13), secondarySoft: shade("secondary", 0.13), badSoft: shade("bad", 0.16), headerSoft: shade("soft", 0.16),
    primaryLine: shade("primary", 0.22), secondaryLine: shade("secondary", 0.22),
  };
  for (const figure of figures) figure.dirty = true;
}

// ---- figures
const figures = [];
function addFigure(panel, parent, cls) {
  const canvas = element("canvas", { role: "img", "aria-label": panel.title });
  const reading = element("p", { class: "reading", id: `${panel.id}-reading`, hidden: "" }, panel.help);
  const title = element("h2", {}, panel.title, " ", element("small"));
  const ask = element("button", { type: "button", "aria-expanded": "false", "aria-controls": reading.id, title: panel.help, "aria-label": `${panel.title}: what am I looking at?` }, "?");
  ask.addEventListener("click", () => {
    reading.hidden = !reading.hidden;
    ask.setAttribute("aria-expanded", String(!reading.hidden));
  });
  const caption = element("figcaption", {}, title, ask);
  for (const kind of ["PNG", "SVG", "CSV"]) {
    caption.append(element("button", { type: "button", "data-save": kind, "aria-label": `Save ${panel.title} as ${kind}`, onclick: () => saveFigure(figure, kind) }, kind));
  }
  const node = element("figure", { id: panel.id, class: cls }, caption, reading, ...(panel.id === "occupancy" ? [element("p", { class: "occupied", id: "occupied" })] : []), element("div", { class: "plot" }, canvas));
  const figure = { panel, canvas, node, small: title.querySelector("small"), width: 0, height: 0, dirty: true, seen: true };
  parent.append(node);
  figures.push(figure);
  figure.plot = canvas.parentElement;
  new ResizeObserver(() => fit(figure)).observe(figure.plot);
  new IntersectionObserver(([entry]) => { figure.seen = entry.isIntersecting; figure.dirty = true; }).observe(node);
}
function fit(figure) {
  const width = figure.plot.clientWidth;
  if (width <= 0) return;
  figure.plot.style.minHeight = `${Math.round(Math.min(460, Math.max(150, width * figure.panel.ratio)))}px`;
  const height = figure.plot.clientHeight; // more than that where the figure beside it is higher
  if (width === figure.width && height === figure.height) return;
  figure.width = width;
  figure.height = height;
  figure.dirty = true;
}
function drawFigure(figure) {
  if (!model.about || !figure.width) return;
  figure.panel.draw(new CanvasPen(figure.canvas, figure.width, figure.height, Math.min(2, window.devicePixelRatio || 1)), model, colours);
}
function fileName(figure, kind) {
  const at = figure.panel.of === "packet" && model.shownRow ? `packet-${model.shownRow.id}` : `${(model.line?.end ?? 0).toFixed(3)}s`;
  return `osgp-${figure.panel.id}-${at}.${kind.toLowerCase()}`;
}
function saveFigure(figure, kind) {
  if (!model.about) return;
  const width = Math.max(640, figure.width), height = Math.round((width * figure.height) / Math.max(1, figure.width));
  if (kind === "CSV") return save(fileName(figure, kind), figure.panel.csv(model), "text/csv");
  if (kind === "SVG") {
    const pen = new SvgPen(width, height);
    figure.panel.draw(pen, model, colours);
    return save(fileName(figure, kind), pen.document(), "image/svg+xml");
  }
  const canvas = document.createElement("canvas");
  figure.panel.draw(new CanvasPen(canvas, width, height, 2), model, colours);
  canvas.toBlob((blob) => save(fileName(figure, kind), blob, "image/png"), "image/png");
}

// ---- what the server tells
function connect() {
  const address = new URL("ws", location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  socket = new WebSocket(address);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => {
    wait = 500;
    stats.connected = true;
    model.packets = [];
    byId.clear();
    banner("");
    listDirty = true;
  };
  socket.onmessage = (event) => {
    if (typeof event.data === "string") return hear(JSON.parse(event.data));
    stats.rx++;
    const frame = parseFrame(event.data);
    // Only the newest picture of the line is kept; rows that were not drawn yet go into the waterfall all the same.
    if (frame.kind === LINE) {
      model.take(frame);
      if (frame.jump !== jumpBefore) jumpBefore = null;
      pending = frame;
      checkFreeze();
    } else if (frame.kind === PACKET && pinned === null) newestPacket = frame;
  };
  socket.onclose = (event) => {
    stats.connected = false;
    banner(event.code === 1013 ? `${event.reason}; trying again` : "The connection is lost; trying again …");
    setTimeout(connect, wait);
    wait = Math.min(5000, wait * 2);
  };
}
const say = (command) => { if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(command)); };

function hear(message) {
  if (message.type === "hello") begin(message);
  else if (message.type === "state") takeState(message);
  else if (message.type === "packets") takePackets(message.items);
  else if (message.type === "notes") takeNotes(message.items);
}
function begin(about) {
  model.begin(about);
  $("name").textContent = about.name.split("/").pop();
  $("name").title = about.name;
  document.title = `${about.name.split("/").pop()} – osgp-sdr view`;
  const rate = about.sample_rate >= 1e6 ? `${about.sample_rate / 1e6} MS/s` : `${about.sample_rate / 1e3} kS/s`;
  $("about").textContent = `${about.live ? "live" : `recording, ${about.length_s.toFixed(2)} s`} · ${rate} · ${about.title || about.profile}`;
  $("seek").hidden = about.live;
  if (!about.live) {
    $("slider").max = about.length_s;
    $("slider").step = about.length_s > 100 ? 0.01 : 0.001;
    $("speed").replaceChildren(...about.speeds.map((s) => element("option", { value: s, ...(s === 1 ? { selected: "" } : {}) }, `${s}×`)));
  }
  for (const figure of figures) figure.dirty = true;
}
function takeState(state) {
  const jumped = model.state && Math.abs(state.position_s - model.state.position_s) > 2;
  if (state.playing && model.state?.playing === false) thaw(); // whoever pressed Play, here or on another page
  model.state = state;
  if (jumped) listDirty = true;
  $("play").textContent = state.playing ? "Pause" : "Play";
  $("play").setAttribute("aria-pressed", String(state.playing));
  if (document.activeElement !== $("speed")) $("speed").value = state.speed;
  const n = state.counters, busy = state.occupancy;
  $("count-packets").textContent = n.packets;
  $("count-ok").textContent = n.crc_ok;
  $("count-bad").textContent = n.crc_bad;
  const percent = (x) => `${(100 * x).toFixed(x < 0.1 ? 1 : 0)} %`;
  $("count-busy").textContent = percent(busy.any);
  $("occupied").replaceChildren(
    element("span", { class: "primary" }, "primary ", element("b", {}, percent(busy.primary))),
    element("span", { class: "secondary" }, "secondary ", element("b", {}, percent(busy.secondary))),
    element("span", {}, "either ", element("b", {}, percent(busy.any))),
    element("span", {}, `air time of the last ${busy.window_s.toFixed(busy.window_s < 9.95 ? 1 : 0)} s`));
  const list = [];
  const add = (name, value) => list.push(element("div", {}, element("dt", {}, name), element("dd", {}, String(value))));
  add("source", state.source);
  add(model.about?.live ? "received up to" : "decoded up to", seconds(state.decoded_s));
  for (const [name, value] of Object.entries(n)) if (value || name !== "forgotten") add(name.replaceAll("_", " ").replace("crc", "CRC"), value);
  for (const [name, value] of Object.entries(state.statistics)) if (value && name !== "samples") add(`source: ${name}`, value);
  for (const [name, value] of Object.entries(state.cpu)) add(`${name}: of a core`, `${(100 * value).toFixed(1)} %`);
  add("pictures sent", state.sent);
  add("rows left out", state.dropped);
  add("pictures a second", stats.fps.toFixed(1));
  add("latency", `${(1e3 * stats.latency).toFixed(0)} ms`);
  $("counters").replaceChildren(...list);
  if (state.source.startsWith("ended") || state.source.startsWith("stopped")) banner(`The source has ${state.source}.`);
  placeSlider(state.position_s);
}
function takePackets(items) {
  for (const p of items) {
    if (byId.has(p.id)) continue;
    byId.set(p.id, p);
    model.packets.push(p);
  }
  if (model.packets.length > KEPT) for (const p of model.packets.splice(0, model.packets.length - KEPT)) byId.delete(p.id);
  stats.packets = model.packets.length;
  listDirty = true;
  checkFreeze();
}
function takeNotes(items) {
  $("events").hidden = false;
  const list = $("notes");
  for (const note of items) list.prepend(element("li", {}, element("time", {}, seconds(note.at_s)), element("b", {}, note.who), note.text));
  while (list.childNodes.length > 200) list.lastChild.remove();
}
function banner(text) {
  $("banner").hidden = !text;
  $("banner").textContent = text;
}

// ---- playing
const now = () => model.line?.end ?? model.state?.position_s ?? 0;
function togglePlay() { say({ do: model.state?.playing === false ? "play" : "pause" }); }
// Once the line goes on, what a freeze has put on the page holds no longer.
function thaw() {
  if (frozen === null) return;
  banner("");
  if (pinned === frozen) follow();
  frozen = null;
}
function seek(to) {
  if (!model.about || model.about.live) return;
  seekTo = Math.max(0, Math.min(model.about.length_s, to));
  placeSlider(seekTo);
  if (freezeFrom !== Infinity) freezeFrom = seekTo;
  if (seekTimer) return;
  jumpBefore = model.jump;
  say({ do: "seek", to: seekTo });
  seekTo = null;
  seekTimer = setTimeout(() => { seekTimer = 0; if (seekTo !== null) seek(seekTo); }, 110);
}
function placeSlider(position) {
  $("position").value = seconds(position);
  if (!sliding) $("slider").value = position;
  $("slider").setAttribute("aria-valuetext", seconds(position));
}
function checkFreeze() {
  if (freezeFrom === Infinity || frozen !== null || jumpBefore !== null || model.state?.playing === false) return;
  const until = now();
  const failed = model.packets.filter((p) => !p.crc_ok && p.end_s > freezeFrom && p.end_s <= until);
  const bad = failed.sort((a, b) => a.end_s - b.end_s)[0];
  if (!bad) return;
  freezeFrom = bad.end_s;
  frozen = bad.id;
  say({ do: "pause" });
  if (model.about && !model.about.live) seek(bad.end_s);
  choose(bad.id);
  banner(`Frozen: the packet at ${seconds(bad.start_s)} failed its CRC.`);
}
function step(direction) {
  const at = now(), sorted = model.packets.filter((p) => (direction > 0 ? p.end_s > at + 1e-6 : p.end_s < at - 1e-6));
  if (!sorted.length) return;
  const next = sorted.reduce((a, b) => ((direction > 0 ? b.end_s < a.end_s : b.end_s > a.end_s) ? b : a));
  say({ do: "pause" });
  seek(next.end_s);
}
function drawMarks() {
  const canvas = $("marks"), width = canvas.clientWidth;
  if (!width || !model.about || model.about.live) return;
  const pen = new CanvasPen(canvas, width, 14, Math.min(2, devicePixelRatio || 1));
  pen.g.clearRect(0, 0, width, 14);
  const place = (s) => 8 + (s / model.about.length_s) * (width - 16);
  pen.rect(8, 6, width - 16, 2, { fill: colours.grid });
  if (model.state) pen.rect(8, 6, place(Math.min(model.state.decoded_s, model.about.length_s)) - 8, 2, { fill: colours.hold });
  for (const p of model.packets) pen.rect(place(p.start_s), p.carrier === "primary" ? 2 : 7, Math.max(1.5, place(p.end_s) - place(p.start_s)), 5, { fill: p.crc_ok ? colours[p.carrier] : colours.bad });
}

// ---- the list and one packet
function drawList() {
  listDirty = false;
  const wanted = $("filter").value.trim().toLowerCase(), onlyBad = $("only-bad").checked;
  const at = now(), fits = (p) => (!onlyBad || !p.crc_ok) && (!wanted || `${p.from} ${p.to} ${p.text} ${p.sender} ${p.carrier}`.toLowerCase().includes(wanted));
  let found = model.packets.filter(fits);
  if (model.about?.live) found = found.slice(-LISTED).reverse(); // the newest on top
  else { // in order of time, around the position
    const centre = found.findIndex((p) => p.end_s > at), first = Math.max(0, Math.min(found.length - LISTED, (centre < 0 ? found.length : centre) - LISTED / 2));
    found = found.slice(first, first + LISTED);
  }
  const focused = document.activeElement?.dataset?.packet;
  $("rows").replaceChildren(...found.map((p) => row(p, at)));
  shownInList = new Set(found.map((p) => p.id));
  keepInView();
  if (focused) document.querySelector(`tr[data-packet="${focused}"]`)?.focus({ preventScroll: true });
  $("no-packets").hidden = found.length > 0;
  $("no-packets").textContent = model.packets.length ? "No packet fits the filter." : "No packet yet.";
  drawMarks();
}
function row(p, at) {
  const chosen = (pinned ?? model.shownRow?.id) === p.id;
  const node = element("tr", { tabindex: "0", "data-packet": p.id, "aria-selected": String(chosen), class: p.end_s > at && !model.about?.live ? "ahead" : "" },
    element("td", {}, seconds(p.start_s)),
    element("td", {}, element("span", { class: `chip ${p.carrier}` }, p.carrier)),
    element("td", { class: p.crc_ok ? "good" : "bad" }, p.crc_ok ? "✓ right" : "✗ wrong"),
    element("td", { class: "num" }, `${p.esn0_db.toFixed(1)} dB`),
    element("td", {}, p.from ? `${p.from} → ${p.to}` : "–", p.sender ? element("span", { class: "sender" }, `sent by ${p.sender}`) : ""),
    element("td", {}, p.text));
  node.addEventListener("click", () => choose(p.id, true));
  node.addEventListener("keydown", (event) => {
    if (event.key === "Enter") choose(p.id, true);
    const other = event.key === "ArrowDown" ? node.nextElementSibling : event.key === "ArrowUp" ? node.previousElementSibling : null;
    if (other) { event.preventDefault(); other.focus(); choose(+other.dataset.packet); }
  });
  return node;
}
function markChosen() {
  const id = pinned ?? model.shownRow?.id, at = now();
  if (id !== undefined && !shownInList.has(id)) listDirty = true;
  for (const node of $("rows").children) {
    node.setAttribute("aria-selected", String(+node.dataset.packet === id));
    if (!model.about?.live) node.classList.toggle("ahead", (byId.get(+node.dataset.packet)?.end_s ?? 0) > at + 1e-6);
  }
  keepInView();
}
// The list goes along with the position, unless somebody works in it.
function keepInView() {
  const box = document.querySelector(".scroll"), node = $("rows").querySelector("[aria-selected=true]");
  if (!node || model.about?.live || pinned !== null || box.matches(":hover, :focus-within")) return;
  const top = node.offsetTop - box.clientHeight / 2;
  if (Math.abs(box.scrollTop - top) > box.clientHeight / 4) box.scrollTop = top;
}
async function choose(id, byHand = false) {
  pinned = id;
  markChosen();
  try {
    const [detail, picture] = await Promise.all([fetch(`api/packets/${id}`), fetch(`api/packets/${id}/picture`)]);
    if (!detail.ok || !picture.ok) throw new Error((await detail.json()).error ?? "cannot read it");
    const packet = await detail.json(), frame = parseFrame(await picture.arrayBuffer());
    if (pinned !== id) return;
    show(frame, byId.get(id) ?? packet);
    showPacket($("packet"), packet);
    $("packet-wave").hidden = false;
    $("detail-title").textContent = `Packet ${id}`;
    $("follow").hidden = false;
    $("go").hidden = model.about.live;
    $("json").hidden = false;
    $("json").href = `api/packets/${id}`;
    $("json").download = `osgp-packet-${id}.json`;
    if (byHand && innerWidth < 1080) $("detail").scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  } catch (error) {
    if (pinned === id) banner(`Packet ${id}: ${error.message}`);
  }
}
function follow() {
  pinned = null;
  $("follow").hidden = true;
  markChosen();
}
function show(frame, packet) {
  model.shown = frame;
  model.shownRow = packet;
  for (const figure of figures) {
    if (figure.panel.of === "packet" || figure.panel.id === "waterfall") figure.dirty = true;
    if (figure.panel.of === "packet") { figure.small.textContent = packet ? `#${packet.id}` : ""; figure.small.title = packet ? `packet ${packet.id}${pinned === null ? ", the newest" : ", chosen"}` : ""; }
  }
  markChosen();
}

// ---- drawing
const drawnAt = [];
let slow = 0;
function draw(time) {
  requestAnimationFrame(draw);
  if (newestPacket && byId.has(newestPacket.packet)) {
    if (pinned === null) show(newestPacket, byId.get(newestPacket.packet));
    newestPacket = null;
  }
  if (pending) {
    stats.latency = Math.max(0, Date.now() / 1e3 - pending.sentAt);
    for (const figure of figures) if (figure.panel.of === "line") figure.dirty = true;
    placeSlider(pending.end);
    pending = null;
    stats.drawn++;
    drawnAt.push(time);
    while (drawnAt[0] < time - 3000) drawnAt.shift();
    stats.fps = drawnAt.length > 1 ? ((drawnAt.length - 1) * 1000) / (time - drawnAt[0]) : 0;
  }
  if (listDirty && time - slow > 250) { slow = time; drawList(); }
  for (const figure of figures) if (figure.dirty && figure.seen) { figure.dirty = false; drawFigure(figure); }
}

// ---- begin
const WIDE = { spectrum: "half", waterfall: "wide half tall", waveform: "half", occupancy: "half", phase: "half", timing: "half" };
for (const panel of PANELS) addFigure(panel, $("figures"), WIDE[panel.id] ?? "");
addFigure(packetWave, $("packet-wave"), "");
readColours();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readColours(); drawMarks(); });
addEventListener("resize", drawMarks);
$("play").addEventListener("click", togglePlay);
$("slider").addEventListener("input", () => { sliding = true; seek(+$("slider").value); });
$("slider").addEventListener("change", () => { sliding = false; });
$("speed").addEventListener("change", () => { say({ do: "speed", to: +$("speed").value }); $("speed").blur(); });
$("previous").addEventListener("click", () => step(-1));
$("next").addEventListener("click", () => step(1));
$("freeze").addEventListener("change", () => { freezeFrom = $("freeze").checked ? now() : Infinity; thaw(); });
$("filter").addEventListener("input", () => { listDirty = true; });
$("only-bad").addEventListener("change", () => { listDirty = true; });
$("follow").addEventListener("click", follow);
$("go").addEventListener("click", () => { const p = byId.get(pinned); if (p) { say({ do: "pause" }); seek(p.end_s); scrollTo({ top: 0 }); } });
$("help").addEventListener("click", () => $("helping").showModal());
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || $("helping").open) return;
  const typing = event.target.matches?.("input[type=search], select, textarea");
  if (event.key === "Escape") return follow();
  if (typing) return;
  const key = event.key.toLowerCase(), onButton = event.target.matches?.("button, a, summary, input[type=checkbox]");
  if (key === " " && !onButton) { event.preventDefault(); togglePlay(); }
  else if ((event.key === "ArrowLeft" || event.key === "ArrowRight") && event.target !== $("slider")) seek(now() + (event.key === "ArrowLeft" ? -1 : 1) * (event.shiftKey ? 0.1 : 1));
  else if (key === "n") step(1);
  else if (key === "p") step(-1);
  else if (key === "f") { $("freeze").click(); }
});
connect();
requestAnimationFrame(draw);
