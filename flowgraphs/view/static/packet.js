// One packet in words: octets, layers of fields, bits and code words.
const element = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") node.className = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
};
export { element };

export const seconds = (s) => `${s.toFixed(s < 100 ? 4 : 3)} s`;

export function save(name, content, type) {
  const blob = content instanceof Blob ? content : new Blob([content], { type });
  const link = element("a", { href: URL.createObjectURL(blob), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function facts(p) {
  const list = element("dl", { class: "facts" });
  const add = (name, value, cls = "") => list.append(element("div", {}, element("dt", {}, name), element("dd", { class: cls }, value)));
  add("CRC", p.crc_ok ? "right" : "wrong", p.crc_ok ? "good" : "bad");
  add("begins", seconds(p.start_s));
  add("lasts", `${((p.end_s - p.start_s) * 1e3).toFixed(1)} ms`);
  add("carrier", `${p.carrier}, ${(p.carrier_hz / 1e3).toFixed(2)} kHz`);
  add("Es/N0", `${p.esn0_db.toFixed(1)} dB`);
  add("level", p.level_v < 0.5 ? `${(p.level_v * 1e3).toFixed(1)} mV` : `${p.level_v.toFixed(2)} V`);
  add("sender's clock", `${p.clock_ppm >= 0 ? "+" : ""}${p.clock_ppm.toFixed(1)} ppm`);
  add("corrected", `${p.corrected_bits} bits`);
  if (p.sender) add("station", p.sender);
  return list;
}

function octets(p) {
  const box = element("div", { class: "octets", role: "img", "aria-label": `octets ${p.lpdu}` });
  for (let k = 0; k < p.lpdu.length / 2; k++) box.append(element("span", { "data-octet": k }, p.lpdu.slice(2 * k, 2 * k + 2)));
  return box;
}

function layers(p, mark) {
  const box = element("div", { class: "layers" });
  for (const layer of p.layers) {
    const details = element("details", { open: "" }, element("summary", {}, layer.name, element("span", { class: "where" }, layer.end > layer.first ? `octets ${layer.first}–${layer.end - 1}` : "")));
    if (layer.problem) details.append(element("p", { class: "problem" }, layer.problem));
    const body = element("tbody");
    for (const f of layer.fields) {
      const row = element("tr", { tabindex: "0" },
        element("th", { scope: "row" }, f.name, f.bits ? element("span", { class: "where" }, `bits ${f.bits}`) : ""),
        element("td", { class: "value" }, f.value), element("td", { class: "note" }, f.note));
      for (const on of ["mouseenter", "focus"]) row.addEventListener(on, () => mark(f.first, f.end));
      for (const off of ["mouseleave", "blur"]) row.addEventListener(off, () => mark(0, 0));
      body.append(row);
    }
    if (layer.fields.length) details.append(element("table", {}, body));
    box.append(details);
  }
  return box;
}

function words(p) {
  const box = element("div", { class: "words" });
  box.append(element("div", { class: "word header" }, element("span", { class: "k" }, "header"), element("code", {}, p.header)));
  p.words.forEach((w, k) => {
    const bits = element("code");
    [...w.bits].forEach((bit, i) => bits.append(w.changed.includes(i) ? element("mark", { title: "changed by the decoder" }, bit) : bit));
    const weak = w.weakest === null ? "" : `weakest bit ${w.weakest.toFixed(2)}`;
    const bar = element("span", { class: "strength", title: weak });
    if (w.weakest !== null) bar.append(element("i", { class: w.weakest < 0.35 ? "weak" : "", "data-part": Math.min(1, w.weakest).toFixed(2) }));
    box.append(element("div", { class: w.weakest !== null && w.weakest < 0.35 ? "word weak" : "word", "data-octet": k }, element("span", { class: "k" }, String(k)), element("b", {}, w.octet), bits, bar));
  });
  // No style attributes: the page's own policy forbids them.
  for (const i of box.querySelectorAll("i[data-part]")) i.style.width = `${100 * Number(i.dataset.part)}%`;
  return box;
}

// Fills the panel of one packet.
export function showPacket(target, p) {
  const mark = (first, end) => {
    for (const span of target.querySelectorAll("[data-octet]")) span.classList.toggle("marked", +span.dataset.octet >= first && +span.dataset.octet < end);
  };
  const title = element("p", { class: "says" }, element("strong", {}, p.source ? `${p.source} → ${p.destination}` : "not readable"), ` ${p.text}`);
  const bits = element("details", {}, element("summary", {}, "Bits and words", element("span", { class: "where" }, `${p.words.length} words of ${p.words[0]?.bits.length ?? 0} bits`)), words(p));
  const kept = target.querySelector("#packet-wave");
  target.replaceChildren(title, facts(p), ...(kept ? [kept] : []), element("h3", {}, "Octets"), octets(p), element("h3", {}, "Fields"), layers(p, mark), bits);
}
